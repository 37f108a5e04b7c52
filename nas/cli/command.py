"""What every command shares: one line and exit 2 for a user's mistake, a traceback only with --debug."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from traceback import format_exception
from typing import Never

from nas.cli.stopping import Stopping, account_of, at_once, status_of
from nas.cli.terminal import Stream, streams
from proxies.latency.lifetime import end_with_parent
from search_space.bounds import plain
from search_space.errors import InputError


class _Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """Prints the defaults that say something, and the bounds of numbers."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default is None or action.default is False
        text = action.help if silent else super()._get_help_string(action)
        bounds = getattr(action.type, "bounds", None)
        return f"{text}; {plain(bounds.least)} to {plain(bounds.most)}" if bounds else text


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line and exits with 2; every command has --debug."""

    def __init__(self, **options: object) -> None:
        super().__init__(formatter_class=_Defaults, **options)  # type: ignore[arg-type]
        self.add_argument("--debug", action="store_true", help="show a traceback for an error")

    def error(self, message: str) -> Never:
        """Never comes back: prints the message and exits with 2.

        Raises:
            InputError: a type of `nas.cli.flags` has said what a flag must be.
        """
        flag, _, rule = message.removeprefix("argument ").partition(": ")
        if rule.startswith("must "):
            raise InputError(f"{flag} {rule}")
        self.exit(2, f"{self.prog}: {_told(message)}; --help lists the options\n")


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its program, what it does, the flags it takes, and what is done with them.

    `work` is "module:function"; it is imported once the flags are read, for what it needs takes seconds to import.
    """

    program: str
    description: str | None
    add_flags: Callable[[Parser], None]
    work: str

    def make_parser(self) -> Parser:
        """The command's parser."""
        parser = Parser(prog=f"python -m {self.program}", description=self.description)
        self.add_flags(parser)
        return parser

    def main(self, argv: Sequence[str] | None = None) -> int:
        """The exit status of the command."""
        return run_command(self.make_parser(), self._run, argv)

    def _run(self, flags: argparse.Namespace) -> int:
        module, _, function = self.work.partition(":")
        with at_once(f"python -m {self.program}"):
            run: Callable[[argparse.Namespace], int] = getattr(import_module(module), function)
        return run(flags)


def run_command(parser: Parser, command: Callable[[argparse.Namespace], int], argv: Sequence[str] | None) -> int:
    """The exit status of `command`: 2 after a user's mistake, 1 after any other error.

    Where a signal has asked it to end, it is 128 and the signal's number, whatever it came to: 130 after Ctrl-C. It is
    1 too where what the command printed is lost, unless nobody would have read it.
    """
    end_with_parent()
    with streams() as (out, _), Stopping(parser.prog) as stopping:
        try:
            status = _status_of(parser, command, argv)
            return _all_told(parser.prog, out, stopping.status or status)
        except KeyboardInterrupt as stop:
            if is_first_here():
                print(f"{parser.prog}: {account_of(stop)}", file=sys.stderr)
            return stopping.status or status_of(signal.SIGINT)
        except SystemExit as leaving:  # after --help, or a mistake in the line
            raise SystemExit(_all_told(parser.prog, out, int(leaving.code or 0))) from leaving


def _all_told(program: str, out: Stream, status: int) -> int:
    """The exit status of a command that ends by this one, once all is out that it printed."""
    out.flush()
    if out.failure is None or status:
        return status
    print(f"{program}: not all could be printed: {out.failure.strerror}; files are whole", file=sys.stderr)
    return 1


def _status_of(parser: Parser, command: Callable[[argparse.Namespace], int], argv: Sequence[str] | None) -> int:
    try:
        arguments = parser.parse_args(argv)
    except InputError as error:
        if is_first_here():
            print(_told(f"{parser.prog}: {error}", argv), file=sys.stderr)
        return 2
    try:
        return command(arguments)
    except Exception as error:
        if arguments.debug:
            sys.excepthook = lambda *error: print(_told("".join(format_exception(*error)), argv), file=sys.stderr)
            raise
        mistake = error if isinstance(error, InputError) else _lack_of(error, hasattr(arguments, "resume"))
        text = " ".join(str(mistake or error).split()) or type(error).__name__
        text = text if mistake else f"{type(error).__name__}: {text} (--debug shows where)"
        print(_told(f"{parser.prog}: {text}", argv), file=sys.stderr)
        return 2 if mistake else 1


def _told(text: str, argv: Sequence[str] | None = None) -> str:
    """The text without the passwords that the command was given, however a library quotes them."""
    from studies.storage.secrets import secrets_in, without_secrets  # here, for a command that works needs none of it

    given = [*sys.argv, *(argv or ()), os.environ.get("NAS_STORAGE", "")]
    return without_secrets(text, secrets_in(given)).rstrip("\n")


def is_first_here() -> bool:
    """Whether this process speaks for those that torchrun started on this machine, which find the same mistakes."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _lack_of(error: Exception, resumes: bool) -> InputError | None:
    """The line for an error that says what the machine lacks, room or a database; None for any other error."""
    from studies.storage.database_errors import is_away, is_full, reason_of

    again = "the same line with --resume goes on" if resumes else "give the same line again"
    if is_full(error):
        return InputError(
            f"results need room to be kept, and there is none left: {reason_of(error)}; free some, {again}"
        )
    if is_away(error):
        return InputError(
            f"results need their database, and it does not answer: {reason_of(error)}; once it does, {again}"
        )
    return None


def check_folder(path: Path) -> None:
    """Refuses a path that cannot be written, and makes nothing.

    Raises:
        InputError: `path` is no folder that could be made or written to.
    """
    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(
            f"the output folder must be one that can be written, got {str(path)!r}: {str(existing)!r} cannot"
        )


def make_folder(path: Path) -> Path:
    """`path`, which is a folder now and can be written to.

    Raises:
        InputError: it cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"the output folder must be one that can be written, got {str(path)!r}: {error.strerror}"
        ) from error
    return path


def clock(seconds: float) -> str:
    """Minutes and seconds, "2:05", or hours and minutes, "3 h 05 min"."""
    seconds = round(seconds, 3)  # a sum of parts may be 89.99999999999999
    minutes = round(seconds / 60)
    if seconds >= 3600:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
