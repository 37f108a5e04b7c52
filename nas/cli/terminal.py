"""Where a command's lines go, whatever that is: no text steers a terminal, and nothing is lost because nobody reads.

Commands keep their results first and print them then; here is what they print through.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO, cast

from studies.storage.secrets import without_secrets

if TYPE_CHECKING:
    from rich.console import Console

_STEERING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for tabs and line ends, and what turns the direction of writing."""
_NOBODY_READS = (errno.EPIPE, errno.EIO, errno.ECONNRESET, errno.ESHUTDOWN)
"""The reader has gone, or the terminal was closed."""
_IN_ASCII: Mapping[str, str] = MappingProxyType({"─": "-", "━": "-", "±": "+-", "…": "..."})
REPLACING = "nas.replacing"
"""The name of how letters are written that a terminal does not know."""


def printable(text: str) -> str:
    """The text as a terminal may be shown it: what would steer that stands as its number, as in a Python string."""
    return _STEERING.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class Stream:
    """Standard output or error: takes all that is printed, also where it leads nowhere.

    Lines of several threads do not mix: each is written once it is whole. `failure` is why what was written is lost, if
    it is, and somebody would have read it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = threading.local()
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        """The length of the text, which is written but for what would steer a terminal, and passwords."""
        text = without_secrets(text) if "://" in text or "=" in text else text
        # A bar of progress of other libraries begins with a return.
        begun = text.startswith("\r")
        line = self._taken() + "\r" * begun + printable(text[begun:])
        if line.endswith("\n") or "\r" in line:
            self.write_as_is(line)
        else:  # `print` writes the end of a line by itself
            self._begun.text = line
        return len(text)

    def write_as_is(self, text: str) -> int:
        """The length of the text, which is written with what steers the terminal."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Brings out what was written."""
        if begun := self._taken():
            self.write_as_is(begun)
        self._try(self._stream.flush)

    def _taken(self) -> str:
        """The line that this thread has begun, which is taken from it."""
        line: str = getattr(self._begun, "text", "")
        self._begun.text = ""
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                self.failure = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # from now on, also for libraries and processes that are started
            os.close(nowhere)


@contextmanager
def streams() -> Iterator[tuple[Stream, Stream]]:
    """Inside, `sys.stdout` and `sys.stderr` are such streams."""
    _open_what_was_closed()
    kept = sys.stdout, sys.stderr
    for each in kept:
        if isinstance(each, io.TextIOWrapper):
            each.reconfigure(errors=REPLACING)
    out, error = map(Stream, kept)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", error)
    try:
        yield out, error
    finally:
        out.flush()
        error.flush()
        sys.stdout, sys.stderr = kept


def console() -> Console:
    """A console of rich on stderr, for bars: a line that it prints is a text, whatever brackets it holds."""
    from rich.console import Console

    class Lines(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)

    width = 80 if os.environ.get("COLUMNS") == "0" else None  # some shells and cron say so, and mean that none is known
    return Lines(file=cast("TextIO", _AsIs()), width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


class _AsIs:
    """What `sys.stderr` is at the time, for a writer that steers the terminal."""

    def write(self, text: str) -> int:
        stream = self._stream()
        written: int = getattr(stream, "write_as_is", stream.write)(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream(), name)

    def _stream(self) -> Any:
        return getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # a live bar stands in its place


def _open_what_was_closed() -> None:
    """Opens standard input, output and error where they were closed: the next file would take their number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_IN_ASCII.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


codecs.register_error(REPLACING, _replaced)
