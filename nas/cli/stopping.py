"""How a command is ended from outside: Ctrl-C, SIGTERM and a closed terminal alike, with what there is so far."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Self

PATIENCE_SECONDS = 10.0
"""So long what there is may be kept and shown undisturbed; asked once more after that, the process ends at once."""
WORDS = {"SIGINT": "interrupted", "SIGTERM": "ended by SIGTERM", "SIGHUP": "its terminal was closed"}
"""The signals that ask a process to end, as far as the system has them, and what is said of each."""


_within: list[Stopping] = []
"""The contexts that the process is in, the innermost last."""
_statuses: list[int] = []
"""The exit statuses that the contexts it was in have led to, where a signal came."""


class Stopped(KeyboardInterrupt):
    """The process was asked to end, by the signal of this number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def status_of(number: int) -> int:
    """The exit status of a process that a signal has ended, by convention: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + number


def account_of(stop: KeyboardInterrupt) -> str:
    """What happened, in words: what `keeping` has to say of it, else what the signal was."""
    if notes := getattr(stop, "__notes__", []):
        return str(notes[0])
    return WORDS[signal.Signals(stop.number).name] if isinstance(stop, Stopped) else WORDS["SIGINT"]


@contextmanager
def keeping(account: str | Callable[[], str]) -> Iterator[None]:
    """Has the command say this, or what the function gives then, where it is asked to end inside."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(account if isinstance(account, str) else account())
        raise


class Stopping:
    """A context in which the first signal raises `Stopped`, and the next ones disturb nothing of what comes then.

    `status` is the exit status that this leads to, 0 where no signal came.
    """

    def __init__(self, program: str) -> None:
        self.status = 0
        self.number = 0
        self._program = program
        self._since = 0.0
        self._is_told = False
        self._disabled = logging.NOTSET
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before, self._disabled = _take(self._ask), logging.root.manager.disable
        _within.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _within.remove(self)
        _give_back(self._before)
        logging.disable(self._disabled)
        if self.status:
            _statuses.append(self.status)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.status:
            self.status, self.number, self._since = status_of(number), number, time.monotonic()
            logging.disable()  # libraries would log, with a traceback, in the midst of what they were stopped
            raise Stopped(number)
        if time.monotonic() - self._since > PATIENCE_SECONDS:
            _leave(number, f"{self._program}: ended at once")
        if not self._is_told:
            self._is_told = True
            _say(f"{self._program}: ending; what there is is being kept")


def stop_if_asked() -> None:
    """Raises `Stopped` again where it was raised before and swallowed, as in a library's clean-up: a loop calls it.

    Raises:
        Stopped: a signal came within the innermost `Stopping`.
    """
    if _within and _within[-1].number:
        raise Stopped(_within[-1].number)


@contextmanager
def at_once(program: str) -> Iterator[None]:
    """Has a signal end the process at once inside, where there is nothing to keep, as while modules are imported.

    An exception raised there may come up in the midst of another library's work, and be swallowed or shown as a fault.
    """
    before = end_at_once(program)
    try:
        yield
    finally:
        _give_back(before)


def end_at_once(program: str) -> dict[int, Any]:
    """Has a signal end the process at once from now on; what was to be done before."""

    def leave(number: int, frame: FrameType | None) -> None:
        _leave(number, f"{program}: {WORDS[signal.Signals(number).name]}")

    return _take(leave)


def leave_if_stopped() -> None:
    """Ends a process that was asked to end, as the last of its clean-up.

    Python gives its handlers up before it takes its modules down, and a signal that is sent once more in that time
    would have it end as killed.
    """
    if _statuses:
        with suppress(OSError, ValueError):  # a stream that is closed has nothing left to write
            sys.stdout.flush()
        os._exit(_statuses[-1])


def _take(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Sets the handler of each signal that asks to end; what it was before.

    One that whoever started this process has had ignored stays so: nohup does that, and a shell for background jobs.
    """
    before = {}
    for number in (getattr(signal, name) for name in WORDS if hasattr(signal, name)):
        with suppress(ValueError):  # of a thread that is not the main one, which gets no signals
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    return before


def _give_back(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def _leave(number: int, account: str) -> None:
    _say(account)
    os._exit(status_of(number))


def _say(line: str) -> None:
    """Writes to stderr past Python's buffer, in whose midst the signal may have come."""
    with suppress(OSError):
        os.write(2, f"{line}\n".encode())
