"""A clock that moves where a test moves it."""

import time


class Clock:
    """Stands in for `time` in a module."""

    def __init__(self, seconds: float = 1000.0) -> None:
        self.seconds = seconds

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return time.time()
