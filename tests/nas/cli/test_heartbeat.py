"""Signs of life: a line where none was written for long, and none elsewhere."""

import io
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest
from builders.clock import Clock, clock_in
from rich.console import Console
from rich.progress import Progress

from nas.cli import heartbeat
from nas.cli.heartbeat import SILENT_SECONDS, Doing, Heartbeat, Steps, doing, running


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clock_in(heartbeat, monkeypatch)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Silence is noticed at once."""
    monkeypatch.setattr(heartbeat, "SILENT_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "POLL_SECONDS", 0.01)
    yield
    assert beating() == 0, "no thread outlives its context"


def beating() -> int:
    """How many keep watch."""
    return sum(thread.name == heartbeat.NAME for thread in threading.enumerate())


class Lines(io.StringIO):
    """A stream that one can wait for a line of."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if "\n" in text:
            self.came.set()
        return written

    def wait(self) -> str:
        self.came.clear()
        assert self.came.wait(60), "no line came"
        return self.getvalue()


@contextmanager
def lines_of_stderr() -> Iterator[Lines]:
    """What goes to stderr inside; it is stderr itself again by then."""
    lines = Lines()
    with redirect_stderr(lines):
        yield lines
        assert sys.stderr is lines


def test_a_beat_leaves_time_to_spare_within_fifteen_seconds() -> None:
    assert SILENT_SECONDS + 2 * heartbeat.POLL_SECONDS <= 13


def test_a_line_comes_after_silence_alone_and_says_since_when_and_what_is_left(clock: Clock) -> None:
    beats = Heartbeat()
    beats.stack.append(Doing("timing v2-1.0x", lambda: 185.0))
    clock.seconds += SILENT_SECONDS - 1
    assert beats.line() is None
    clock.seconds += 1
    assert beats.line() == "timing v2-1.0x: 0:12 so far, 3:05 left"
    beats.note()
    assert beats.line() is None
    clock.seconds += 60
    assert beats.line() == "timing v2-1.0x: 1:12 so far, 3:05 left"


def test_the_innermost_speaks_and_the_time_left_is_that_of_the_nearest_who_knows_it(clock: Clock) -> None:
    beats = Heartbeat()
    beats.stack += [Doing("searching", lambda: 61.0), Doing(lambda: "two things", lambda: None)]
    clock.seconds += 20
    assert beats.line() == "two things: 0:20 so far, 1:01 left"
    beats.stack.pop().now("nothing any more")
    assert beats.line() == "searching: 0:20 so far, 1:01 left"
    beats.stack[0].now("writing")
    beats.stack[0].seconds_left = lambda: -5.0
    clock.seconds += 5
    assert beats.line() == "writing: 0:05 so far, 0:00 left"
    beats.stack.clear()
    assert beats.line() is None


def test_what_runs_at_once_is_named_with_its_age(clock: Clock) -> None:
    assert running({}) == ""
    assert running({"a": 990.0, "b": 939.0}) == "a (0:10), b (1:01)"
    assert running(dict.fromkeys("abcde", 1000.0)) == "a (0:00), b (0:00), c (0:00) and 2 more"


def test_steps_left_go_by_the_pace_so_far(clock: Clock) -> None:
    steps = Steps(5)
    assert (steps.seconds_left(), steps.left()) == (None, "time left unknown")
    clock.seconds += 50
    steps.done = 2
    assert steps.seconds_left() == 75.0
    assert steps.left() == "about 1:15 left"


def test_inside_silence_is_broken_on_stderr_and_outside_it_is_not(quick: None) -> None:
    with lines_of_stderr() as stderr, doing("timing"):
        assert re.match(r"timing: \d:\d\d so far\n", stderr.wait())


def test_an_inner_one_starts_no_second_watch(quick: None) -> None:
    with lines_of_stderr() as stderr, doing("outer"):
        with doing("inner") as at:
            assert beating() == 1
            assert re.search(r"^inner: \d:\d\d so far", stderr.wait(), re.MULTILINE)
            at.now("innermost")
            while "innermost: " not in stderr.wait():
                pass
        stderr.seek(0)
        stderr.truncate()
        while "outer: " not in stderr.wait():
            pass


def test_a_live_bar_is_no_line_and_beats_stand_above_it(quick: None) -> None:
    console = Console(stderr=True, force_terminal=True, width=80)
    with lines_of_stderr() as stderr, doing("training"), Progress(console=console, refresh_per_second=50) as progress:
        progress.add_task("bar", total=1.0)
        while not re.search(r"training: \d:\d\d so far", stderr.wait()):
            pass


def test_an_error_inside_leaves_stderr_as_it_was() -> None:
    with lines_of_stderr(), pytest.raises(ValueError, match="inside"), doing("failing"):
        raise ValueError("inside")
