"""Temporary folders: of one process, or of one user's on a machine; nobody else may enter them or name them beforehand.

What a killed process left is removed by the next one of that user that makes a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import TracebackType

from search_space.errors import InputError
from search_space.locks import locks

PREFIX = "shufflenet-nas-"
OWNER = ".owner"
"""The file in a temporary folder that its process keeps locked."""
BEGUN_SECONDS = 3600.0
"""Without that file a folder has just been made; after so long its process was killed right then."""


class Scratch:
    """A temporary folder of this process: a context that gives its path and removes it in the end, as `close` does.

    It lies where temporary files do, or in `parent`.
    """

    def __init__(self, parent: Path | None = None, prefix: str = PREFIX) -> None:
        place = parent or Path(tempfile.gettempdir())
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
            self._lock: int | None = os.open(self.path / OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if locks(self._lock) is not False and (self.path / OWNER).exists():
                break
            os.close(self._lock)  # another process has just taken it for one that was left
        _remove_left(place, prefix)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Removes the folder and what it holds."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            _remove(self.path)


def shared_folder(name: str) -> Path:
    """The folder of that name that this user's processes on this machine share, made where there is none.

    Raises:
        InputError: something else has that name, such as another user's folder, or a link.
    """
    path = Path(tempfile.gettempdir(), f"{PREFIX}{name}")
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if not is_own(path):
        raise InputError(
            f"{str(path)!r} must be a folder that only the user whose processes these are may enter: remove it, or set "
            "TMPDIR"
        )
    return path


@contextmanager
def libraries_use(folder: Path) -> Iterator[None]:
    """Has libraries that make temporary files by Python's `tempfile` make them in the folder, while inside."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def is_own(path: Path) -> bool:
    """Whether it is a folder, and no link to one, that belongs to this user and that nobody else may enter."""
    try:
        info = path.lstat()
    except OSError:
        return False
    may_others = info.st_mode & (stat.S_IRWXG | stat.S_IRWXO) if os.name == "posix" else 0
    return stat.S_ISDIR(info.st_mode) and is_owner(info) and not may_others


def is_owner(info: os.stat_result) -> bool:
    """Whether what this is known of belongs to this user."""
    return info.st_uid == _user()


@cache
def _user() -> int:
    """The number of this user, by what a file of theirs has; 0 where the system numbers none."""
    with tempfile.TemporaryFile() as file:
        return os.fstat(file.fileno()).st_uid


def _remove_left(place: Path, prefix: str) -> None:
    """Removes what processes of this user left that were killed, and nothing of a living one or another user."""
    with suppress(OSError), os.scandir(place) as entries:
        for path in [Path(entry.path) for entry in entries if entry.name.startswith(prefix)]:
            if is_own(path):
                _remove_if_left(path)


def _remove_if_left(path: Path) -> None:
    try:
        lock = os.open(path / OWNER, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime > BEGUN_SECONDS:
                path.rmdir()  # which one with something in it is not
        return
    except OSError:
        return
    try:
        if locks(lock):
            _remove(path)
    finally:
        os.close(lock)


def _remove(path: Path) -> None:
    """Removes the folder; where a process still writes into it, what tells that it was left stays for the next time."""
    with suppress(OSError):
        for inner in path.iterdir():
            if inner.is_dir() and not inner.is_symlink():
                shutil.rmtree(inner, ignore_errors=True)
            elif inner.name != OWNER:
                inner.unlink(missing_ok=True)
        if [inner.name for inner in path.iterdir()] == [OWNER]:
            (path / OWNER).unlink()
            path.rmdir()
