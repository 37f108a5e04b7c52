"""Signs of life: a line on stderr whenever none was written for a while: what runs, since when, and what is left."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nas.cli.command import clock

SILENT_SECONDS = 12.0
"""After so long without a line comes one: nobody waits for more than 15 seconds, even where the machine is busy."""
POLL_SECONDS = 0.5
MOST_NAMED = 3
NAME = "heartbeat"

SecondsLeft = Callable[[], float | None]


@dataclass(slots=True)
class Doing:
    """What runs: its words, or a function that gives them, and how many seconds are left, where that is known."""

    what: str | Callable[[], str]
    seconds_left: SecondsLeft | None
    since: float = field(default_factory=lambda: time.monotonic())

    def now(self, what: str | Callable[[], str]) -> None:
        """Takes note that something else runs from now on."""
        self.what, self.since = what, time.monotonic()


@dataclass(slots=True)
class Steps:
    """How far so many steps of about the same length are: `done` is counted up by whoever takes them."""

    total: int
    done: int = 0
    started: float = field(default_factory=lambda: time.monotonic())

    def seconds_left(self) -> float | None:
        """How long the rest takes at the pace so far; None before the first step is done."""
        if not self.done:
            return None
        return (time.monotonic() - self.started) / self.done * (self.total - self.done)

    def left(self) -> str:
        """The same in words, such as "about 2:05 left"."""
        seconds = self.seconds_left()
        return "time left unknown" if seconds is None else f"about {clock(seconds)} left"


class Heartbeat:
    """What runs in this process, the innermost last, and when the last line was written."""

    def __init__(self) -> None:
        self.stack: list[Doing] = []
        self._written = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_over, name=NAME, daemon=True)

    def start(self) -> None:
        """Begins to watch the time."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it; no line comes after that."""
        self._over.set()
        self._thread.join()

    def note(self) -> None:
        """Takes note of a line."""
        self._written = time.monotonic()

    def line(self) -> str | None:
        """What is to be said now; None where a line was written not long ago."""
        if time.monotonic() - self._written < SILENT_SECONDS or not self.stack:
            return None
        doing = self.stack[-1]
        what = doing.what if isinstance(doing.what, str) else doing.what()
        text = (each.seconds_left() for each in reversed(self.stack) if each.seconds_left)
        left = next((seconds for seconds in text if seconds is not None), None)
        rest = "" if left is None else f", {clock(max(0.0, left))} left"
        return f"{what}: {clock(time.monotonic() - doing.since)} so far{rest}"

    def _beat_until_over(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            if line := self.line():
                print(line, file=sys.stderr, flush=True)


class _Watched:
    """A stream that takes note of each line that goes through it."""

    def __init__(self, stream: Any, heartbeat: Heartbeat) -> None:
        self._stream = stream
        self.heartbeat = heartbeat

    def write(self, text: str) -> Any:
        return self._noted(text, self._stream.write)

    def write_as_is(self, text: str) -> Any:
        return self._noted(text, getattr(self._stream, "write_as_is", self._stream.write))

    def _noted(self, text: str, write: Callable[[str], Any]) -> Any:
        if "\n" in text:
            self.heartbeat.note()
        return write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def running(begun: Mapping[str, float]) -> str:
    """What runs at once, each with the time since it began, `time.monotonic()` at that: the first few by name."""
    named = [f"{name} ({clock(time.monotonic() - since)})" for name, since in list(begun.items())[:MOST_NAMED]]
    more = len(begun) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


@contextmanager
def doing(what: str | Callable[[], str], seconds_left: SecondsLeft | None = None) -> Iterator[Doing]:
    """Inside, stderr is never silent for long: a line says that this runs, since when, and how much time is left.

    Where another one is around it, that one keeps the watch, and its time left stands where this one has none.
    """
    inner = Doing(what, seconds_left)
    around: Heartbeat | None = getattr(sys.stderr, "heartbeat", None)
    if around is None:
        with _watch(inner):
            yield inner
        return
    around.stack.append(inner)
    try:
        yield inner
    finally:
        around.stack.remove(inner)


@contextmanager
def _watch(outermost: Doing) -> Iterator[None]:
    heartbeat = Heartbeat()
    heartbeat.stack.append(outermost)
    stream = sys.stderr
    sys.stderr = _Watched(stream, heartbeat)
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.stop()
        sys.stderr = stream
