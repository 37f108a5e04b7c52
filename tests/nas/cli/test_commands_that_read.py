"""Commands that read a database change neither it nor its folder, and know what this project has not made."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path

import optuna
import pytest
from builders.filled_ledger import fill
from builders.fronts import kept_study

from search_space import InputError
from studies.dashboard.annotated_storage import AnnotatedStorage
from studies.storage.database import engine_of, sqlite_url
from studies.storage.studies import load_study, open_storage, open_study, open_to_read

SETTINGS = {"budget": "140mflops", "data": "fashion-mnist-12k", "resolution": 224, "classes": 1000, "seed": 0}
STUDIES: dict[str, tuple[str, ...]] = {
    "nas.report": ("--out", "{out}/report.html"),
    "nas.export": ("--out", "{out}/export"),
    "nas.latency bundle": ("--out", "{out}/bundle"),
    "nas.compare": ("--study", "one", "--out", "{out}/compare"),
    "nas.dashboard": (),
}
LEDGERS: dict[str, tuple[str, ...]] = {
    "nas.ledger list": (),
    "nas.ledger export": ("{out}/ledger.csv",),
    "nas.latency list": (),
    "nas.latency predict": (),
}


def status_of(line: str, storage: str, out: Path) -> int:
    name, *words = line.split()
    flags = [flag.format(out=out) for flag in {**STUDIES, **LEDGERS}[line]]
    return int(import_module(f"{name}.__main__").main([*words, *flags, "--storage", storage]))


def content_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted([folder, *folder.rglob("*")])
    }


def _optuna(path: Path) -> None:
    storage = optuna.storages.RDBStorage(sqlite_url(path))
    study = optuna.create_study(storage=storage, study_name="theirs", directions=["maximize", "minimize"])
    study.set_user_attr("settings", {"lr": 0.1})
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=2)
    storage.engine.dispose()


def _older_optuna(path: Path) -> None:
    _optuna(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")


def _shop(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")


def _hospital(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE studies (id INTEGER)")


FOREIGN: dict[str, Callable[[Path], object]] = {
    "a study of Optuna's": _optuna,
    "a study of an older Optuna": _older_optuna,
    "tables of a shop": _shop,
    "another table of studies": _hospital,
    "no database": lambda path: path.write_text("no database " * 100),
    "an image": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200)),
    "no file": lambda path: None,
    "a folder": lambda path: path.mkdir(),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for a database; beside it, where a command works, there is nothing."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "theirs").mkdir()
    yield tmp_path / "theirs"
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("line", [*STUDIES, *LEDGERS])
@pytest.mark.parametrize("case", FOREIGN)
def test_what_this_project_has_not_made_is_said_to_hold_no_study_and_stays(
    line: str, case: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FOREIGN[case](place / "x.db")
    before = content_of(place)
    assert status_of(line, sqlite_url(place / "x.db"), place.parent / "out") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert "x.db' holds no study of this project: " in printed.err
    assert content_of(place) == before
    assert not (place.parent / "out").exists()


@pytest.mark.parametrize("case", ["a study of an older Optuna", "tables of a shop", "another table of studies"])
def test_a_storage_that_is_not_ours_to_write_to_is_not_touched(case: str, place: Path) -> None:
    FOREIGN[case](place / "x.db")
    before = content_of(place)
    with pytest.raises(ValueError, match="storage"):
        open_storage(sqlite_url(place / "x.db"))
    assert content_of(place) == before


@pytest.fixture(params=["ended", "killed", "running"])
def kept(request: pytest.FixtureRequest, place: Path) -> Iterator[str]:
    """The URL of a study with a ledger whose last writer has ended, was killed, or is there."""
    url = kept_study(place, SETTINGS)
    engine = engine_of(url)
    fill(engine)
    if request.param == "ended":
        engine.dispose()
        yield url
        return
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM studies").all()
        if request.param == "killed":  # leaves its two files beside the database
            files = {path: path.read_bytes() for path in place.iterdir()}
        else:
            yield url
    engine.dispose()
    if request.param == "killed":
        for path, content in files.items():
            path.write_bytes(content)
        yield url


def test_reading_changes_neither_a_database_nor_its_folder(
    kept: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content_of(place)
    for line in ("nas.report", "nas.export", *LEDGERS):
        status = status_of(line, kept, place.parent / "out")
        assert status == (2 if line == "nas.latency predict" else 0), (line, capsys.readouterr().err)
        assert content_of(place).keys() == before.keys(), line
        assert content_of(place)["study.db"] == before["study.db"], line
    storage = AnnotatedStorage(kept)
    assert len(storage.get_all_studies()) == 3
    with pytest.raises(InputError, match="shown here and not changed"):
        storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "mine")
    storage.engine.dispose()
    assert content_of(place).keys() == before.keys()


def test_a_study_on_a_server_is_read_in_transactions_that_cannot_write(server_url: str) -> None:
    storage = open_storage(server_url)
    open_study(storage, "one", SETTINGS, resume=False)
    reading = open_to_read(server_url)
    study = load_study(reading, "one")
    with pytest.raises(optuna.exceptions.StorageInternalError):
        study.set_user_attr("x", 1)
    for each in (storage, reading):
        each.engine.dispose()
