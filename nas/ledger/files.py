"""Entries of the ledger as a CSV or Parquet file, written aside and then renamed."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from search_space.errors import InputError
from search_space.files import replacing
from studies.ledger.entry import Entry, columns

ROWS_AT_ONCE = 5_000
_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How what a spreadsheet takes for a formula begins."""


def check_file(path: Path) -> None:
    """Refuses a file that no table can be written to, and makes nothing.

    Raises:
        InputError: a table cannot be written to a file of this name, or what writes it is not installed.
    """
    if path.suffix not in WRITERS:
        raise InputError(f"a file for the ledger must end in {' or '.join(WRITERS)}, got {str(path)!r}")
    if path.is_dir():
        raise InputError(f"a file for the ledger must not be a folder, and {str(path)!r} is one: name a file in it")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"a Parquet file needs pyarrow, which is not installed, got {str(path)!r}: "
                "python -m pip install -e '.[parquet]', or name a .csv file"
            ) from error


def write_entries(entries: Iterable[Entry], path: Path) -> int:
    """How many entries `path` holds now, one a row under the names of `studies.ledger.entry.columns`.

    What is unknown is an empty cell in CSV and null in Parquet. A file that was there is replaced by a whole one or not
    at all.
    """
    with replacing(path) as partial:
        return WRITERS[path.suffix](iter(entries), partial)


def _write_csv(entries: Iterator[Entry], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns())
        writer.writeheader()
        for count, entry in enumerate(entries, start=1):  # noqa: B007
            writer.writerow({name: _cell(value) for name, value in entry.to_dict().items()})
    return count


def _cell(value: str | int | float | bool | None) -> str | int | float | None:
    """JSON's words for truth, which readers of CSV know better than Python's; no text that a spreadsheet computes."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(_COMPUTED) else value


def _write_parquet(entries: Iterator[Entry], path: Path) -> int:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns().items()])
    count = 0
    with ParquetWriter(path, schema) as writer:
        while rows := [entry.to_dict() for entry in islice(entries, ROWS_AT_ONCE)]:
            writer.write_table(pyarrow.Table.from_pylist(rows, schema))
            count += len(rows)
    return count


WRITERS: Mapping[str, Callable[[Iterator[Entry], Path], int]] = MappingProxyType(
    {".csv": _write_csv, ".parquet": _write_parquet}
)
"""A file's ending and what writes it."""
