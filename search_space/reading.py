"""Files that others wrote, read within bounds: their size, and of JSON its keys, numbers, types and nesting."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from reprlib import Repr
from struct import Struct
from typing import Any, BinaryIO, Never

from search_space.errors import InputError

MEGABYTE = 10**6
SMALL, LARGE = MEGABYTE, 200 * MEGABYTE
"""The most bytes of a file that describes one thing, and of one that holds many."""
MOST_TOML = MEGABYTE // 10
LARGEST_NUMBER = 1e18
"""Whole numbers beyond this are no counts of anything; databases take none beyond 2 to the power of 63 either."""
MOST_LIST_BYTES = MEGABYTE
"""Of a zip archive's list of files, some hundred bytes each."""
LAST_RECORD, ZIP64_BYTES = Struct("<12xL6x"), 20
"""The last record of a zip archive without a comment, and what stands before it where the archive is a large one."""
LONGEST_SHOWN = 100
_WHOLE = "[^\0\ud800-\udfff]*"
"""A text without what no database takes: a null character, or half of another one."""
_NO_LINE = "\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff"
_LINE = f"[^{_NO_LINE}]*"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")


class _Short(Repr):
    def repr_int(self, value: int, level: int) -> str:
        """Of a number of thousands of digits Python makes no text."""
        return repr(value) if abs(value) < 10**40 else f"a number of {value.bit_length()} bits"


_SHORT = _Short()
_SHORT.maxstring = _SHORT.maxother = LONGEST_SHOWN - 10


def shown(value: Any) -> str:
    """The value as a message shows it, however large it is."""
    text = _SHORT.repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def line_of(text: str, longest: int = 1000) -> str:
    """The text of others in one line, without what a terminal takes for commands, and no longer than that."""
    return re.sub(f"[{_NO_LINE}]", "?", " ".join(text[: 2 * longest].split()))[:longest]


