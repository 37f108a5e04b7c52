"""Databases by URL: what cannot be opened is told in one line, without the password."""

from pathlib import Path

import pytest

from search_space import InputError
from studies.storage.database import engine_of, file_of, parsed_url, sqlite_url, written
from studies.storage.studies import open_storage, open_to_read


def test_an_engine_opens_its_database(tmp_path: Path) -> None:
    engine = engine_of(f"sqlite:///{tmp_path}/a.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    engine.dispose()


@pytest.mark.parametrize("url", ["", "no url", "sqlite:////nowhere/at/all/a.db", "no-such-database://here"])
def test_what_is_no_database_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(InputError, match=r"^a storage is the URL of a database.*$"):
        engine_of(url)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database")
    with pytest.raises(InputError, match="file is not a database"):
        engine_of(f"sqlite:///{tmp_path}/x.db")


def test_a_password_is_not_told() -> None:
    pytest.importorskip("psycopg", reason="python -m pip install -e '.[postgresql]'")
    with pytest.raises(InputError) as refused:
        engine_of("postgresql+psycopg://me:secret@127.0.0.1:1/nas")
    assert "me:***@127.0.0.1" in str(refused.value)
    assert "secret" not in str(refused.value)


PATHS = ("try?1", "a#b", "100%", "a b", "%20", "caf\u00e9", "{x}", "file:x", ":memory:", "a&b=c", "C:\\runs", "+x", "~")


@pytest.mark.parametrize("name", PATHS)
def test_a_database_lies_in_the_file_whose_path_its_url_was_made_of(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path(name), tmp_path / name):
        url = sqlite_url(folder / "study.db")
        assert file_of(url) == folder / "study.db"
        assert file_of(written(url)) == folder / "study.db"
    (tmp_path / name).mkdir()
    storage = open_storage(sqlite_url(Path(name, "study.db")))
    storage.engine.dispose()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert [path.name for path in (tmp_path / name).iterdir()] == ["study.db"]


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite:///:memory:", "sqlite:///file::memory:"),
        *("sqlite:///file::memory:?cache=shared&uri=true", "sqlite:///file:x?mode=memory&uri=true"),
    ],
)
def test_a_database_in_memory_is_refused(url: str) -> None:
    for open_it in (file_of, engine_of, open_storage, open_to_read):
        with pytest.raises(InputError, match=r"^a storage is kept, .* is in memory, .*: name a file"):
            open_it(url)


def test_an_at_sign_in_a_password_that_is_not_written_as_a_code_is_refused() -> None:
    with pytest.raises(InputError, match="%40") as refused:
        parsed_url("postgresql://nas:hun@ter2@host/db")
    assert "ter2" not in str(refused.value)


def test_a_port_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match=r"^the port in a database's URL .*'postgresql://nas:\*\*\*@host:54x/db'"):
        parsed_url("postgresql://nas:hunter2@host:54x/db")
