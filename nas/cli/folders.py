"""Whose the files of an output folder are: noted in it, so that no command writes over what another one left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_space.errors import InputError
from search_space.files import file_name, write_json
from search_space.reading import LARGE, read_json

NOTE = ".nas-files"
"""The file in an output folder that says whose its files are."""
SCHEMA = 1
FRONT, REPORT = "front.json", "report.html"
"""What every search leaves."""


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """The files that one owner, such as "the study 'mine'", has in a folder; others' are not touched.

    `key` tells owners of one name apart; those that have none are known by their names alone.
    """

    folder: Path
    owner: str
    key: str = ""

    def check(self, *names: str) -> None:
        """Refuses names of files that are there and are another's, and makes nothing.

        Raises:
            InputError: there is one, which this owner has not written.
        """
        noted = self._noted()
        for name in names:
            path = self.folder / name
            if path.is_dir():
                raise InputError(f"a file is written to {str(path)!r}, and there is a folder: name another --out")
            if not self._is_others(name, noted):
                continue
            whose = noted[name]["of"] if name in noted else "whoever put it there"
            if whose == self.owner:
                whose = f"{whose} of another database"
            raise InputError(
                f"what others wrote is left as it is, and {str(path)!r} is of {whose}, not of {self.owner}: "
                "name another --out, or move it away"
            )

    def free(self, names: Iterable[str]) -> list[str]:
        """Those of the names under which no file is another's."""
        noted = self._noted()
        return [name for name in names if not self._is_others(name, noted)]

    def take(self, *names: str) -> None:
        """Notes in the folder, which exists, that files of these names are this owner's from now on.

        Raises:
            InputError: as `check`.
        """
        self.check(*names)
        noted = self._noted()
        # A pipe or a device is nobody's, and its folder no output folder.
        files = [name for name in names if (self.folder / name).is_file() or not (self.folder / name).exists()]
        mine = {name: {"of": self.owner, "key": self.key} for name in files}
        if any(noted.get(name) != each for name, each in mine.items()):
            write_json(self.folder / NOTE, {"schema": SCHEMA, "files": {**noted, **mine}})

    def remove_others_than(self, names: Iterable[str], below: str) -> None:
        """Removes this owner's files in the folder `below`, but for those of these names; nobody else's."""
        noted, kept = self._noted(), set(names)
        mine = [name for name, each in noted.items() if name.startswith(f"{below}/") and self._is_own(each)]
        if not (stale := [name for name in mine if name not in kept]):
            return
        for name in stale:
            (self.folder / name).unlink(missing_ok=True)
        left = {name: each for name, each in noted.items() if name not in stale}
        write_json(self.folder / NOTE, {"schema": SCHEMA, "files": left})

    def _is_others(self, name: str, noted: Mapping[str, Mapping[str, str]]) -> bool:
        # What is no file, such as a pipe, holds nothing that could be lost.
        return (self.folder / name).is_file() and not self._is_own(noted.get(name))

    def _is_own(self, noted: Mapping[str, str] | None) -> bool:
        if noted is None or noted["of"] != self.owner:
            return False
        return not noted["key"] or not self.key or noted["key"] == self.key

    def _noted(self) -> dict[str, dict[str, str]]:
        """By name within the folder, whose each file is."""
        path = self.folder / NOTE
        if not path.is_file():
            return self._before_there_were_notes()
        content = read_json(path, "the note of whose a folder's files are", LARGE)
        files = content.get("files") if isinstance(content, dict) else None
        if not isinstance(files, dict) or not all(map(_is_entry, files.items())):
            raise InputError(f"{str(path)!r} must say whose the folder's files are, and does not: name another --out")
        return files

    def _before_there_were_notes(self) -> dict[str, dict[str, str]]:
        """What the front of a search of 0.1.0 says of the files that it lies beside."""
        path = self.folder / FRONT
        try:
            front = read_json(path, "a front", LARGE) if path.is_file() else {}
        except InputError:
            return {}
        if not isinstance(front, dict) or not isinstance(front.get("study"), str) or "provenance" not in front:
            return {}
        rows = front.get("front")
        names = [row.get("name") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        files = [FRONT, REPORT, *(f"front/{file_name(name)}.json" for name in names if isinstance(name, str))]
        return {name: {"of": owner_of(front["study"]), "key": ""} for name in files}


def owner_of(study: str) -> str:
    """What the owner of a study's files is called."""
    return f"the study {study!r}"


def _is_entry(item: tuple[Any, Any]) -> bool:
    name, each = item
    is_inside = not Path(name).is_absolute() and ".." not in Path(name).parts
    return is_inside and isinstance(each, dict) and all(isinstance(each.get(part), str) for part in ("of", "key"))
