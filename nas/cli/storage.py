"""Where a command's results lie: the database that is meant where nobody says, and the folders that are written to."""

from __future__ import annotations

import argparse
import glob
import os
from pathlib import Path

from nas.cli.command import Parser
from search_space.errors import InputError
from search_space.files import file_name

CALIBRATIONS = "sqlite:///runs/calibrations.db"
"""The database that keeps calibrations and their trainings."""
RUNS = "the SQLite file of runs/STUDY, or the only one under runs"
"""How help calls the database of `default_storage`."""
NAS_STORAGE = "NAS_STORAGE"
"""The environment variable that stands in for --storage, so that no process list shows a password."""


def add_storage_flag(parser: Parser, what: str, otherwise: str | None = None) -> None:
    """Adds --storage, for `what` in the database; `otherwise` says which it is where nobody names one."""
    default = f"${NAS_STORAGE}" + (f", else {otherwise}" if otherwise else "")
    parser.add_argument("--storage", help=f"database URL {what} (default: {default})")


def storage_named(flags: argparse.Namespace) -> str | None:
    """The URL of the database that --storage or else the environment names; None where neither does."""
    return flags.storage or os.environ.get(NAS_STORAGE) or None


def needed_storage(flags: argparse.Namespace) -> str:
    """The URL of the database that --storage or else the environment names.

    Raises:
        InputError: neither does.
    """
    if url := storage_named(flags):
        return url
    raise InputError(f"a database is needed here, and none is named: give --storage URL, or set {NAS_STORAGE}")


def default_storage(study: str | None) -> str:
    """The URL of the SQLite file of a study under `runs`, or of the only one there is.

    Raises:
        InputError: there is not exactly one.
    """
    found = sorted(Path("runs").glob(f"{glob.escape(file_name(study)) if study else '*'}/study.db"))
    if len(found) != 1:
        listed = ", ".join(str(path) for path in found) or "none"
        raise InputError(f"say which study with --study or --storage: under runs there is {listed}")
    from studies.storage.database import sqlite_url  # here, for SQLAlchemy takes its time to import

    return sqlite_url(found[0])


def storage_of(flags: argparse.Namespace) -> str:
    """The URL of the database that --storage or the environment names, else that of the study that --study names.

    Raises:
        InputError: neither is named, and there is not exactly one.
    """
    return storage_named(flags) or default_storage(flags.study)


def folders_of(storage: str, *others: Path) -> list[Path]:
    """The folders that are written to: the others, and that of the database where it is a file."""
    from studies.storage.database import file_of

    file = file_of(storage)
    return [*others, *([file.parent] if file else [])]
