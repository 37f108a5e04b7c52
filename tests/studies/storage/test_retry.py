"""A database that goes and comes back is waited for; one that is full, or stays away, is one line."""

import errno
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from builders.places import ROOT
from optuna.study import Study
from optuna.trial import Trial, TrialState
from processes import postgresql

from nas.cli.command import Parser, run_command
from search_space import InputError
from studies.storage.coordinators import Coordinator
from studies.storage.database_errors import is_away, is_full, reason_of
from studies.storage.retry import Retry
from studies.storage.studies import open_storage, open_study, references_of
from studies.storage.trials import tell

URL = "postgresql+psycopg://me:secret@127.0.0.1:1/nas"

refused = sqlalchemy.exc.OperationalError("SELECT 1", {}, OSError(errno.ECONNREFUSED, "connection refused"))


class Flaky:
    """A step that fails some times before it succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def sqlite_error(*statements: str) -> sqlalchemy.exc.DBAPIError:
    """What SQLAlchemy raises for the last statement, in a database of at most three pages."""
    engine = sqlalchemy.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 3")
            for statement in statements:
                connection.exec_driver_sql(statement)
    except sqlalchemy.exc.DBAPIError as error:
        return error
    finally:
        engine.dispose()
    raise AssertionError("no error")


def filled() -> sqlalchemy.exc.DBAPIError:
    return sqlite_error("CREATE TABLE t (x)", "INSERT INTO t VALUES (zeroblob(100000))")


# Steps


def test_a_step_that_succeeds_is_done_once_and_nothing_is_told() -> None:
    lines: list[str] = []
    step = Flaky()
    assert Retry(URL, lines.append)(step) == "done"
    assert (step.calls, lines) == (1, [])


def test_a_step_is_tried_again_with_a_line_at_the_first_failure_and_one_at_the_end() -> None:
    lines: list[str] = []
    step = Flaky(refused, refused)
    assert Retry(URL, lines.append, 60.0)(step) == "done"
    assert step.calls == 3
    went, came = lines
    assert went == (
        "the database postgresql+psycopg://me:***@127.0.0.1:1/nas does not answer: [Errno 111] connection refused; "
        "trying again for 60 s"
    )
    assert came.startswith("the database postgresql+psycopg://me:***@127.0.0.1:1/nas answers again, after ")


def test_patience_ends_with_one_line() -> None:
    lines: list[str] = []
    with pytest.raises(InputError, match=r"^a study needs its database, .*did not answer for 0 s: .*--resume[^\n]*$"):
        Retry(URL, lines.append, 0.0)(Flaky(*[refused] * 100))
    assert len(lines) == 1


@pytest.mark.parametrize("error", [ValueError("no"), sqlite_error("SELECT * FROM nowhere"), KeyError("x")])
def test_what_waiting_does_not_mend_is_raised_at_once(error: Exception) -> None:
    step = Flaky(error)
    with pytest.raises(type(error)):
        Retry(URL, print)(step)
    assert step.calls == 1


@pytest.mark.parametrize("error", [filled(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_lack_of_room_is_told_at_once(error: Exception) -> None:
    step = Flaky(error)
    with pytest.raises(InputError, match=r"^a study needs room to be kept, and the database .*--resume goes on$"):
        Retry(URL, print)(step)
    assert step.calls == 1


# What errors mean


def test_a_full_sqlite_database_is_full_and_a_locked_one_is_away(tmp_path: Path) -> None:
    assert is_full(filled())
    assert reason_of(filled()) == "database or disk is full"
    assert not is_away(filled())
    file = tmp_path / "a.db"
    holder = sqlite3.connect(file)
    holder.execute("BEGIN EXCLUSIVE")
    engine = sqlalchemy.create_engine(f"sqlite:///{file}", connect_args={"timeout": 0})
    with pytest.raises(sqlalchemy.exc.OperationalError) as locked, engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    holder.close()
    engine.dispose()
    assert is_away(locked.value)
    assert not is_full(locked.value)


def test_a_full_server_is_full_and_one_without_the_database_is_no_matter_of_patience() -> None:
    psycopg = pytest.importorskip("psycopg", reason="python -m pip install -e '.[postgresql]'")

    def wrapped(error: Exception) -> Exception:
        return sqlalchemy.exc.OperationalError("INSERT", {}, error)

    assert is_full(wrapped(psycopg.errors.DiskFull("could not extend file")))
    assert not is_away(wrapped(psycopg.errors.DiskFull("could not extend file")))
    assert not is_away(wrapped(psycopg.errors.InvalidPassword("password authentication failed")))
    assert is_away(wrapped(psycopg.errors.AdminShutdown("terminating connection")))
    assert is_away(wrapped(psycopg.errors.CannotConnectNow("the database system is starting up")))


def test_what_optuna_makes_of_an_error_means_the_same() -> None:
    wrapped = optuna.exceptions.StorageInternalError("An exception is raised during the commit.")
    wrapped.__cause__ = refused
    assert is_away(wrapped)
    wrapped.__cause__ = filled()
    assert is_full(wrapped)
    assert not is_away(wrapped)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_file_system_is_full(number: int) -> None:
    assert is_full(OSError(number, "no room"))
    assert not is_full(OSError(errno.ENOENT, "no file"))


# Commands


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (filled(), "results need room to be kept, and there is none left: database or disk is full; free some, "),
        (OSError(errno.ENOSPC, "No space left"), "results need room to be kept, and there is none left: "),
        (
            refused,
            "results need their database, and it does not answer: [Errno 111] connection refused; once it does, ",
        ),
    ],
)
@pytest.mark.parametrize("resumes", [True, False])
def test_a_command_tells_a_lack_in_one_line_and_exits_with_2(
    error: Exception, text: str, resumes: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = Parser(prog="test")
    if resumes:
        parser.add_argument("--resume", action="store_true")

    def fails(_: Any) -> int:
        raise error

    assert run_command(parser, fails, []) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"test: {text}")
    assert line.endswith("the same line with --resume goes on\n" if resumes else "give the same line again\n")
    assert line.count("\n") == 1


# A real server that goes and comes back


def asked(coordinator: Coordinator, study: Study) -> Trial:
    with coordinator.asking():
        coordinator.requeue_orphans()
        trial = coordinator.ask(study)
        trial.suggest_float("x", 0, 1)
    return trial


def test_a_server_that_goes_and_comes_back_costs_no_trial(server: postgresql.Server, server_url: str) -> None:
    storage = open_storage(server_url)
    study = open_study(storage, "one", {}, resume=False)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    lines: list[str] = []
    missed = threading.Event()

    def told(line: str) -> None:
        lines.append(line)
        missed.set()

    def come_back() -> None:
        missed.wait(60.0)
        server.start()

    retry = Retry(server_url, told, 60.0)
    with Coordinator(study, references_of(study, storage), beat_seconds=0.1) as coordinator:
        before = retry(lambda: asked(coordinator, study))
        server.stop()
        comes_back = threading.Thread(target=come_back)
        comes_back.start()
        assert retry(lambda: coordinator.tell(study, before, [0.5, 1.0], TrialState.COMPLETE, {"told": 1}))
        after = retry(lambda: asked(coordinator, study))
        comes_back.join()
        assert retry(lambda: coordinator.tell(study, after, [0.5, 1.0], TrialState.COMPLETE, {"told": 1}))
        assert coordinator.others() == 0
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    went, came = lines
    assert "does not answer: " in went
    assert "answers again, after " in came
    storage.engine.dispose()


def test_a_server_that_goes_amid_a_question_leaves_no_half_trial(server: postgresql.Server, server_url: str) -> None:
    storage = open_storage(server_url)
    study = open_study(storage, "one", {}, resume=False)
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    retry = Retry(server_url, lambda _: None, 60.0)
    with Coordinator(study, references_of(study, storage), beat_seconds=3600) as coordinator:
        crashes = [server]

        def ask() -> Trial:
            with coordinator.asking():
                trial = coordinator.ask(study)
                if crashes:
                    crash = crashes.pop()
                    crash.kill()
                    crash.start()
                trial.suggest_float("x", 0, 1)
            return trial

        trial = retry(ask)
        assert [(each.state, each.params) for each in study.trials] == [(TrialState.RUNNING, trial.params)]
    storage.engine.dispose()


def test_a_result_whose_answer_was_lost_is_not_told_twice(url: str) -> None:
    storage = open_storage(url)
    study = open_study(storage, "one", {}, resume=False)
    trial = study.ask()
    lost = [refused]

    def tells() -> bool:
        ended = tell(study, trial, [0.5, 1.0], TrialState.COMPLETE, {"told": 1})
        if lost:
            raise lost.pop()
        return ended

    assert not Retry(url, lambda _: None)(tells)
    (kept,) = study.trials
    assert (kept.state, kept.values, kept.user_attrs) == (TrialState.COMPLETE, [0.5, 1.0], {"told": 1})
    storage.engine.dispose()


# A real disk that is full

FILLS = """
import resource, sys
from nas.cli.command import Parser, run_command
from studies.storage.studies import open_storage, open_study
from studies.storage.trials import tell
from optuna.trial import TrialState

