"""Where a command's results lie: the database that is meant where nobody says, and the folders that are written to."""

from __future__ import annotations

import argparse
from pathlib import Path

from search_space.errors import InputError

CALIBRATIONS = "sqlite:///runs/calibrations.db"
"""The database that keeps calibrations and their trainings."""


def default_storage(study: str | None) -> str:
    """The URL of the SQLite file of a study under `runs`, or of the only one there is.

    Raises:
        InputError: there is not exactly one.
    """
    found = sorted(Path("runs").glob(f"{study or '*'}/study.db"))
    if len(found) != 1:
        listed = ", ".join(str(path) for path in found) or "none"
        raise InputError(f"say which study with --study or --storage: under runs there is {listed}")
    return f"sqlite:///{found[0]}"


def storage_of(flags: argparse.Namespace) -> str:
    """The URL of the database that --storage names, else that of the study that --study names.

    Raises:
        InputError: neither is named, and there is not exactly one.
    """
    return flags.storage or default_storage(flags.study)


def folders_of(storage: str, *others: Path) -> list[Path]:
    """The folders that are written to: the others, and that of the database where it is a file."""
    from studies.storage.database import parsed_url  # here, for SQLAlchemy takes its time to import

    url = parsed_url(storage)
    file = url.database if url.get_backend_name() == "sqlite" else None
    return [*others, *([Path(file).parent] if file else [])]
