"""What a folder holds, as a value: all its folders and files, by name, size and time of change."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proxies.data.folder.known_names import as_text
from search_space.errors import InputError

DEEPEST = 64
"""No data set nests folders so deeply."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that is there; `is_regular` is false for a link to nowhere, a pipe, a device.

    `changed` says when it was changed, by both times that a disk keeps of that: the first may be set to what it was.
    """

    path: Path
    size: int = 1
    changed: str = ""
    is_regular: bool = True


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with its folders and files, each by name; `circles` are links to a folder that this one lies in."""

    path: Path
    folders: tuple[Folder, ...] = ()
    files: tuple[File, ...] = ()
    circles: int = 0

    @property
    def name(self) -> str:
        """Its last name."""
        return self.path.name

    def all_files(self) -> Iterator[File]:
        """Its files, and those of the folders within."""
        yield from self.files
        for folder in self.folders:
            yield from folder.all_files()


def scan(path: Path, above: tuple[tuple[int, int], ...] = ()) -> Folder:
    """The folder as it is on disk. Links are followed, but not in circles; `above` are the folders it lies in.

    Raises:
        InputError: it is no folder, or one in it cannot be listed.
    """
    if not path.is_dir():
        raise InputError(f"an image folder must exist, but {as_text(path)} does not; correct the path")
    try:
        facts = path.stat()
        here = (*above, (facts.st_dev, facts.st_ino))
        entries = {entry.name: _is_folder(entry) for entry in os.scandir(path)}
        inside = [path / name for name in sorted(entries) if entries[name]]
        followed = [each for each in inside if len(here) < DEEPEST and _identity(each) not in here]
        files = tuple(_file(path / name) for name in sorted(entries) if not entries[name])
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"every folder must be readable, but {as_text(path)} is not ({reason}); allow it") from error
    return Folder(path, tuple(scan(each, here) for each in followed), files, len(inside) - len(followed))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def _file(path: Path) -> File:
    try:
        facts = path.stat()
    except OSError:  # a link to nowhere, or in a circle; or a file that has just gone
        return File(path, is_regular=False)
    return File(path, facts.st_size, f"{facts.st_mtime_ns} {facts.st_ctime_ns}", stat.S_ISREG(facts.st_mode))
