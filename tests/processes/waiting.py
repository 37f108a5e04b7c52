"""Waiting for a fact, rather than for so many seconds after which it should be one."""

import time
from collections.abc import Callable

WAIT_SECONDS = 300
"""What nothing here takes: it only keeps a failing test from standing still."""


def until(holds: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Returns once it holds; a test fails where it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "what was waited for never came"
        time.sleep(0.05)
