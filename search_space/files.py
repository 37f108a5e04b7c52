"""Files that are there whole or not at all, however their writer ends, and names for them that cannot be paths."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any
from unicodedata import normalize

from search_space.errors import InputError
from search_space.locks import locks
from search_space.scratch import Scratch

PARTIAL = ".partial-"
"""What the name of a file that is being written begins with."""
_LONGEST_SUFFIX = 16
_LONGEST_NAME = 120
"""Bytes: there is room for an ending such as ".untrained.int8.onnx" beside them."""
_PLAIN = re.compile(r"\w[\w.+@=,() -]*(?<![. ])")
"""What every system takes as a name, but for what `_RESERVED` and a length forbid."""
_OTHER = re.compile(r"[^\w.+@=,()-]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
"""Names that are devices elsewhere, whatever their ending."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write, which is `path` at the end, on disk; until then what was there before stays.

    A link stays one, and what it leads to is written; permissions stay as they were. What cannot be replaced, such as a
    pipe, is written to in the end. What a killed writer of the same path left is removed.

    Raises:
        InputError: no file can be written at `path`.
    """
    target, mode = _target_of(path)
    if mode is not None and not stat.S_ISREG(mode):
        with Scratch() as folder:
            content = Path(folder, f"content{_suffix_of(target)}")
            yield content
            with content.open("rb") as source, target.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        return
    partial, lock = _partial_of(target)
    try:
        yield partial
        if mode is not None:
            partial.chmod(stat.S_IMODE(mode))
        _sync(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
        os.close(lock)
    if os.name == "posix":  # elsewhere no folder can be opened
        with suppress(OSError):  # nor here one that may be written to and not read
            _sync(target.parent)


def write_whole(path: Path, content: bytes) -> Path:
    """`path`, which holds `content` now."""
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def write_text(path: Path, text: str) -> Path:
    """`path`, which holds the text as UTF-8 now; what Unicode has no letter for stands there as its number."""
    return write_whole(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, content: Any, *, allow_nan: bool = True) -> Path:
    """`path`, which holds the content as JSON now."""
    return write_text(path, json.dumps(content, indent=1, allow_nan=allow_nan) + "\n")


def file_name(name: str) -> str:
    """The name of the file, or the folder, that is called after what is named so in a database or a file.

    Never a path, and one that every system takes: such a name stays as it is. Of any other what can stay does, with a
    digest of the whole after a "~", which no other has: so different names are those of different files.
    """
    is_plain = _PLAIN.fullmatch(name) and not _RESERVED.fullmatch(name) and name == normalize("NFC", name)
    if is_plain and name == _shortened(name, _LONGEST_NAME):
        return name
    kept = _shortened(_OTHER.sub("-", normalize("NFC", name)).replace(".", "-"), _LONGEST_NAME // 2).strip("-")
    return f"{kept or 'name'}~{sha256(name.encode(errors='surrogatepass')).hexdigest()[:16]}"


def _shortened(name: str, most_bytes: int) -> str:
    """What file systems here can spell of the name, up to so many bytes."""
    encoding = sys.getfilesystemencoding()
    return name.encode(encoding, errors="ignore")[:most_bytes].decode(encoding, errors="ignore")


def _target_of(path: Path) -> tuple[Path, int | None]:
    """What is written where `path` is to be: the end of its links, and the mode of what is there now, if anything is.

    Raises:
        InputError: it is a folder, or nothing can be written there.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"a file must have a path of its own, and {str(path)!r} is a folder: name a file in it")
        if not os.access(path, os.W_OK):
            raise InputError(f"a file that is written over must be writable, and {str(path)!r} is not: name another")
        return (Path(os.path.realpath(path)) if stat.S_ISREG(mode) else path), mode
    except FileNotFoundError:
        return Path(os.path.realpath(path)), None
    except (OSError, ValueError) as error:
        raise _refusal(path, error) from error


def _partial_of(target: Path) -> tuple[Path, int]:
    """A new empty file beside the target, and a descriptor that keeps it locked: it is no killed writer's.

    Raises:
        InputError: none can be made.
    """
    start = f"{PARTIAL}{sha256(os.fsencode(target.name)).hexdigest()[:8]}-"
    try:
        for left in target.parent.glob(f"{start}*"):
            _remove_if_left(left)
        while True:
            partial = target.with_name(f"{start}{token_hex(4)}{_suffix_of(target)}")
            lock = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            if locks(lock) is not False and partial.exists():  # another writer may have taken it for one that was left
                return partial, lock
            os.close(lock)
    except OSError as error:
        raise _refusal(target, error) from error


def _remove_if_left(partial: Path) -> None:
    """Removes the file if no process writes it."""
    try:
        lock = os.open(partial, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # it is another user's, or has gone meanwhile
        return
    try:
        if locks(lock):
            partial.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _refusal(path: Path, error: OSError | ValueError) -> InputError:
    cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"a file must be one that can be written, got {str(path)!r}: {cause}")


def _suffix_of(path: Path) -> str:
    """The path's ending, by which libraries tell formats; "" where it is too long for one."""
    return path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_SUFFIX else ""


def digest_of(path: Path) -> str:
    """The SHA-256 of the file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Brings the file, or the folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
