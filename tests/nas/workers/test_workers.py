"""Worker processes: they answer, fail as values, are replaced, and never outlive their parent."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders.places import ROOT, TESTS
from builders.settings import setup_from
from processes.evaluators import ECHO, Sleeps, Swallows, pids

import nas.workers.local as workers_module
from nas.workers.local import EVALUATOR, LocalWorker, LocalWorkers
from nas.workers.protocol import Failure, Worker, Workers
from search_space import InputError

WAIT_SECONDS = 300
"""What nothing here takes: it only keeps a failing test from standing still."""
ORPHANS = """
import sys
from builders.settings import setup_from
from processes.evaluators import ECHO, Sleeps, pids
from nas.workers.local import LocalWorkers
if __name__ == "__main__":
    with LocalWorkers(setup_from("--workers", "2"), ECHO) as workers:
        for worker in workers.all:
            worker.call("what")
        workers.all[0].send("what", Sleeps())  # one in the midst of a call, one idle
        print(*pids(), flush=True)
        sys.stdin.read()
"""


def result_of(workers: Workers, worker: Worker, *call: Any) -> Any:
    worker.send(*call)
    assert workers.ready([worker], WAIT_SECONDS) == [worker]
    return worker.receive()


@pytest.mark.slow
def test_a_worker_answers_fails_as_a_value_and_is_replaced_when_killed() -> None:
    with LocalWorkers(setup_from("--workers", "1")) as workers:
        (worker,) = workers.all
        (pid,) = pids()
        facts = worker.call("data_facts")
        assert (facts["training_images"], facts["validation_images"], facts["image_size"]) == (10_000, 2_000, 28)

        failure = result_of(workers, worker, "no_such_method")
        assert failure == Failure("AttributeError: 'Evaluator' object has no attribute 'no_such_method'")
        with pytest.raises(RuntimeError, match="no_such_method"):
            worker.call("no_such_method")
        os.kill(pid, signal.SIGINT)  # Ctrl-C reaches the whole group
        assert worker.call("data_facts") == facts

        worker.send("data_facts", Sleeps())
        assert workers.ready([worker], 0.0) == []
        os.kill(pid, signal.SIGKILL)
        assert workers.ready([worker], WAIT_SECONDS) == [worker]
        assert worker.receive() == Failure("the worker process died with exit code -9")
        assert not worker.alive
        workers.replace_dead([worker])
        assert workers.all == [worker], "what it was asked is lost where its end is not received"
        workers.replace_dead([])
        (other,) = workers.all
        assert other is not worker
        assert pids() != {pid}
        assert other.call("data_facts") == facts

        workers.replace_dead([])
        assert workers.all == [other]
        other.send("data_facts", Sleeps())  # leaving ends it in the midst of a call
    assert pids() == set()


def test_a_call_of_a_worker_that_died_idle_is_a_failure(tmp_path: Path) -> None:
    worker = LocalWorker(EVALUATOR, setup_from(), tmp_path / "worker", core=None)
    (pid,) = pids()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        worker.send("data_facts")
        assert worker.receive() == Failure("the worker process died with exit code -9")
    finally:
        worker.stop()


@pytest.mark.slow
def test_a_worker_that_swallows_its_exit_is_stopped_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "LAST_SECONDS", 0.5)
    worker = LocalWorker(ECHO, setup_from(), tmp_path / "worker", core=None)
    worker.call("what")
    worker.send("what", Swallows())
    worker.stop()
    assert pids() == set()


def test_an_evaluator_is_made_by_name_in_the_worker_of_whatever_settings() -> None:
    settings = SimpleNamespace(workers=2, text="anything")
    with LocalWorkers(settings, ECHO) as workers:
        assert len(workers.all) == 2
        for worker in workers.all:
            assert worker.call("what", 1, "two") == (settings, True, False, (1, "two"))
    assert pids() == set()


@pytest.mark.parametrize("name", ["no_such_module:Echo", "processes.evaluators:NoSuchClass"])
def test_a_worker_whose_evaluator_cannot_be_made_is_a_failure(name: str, tmp_path: Path) -> None:
    worker = LocalWorker(name, setup_from(), tmp_path / "worker", core=None)
    try:
        worker.send("what")
        assert worker.receive() == Failure("the worker process died with exit code 1")
    finally:
        worker.stop()


@pytest.mark.slow
def test_a_mistake_of_the_users_is_told_from_other_failures(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_text("no image")
    with LocalWorkers(setup_from("--workers", "1", "--data", f"folder:{tmp_path}")) as workers:
        failure = result_of(workers, workers.all[0], "data_facts")
        assert failure.is_input_error
        with pytest.raises(InputError) as mistake:
            workers.all[0].call("data_facts")
        assert str(mistake.value) == failure.cause
        assert str(tmp_path) in failure.cause


@pytest.mark.slow
def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS)
    path = os.pathsep.join(map(str, (ROOT, TESTS)))
    parent = subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
        try:
            # The workers have the parent's stdout: it ends when the last of them does.
            assert parent.communicate(timeout=WAIT_SECONDS)[0] == ""
        except subprocess.TimeoutExpired:
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            pytest.fail("a worker outlived its parent")
