"""Databases by URL: what cannot be opened is told in one line, without the password."""

from pathlib import Path

import pytest

from search_space import InputError
from studies.storage.database import engine_of


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
