"""A clock that moves where a test moves it."""

import time
from types import ModuleType

import pytest


class Clock:
    """Stands in for `time` in a module."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return time.time()


def clock_in(module: ModuleType, monkeypatch: pytest.MonkeyPatch, seconds: float = 1000.0) -> Clock:
    """The clock that the module looks at from now on."""
    clock = Clock(seconds)
    monkeypatch.setattr(module, "time", clock)
    return clock
