"""Which core a worker trains on, and which one is kept for latencies."""

import multiprocessing
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nas.workers.cores import cores_here
from nas.workers.local import LocalWorkers
from proxies.latency.machine import KEPT_CORE, quietest_core
from proxies.latency.timing_core import timing_core


@pytest.mark.parametrize(
    ("cores", "training", "timing"), [({3}, (3,), None), ({0, 1, 5}, (0, 1, 5), None), ({0, 1, 4, 5}, (0, 1, 4), 5)]
)
def test_of_four_cores_the_last_is_kept(
    monkeypatch: pytest.MonkeyPatch, cores: set[int], training: tuple[int, ...], timing: int | None
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: cores, raising=False)
    here = cores_here()
    assert (here.training, here.timing) == (training, timing)
    assert [here.of(worker) for worker in range(len(training) + 1)] == [*training, training[0]]


def test_a_system_that_pins_no_process_keeps_no_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert (cores_here().training, cores_here().timing) == ((None,) * 8, None)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_workers_train_on_their_own_core_and_time_on_the_kept_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = sorted(os.sched_getaffinity(0))
    four = (mine * 4)[:4]  # as if there were four, whatever there is
    monkeypatch.setattr("nas.workers.local.cores_here", lambda: SimpleNamespace(of=four.__getitem__, timing=mine[-1]))
    with LocalWorkers(SimpleNamespace(workers=3), "processes.evaluators:Where") as workers:
        assert [worker.call("cores") for worker in workers.all] == [({core}, mine[-1]) for core in four[:3]]


def test_without_a_kept_core_the_quietest_is_timed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEPT_CORE, raising=False)
    with timing_core() as core:
        assert (core is None) == (quietest_core() is None)


def hold(places: Any) -> None:
    for _ in range(5):
        with timing_core():
            places.append("in")
            time.sleep(0.01)
            places.append("out")


def test_on_the_kept_core_processes_take_turns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(KEPT_CORE, "0")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    context = multiprocessing.get_context("fork")
    with multiprocessing.Manager() as manager:
        places = manager.list()
        processes = [context.Process(target=hold, args=(places,)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert list(places) == ["in", "out"] * 15
