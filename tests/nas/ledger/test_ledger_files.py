"""A table of the ledger in a file: what was entered comes back with its type, and no half file is ever left."""

import builtins
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from builders.filled_ledger import NOVEMBER, filled

from nas.ledger import files as ledger_files
from nas.ledger.files import check_file, write_entries
from search_space.errors import InputError
from studies.ledger.entries import Entries, Filters
from studies.ledger.entry import Entry, columns
from studies.storage.database import engine_of


@pytest.fixture
def kept(tmp_path: Path) -> list[Entry]:
    engine = engine_of(filled(tmp_path))
    found = list(Entries(engine).all(Filters()))
    engine.dispose()
    assert len(found) == 5
    return found


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_parquet_gives_back_what_was_entered(kept: list[Entry], tmp_path: Path) -> None:
    assert write_entries(kept, tmp_path / "ledger.parquet") == 5
    table = pyarrow.parquet.read_table(tmp_path / "ledger.parquet")
    assert [Entry(**row) for row in table.to_pylist()] == kept
    assert table.schema.field("seed").type == pyarrow.int64()
    assert table.schema.field("latency_ms").type == pyarrow.float64()
    assert table.schema.field("noisy").type == pyarrow.bool_()
    assert table.schema.field("network").type == pyarrow.string()
    assert table.column("seconds").to_pylist() == [12.5, 4.5, 0.75, 30.0, None]
    assert table.column("seed").to_pylist() == [0, None, 0, 1, None]


def test_csv_gives_back_what_was_entered(kept: list[Entry], tmp_path: Path) -> None:
    assert write_entries(kept, tmp_path / "ledger.csv") == 5
    rows = read_csv(tmp_path / "ledger.csv")
    assert list(rows[0]) == list(columns())
    readers: dict[type, Any] = {str: str, int: int, float: float, bool: {"true": True, "false": False}.__getitem__}
    read = [
        Entry(**{name: readers[columns()[name]](text) if text else None for name, text in row.items()}) for row in rows
    ]
    assert read == kept
    assert [row["seconds"] for row in rows] == ["12.5", "4.5", "0.75", "30.0", ""]
    assert [row["noisy"] for row in rows] == ["", "false", "", "", "true"]
    assert rows[0]["taken_at_epoch_s"] == str(NOVEMBER)


def test_text_that_csv_must_quote_survives(tmp_path: Path, kept: list[Entry]) -> None:
    odd = 'a "board", 2nd\nof ü'
    write_entries([Entry(**{**kept[1].to_dict(), "device": odd})], tmp_path / "ledger.csv")
    assert [row["device"] for row in read_csv(tmp_path / "ledger.csv")] == [odd]


def test_nothing_is_a_table_with_columns_and_no_rows(tmp_path: Path) -> None:
    for name in ("none.csv", "none.parquet"):
        assert write_entries([], tmp_path / name) == 0
    assert (tmp_path / "none.csv").read_text(encoding="utf-8").splitlines() == [",".join(columns())]
    table = pyarrow.parquet.read_table(tmp_path / "none.parquet")
    assert (table.num_rows, table.column_names) == (0, list(columns()))


def test_parquet_of_several_batches_holds_every_row(
    kept: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_files, "ROWS_AT_ONCE", 2)
    assert write_entries(kept, tmp_path / "ledger.parquet") == 5
    assert [Entry(**row) for row in pyarrow.parquet.read_table(tmp_path / "ledger.parquet").to_pylist()] == kept


@pytest.mark.parametrize("name", ["ledger.csv", "ledger.parquet"])
def test_a_write_that_fails_leaves_the_file_that_was_there(name: str, kept: list[Entry], tmp_path: Path) -> None:
    def broken() -> Iterator[Entry]:
        yield kept[0]
        raise RuntimeError("the database went away")

    file = tmp_path / "out" / name
    file.parent.mkdir()
    file.write_text("before", encoding="utf-8")
    with pytest.raises(RuntimeError, match="went away"):
        write_entries(broken(), file)
    assert file.read_text(encoding="utf-8") == "before"
    assert list(file.parent.iterdir()) == [file]
    write_entries(kept, file)
    assert not file.read_bytes().startswith(b"before")
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("name", ["ledger.xlsx", "ledger", "ledger.CSV.gz"])
def test_a_file_of_another_ending_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"must end in \.csv or \.parquet, got '" + name):
        check_file(Path(name))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "old.csv").mkdir()
    with pytest.raises(InputError, match="must not be a folder"):
        check_file(tmp_path / "old.csv")


def test_only_parquet_needs_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    check_file(Path("ledger.csv"))
    with pytest.raises(InputError, match=r"needs pyarrow.*'ledger\.parquet'.*pip install -e '\.\[parquet\]'"):
        check_file(Path("ledger.parquet"))