def run(flags):
    study = open_study(open_storage(sys.argv[1]), "one", {}, resume=True)
    print(len(study.trials), flush=True)
    size = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    for _ in range(int(sys.argv[3])):
        tell(study, study.ask(), [0.5, 1.0], TrialState.COMPLETE, {"filler": "x" * 20_000})
    return 0

parser = Parser(prog="test")
parser.add_argument("--resume", action="store_true")
sys.exit(run_command(parser, run, []))
"""


def test_a_full_disk_is_one_line_and_what_was_kept_is_there_with_room(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"

    def fill(size: int, trials: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", FILLS, url, str(size), str(trials)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    full = fill(1_000_000, 1000)
    assert full.returncode == 2, full.stderr
    assert full.stderr.startswith("test: results need room to be kept, and there is none left: ")
    assert full.stderr.endswith("the same line with --resume goes on\n")
    assert full.stderr.count("\n") == 1
    more = fill(1_000_000_000, 1)
    assert (more.returncode, more.stderr) == (0, "")
    kept = int(more.stdout)
    assert 5 < kept < 100
    storage = open_storage(url)
    states = [trial.state for trial in open_study(storage, "one", {}, resume=True).trials]
    storage.engine.dispose()
    assert states.count(TrialState.COMPLETE) >= kept