def read_bytes(path: Path, what: str, most_bytes: int) -> bytes:
    """The content of a file; `what` says what it has to be, such as "an architecture is a JSON file".

    Raises:
        InputError: it cannot be read, or is larger than `most_bytes`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{what}, and {str(path)!r} cannot be read: {reason}") from error
    if len(content) > most_bytes:
        raise InputError(f"{what} of at most {most_bytes / MEGABYTE:g} MB, and {str(path)!r} is larger")
    return content


def read_zipped(path: Path, member: str, what: str, most_bytes: int = SMALL) -> bytes:
    """The content of a file in a zip archive, whose list of files, and what it is unpacked to, have bounds.

    Raises:
        InputError: it cannot be read, or is larger than `most_bytes`, or the archive is none that this project writes.
    """
    named = f"{what}, and {member} in {str(path)!r}"
    try:
        with path.open("rb") as file:
            _check_list_of_files(file, f"{what}, and {str(path)!r}")
            with zipfile.ZipFile(file) as archive:
                if archive.getinfo(member).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise InputError(f"{named} is packed in a way that this project never does: zip it anew")
                with archive.open(member) as packed:
                    content = packed.read(most_bytes + 1)  # the size that the archive states may be a lie
    except KeyError as error:
        raise InputError(f"{what}, and {str(path)!r} holds no {member}") from error
    except (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{named} cannot be read: {error}") from error
    if len(content) > most_bytes:
        raise InputError(f"{named} is larger than {most_bytes / MEGABYTE:g} MB")
    return content


def check_unpacked(path: Path, what: str) -> None:
    """Refuses a zip archive that takes more room in memory than on the disk; any other file is fine.

    Raises:
        InputError: a file in it is packed; torch, for one, packs none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            is_packed = any(row.compress_type or row.file_size > row.compress_size for row in archive.infolist())
    except (OSError, EOFError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return
    if is_packed:
        raise InputError(f"{what}, and {str(path)!r} is a packed one, which may unpack to any size: save it anew")


def _check_list_of_files(file: BinaryIO, what: str) -> None:
    """Refuses an archive whose list of files is long, before anything reads it whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LAST_RECORD.size - ZIP64_BYTES))
    tail = file.read()
    last = tail[-LAST_RECORD.size :]
    if len(last) < LAST_RECORD.size or not last.startswith(b"PK\5\6"):
        raise InputError(f"{what} is no zip archive that is whole")
    if b"PK\6\7" in tail[: -LAST_RECORD.size] or LAST_RECORD.unpack(last)[0] > MOST_LIST_BYTES:
        raise InputError(f"{what} lists more files than such an archive holds")


def text_of(content: bytes, what: str, where: str) -> str:
    """The text that the bytes are in UTF-8, without a byte order mark.

    Raises:
        InputError: they are something else.
    """
    for mark in _UTF_16:
        if content.startswith(mark):
            raise InputError(f"{what}, and {where} is not UTF-8 but UTF-16: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{what}, and {where} is not text in UTF-8: see byte {error.start}") from error


def read_json(path: Path, what: str, most_bytes: int = SMALL) -> Any:
    """The value in a JSON file; see `parse_json`.

    Raises:
        InputError: as `read_bytes` and `parse_json`.
    """
    return parse_json(read_bytes(path, what, most_bytes), what, repr(str(path)))


def parse_json(content: bytes | str, what: str, where: str) -> Any:
    """The JSON value that a content holds; `where` names it in messages.

    Raises:
        InputError: it is no JSON, names a key twice, holds NaN, an infinity or a number too long to be one, or is
            nested too deeply.
    """
    text = content if isinstance(content, str) else text_of(content, what, where)

    def refuse(reason: object) -> Never:
        raise InputError(f"{what}, and {where} is not JSON: {reason}")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            refuse(f"the key {shown(twice)} stands twice in one object; leave one of them out")
        return found

    def finite(number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            refuse(f"{shown(number)} is no finite number")
        return value

    try:
        value = json.loads(text, object_pairs_hook=once, parse_float=finite, parse_constant=finite)
    except InputError:
        raise
    except RecursionError:
        refuse("it is nested too deeply")
    except ValueError as error:  # of JSONDecodeError, and of a number of thousands of digits
        refuse(str(error).partition(";")[0])
    return value


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The tables in a TOML file.

    Raises:
        InputError: as `read_bytes`, or it is no TOML.
    """
    text = text_of(read_bytes(path, what, MOST_TOML), what, repr(str(path)))
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except RecursionError as error:
        raise InputError(f"{what}, and {str(path)!r} is not TOML: it is nested too deeply") from error
    except ValueError as error:
        raise InputError(f"{what}, and {str(path)!r} is not TOML: {error}") from error


def is_number(value: Any, least: float, most: float) -> bool:
    """Whether the value is a number between the bounds: NaN is none, and neither is true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def is_whole(value: Any, least: int, most: int) -> bool:
    """Whether the value is a whole number between the bounds, written as one."""
    return isinstance(value, int) and is_number(value, least, most)


class Fields:
    """The fields of an object that others wrote, each taken with its type and its bounds.

    `where` names the object in messages: a file, and the place in it.

    Raises:
        InputError: from each method where the field is missing or is something else, and where this is no object; the
            message names the file, the key, the value and the rule.
    """

    def __init__(self, content: Any, where: str) -> None:
        self.where = where
        if not isinstance(content, dict):
            raise InputError(f"{where} must be a JSON object, got {shown(content)}")
        self.plain: dict[str, Any] = content

    def value(self, name: str) -> Any:
        """The field as it is."""
        if name not in self.plain:
            raise InputError(f"{self.where} needs the key {name!r}, and has {shown(sorted(self.plain))}")
        return self.plain[name]

    def text(self, name: str, *, longest: int = 1000, pattern: str = "") -> str:
        """A text of at most so many characters, which matches the pattern where there is one."""
        value = self.value(name)
        if not isinstance(value, str) or len(value) > longest or not re.fullmatch(pattern or _WHOLE, value):
            rule = f"a text like {pattern}" if pattern else f"a text of at most {longest} characters"
            self._refuse(name, rule, value)
        return str(value)

    def line(self, name: str, longest: int) -> str:
        """A text of one line, without what a terminal takes for commands, of at most so many characters."""
        value = self.value(name)
        if not isinstance(value, str) or len(value) > longest or not re.fullmatch(_LINE, value):
            self._refuse(name, f"a line of text of at most {longest} characters", value)
        return str(value)

    def whole(self, name: str, least: int, most: int) -> int:
        """A whole number between the bounds."""
        value = self.value(name)
        if not is_whole(value, least, most):
            self._refuse(name, f"a whole number from {least} to {most}", value)
        return int(value)

    def number(self, name: str, least: float = -LARGEST_NUMBER, most: float = LARGEST_NUMBER) -> float:
        """A number between the bounds."""
        value = self.value(name)
        if not is_number(value, least, most):
            self._refuse(name, f"a number from {least:g} to {most:g}", value)
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.value(name)
        if not isinstance(value, bool):
            self._refuse(name, "true or false", value)
        return bool(value)

    def one_of(self, name: str, values: Collection[str]) -> str:
        """One of these texts."""
        value = self.value(name)
        if not isinstance(value, str) or value not in values:
            self._refuse(name, f"one of {', '.join(values)}", value)
        return str(value)

    def numbers(self, name: str, least: float, most: float, longest: int = 10_000) -> tuple[float, ...]:
        """A list of at most so many numbers between the bounds."""
        rows = self.rows(name, longest)
        for row in rows:
            if not is_number(row, least, most):
                self._refuse(name, f"a list of numbers from {least:g} to {most:g}", row)
        return tuple(map(float, rows))

    def wholes(self, name: str, least: int, most: int, longest: int = 10_000) -> tuple[int, ...]:
        """A list of at most so many whole numbers between the bounds."""
        rows = self.rows(name, longest)
        for row in rows:
            if not is_whole(row, least, most):
                self._refuse(name, f"a list of whole numbers from {least} to {most}", row)
        return tuple(rows)

    def rows(self, name: str, most: int = 10_000) -> list[Any]:
        """A list of at most so many values."""
        value = self.value(name)
        if not isinstance(value, list | tuple) or len(value) > most:
            self._refuse(name, f"a list of at most {most} values", value)
        return list(value)

    def fields(self, name: str) -> Fields:
        """An object in this one."""
        return Fields(self.value(name), f"{name!r} in {self.where}")

    def each(self, name: str) -> Iterator[tuple[str, Fields]]:
        """The objects in an object of this one, by name."""
        inner = self.fields(name)
        for key in inner.plain:
            if not re.fullmatch(_WHOLE, key):
                raise InputError(f"a name in {inner.where} must be a text, got {shown(key)}")
            yield key, inner.fields(key)

    def objects(self, name: str) -> list[Fields]:
        """The objects in a list of this one."""
        return [Fields(row, f"{name}[{number}] in {self.where}") for number, row in enumerate(self.rows(name))]

    def only(self, names: Iterable[str]) -> None:
        """Refuses a key that is none of these."""
        known = tuple(names)
        for name in self.plain:
            if name not in known:
                raise InputError(f"{self.where} has no key {shown(name)}; it may have {', '.join(known)}")

    def _refuse(self, name: str, rule: str, value: Any) -> Never:
        raise InputError(f"{name!r} in {self.where} must be {rule}, got {shown(value)}")
