"""One process at a time on a study's SQLite file."""

import subprocess
import sys
from pathlib import Path

import pytest
from builders.places import ROOT

from search_space import InputError
from studies.storage.studies import locked

HOLDER = """
import sys
from studies.storage.studies import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


def test_a_second_process_gets_in_only_after_the_first_was_killed(url: str) -> None:
    command = [sys.executable, "-c", HOLDER, url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=r"another is on '[^']*study.db'.*PostgreSQL"), locked(url):
            pass
        holder.kill()
    with locked(url):
        pass


def test_a_lock_is_given_back_after_an_error(url: str) -> None:
    with pytest.raises(ZeroDivisionError), locked(url):
        raise ZeroDivisionError
    with locked(url):
        pass


def test_two_sqlite_files_are_locked_apart(tmp_path: Path) -> None:
    with locked(f"sqlite:///{tmp_path}/one.db"), locked(f"sqlite:///{tmp_path}/two.db"):
        pass


def test_a_server_needs_no_lock() -> None:
    url = "postgresql+psycopg://host/name"
    with locked(url), locked(url):
        pass


def test_a_file_has_one_lock_however_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    with locked("sqlite:///real.db"):
        for url in (f"sqlite:///{tmp_path}/real.db", "sqlite:///./real.db", "sqlite:///link.db"):
            with pytest.raises(InputError, match="one process at a time"), locked(url):
                pass


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/study.db"])
def test_a_storage_that_cannot_be_locked_is_a_mistake_of_the_users(url: str) -> None:
    with pytest.raises(InputError, match="storage"), locked(url):
        pass
