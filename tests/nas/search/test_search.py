"""The search with workers that answer at once: what is evaluated, told, replayed, refused, and picked up again."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from builders.searches import (
    LATENCY,
    Bench,
    FakeWorker,
    FakeWorkers,
    Interrupted,
    evaluated,
)
from optuna.trial import TrialState

from search_space import Architecture
from studies.facts import LatencyFacts
from studies.record import Record
from studies.storage.studies import failures_of, open_storage, position_of, records_of

# How many trials


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_search_evaluates_as_many_trials_as_asked_for(bench: Bench, count: int) -> None:
    workers = bench.run(FakeWorkers(count), trials=4)
    assert bench.states() == [TrialState.COMPLETE] * 4
    assert len(workers.sent) == 4
    assert [found.architecture for found in records_of(bench.study)] == workers.sent


def test_sixteen_workers_are_all_at_work_until_no_trial_is_left(bench: Bench) -> None:
    busy: list[int] = []

    class Counted(FakeWorkers):
        def ready(self, running: Sequence[FakeWorker], timeout_seconds: float) -> list[FakeWorker]:
            busy.append(len(running))
            return super().ready(running, timeout_seconds)

    bench.run(Counted(16), trials=20)
    assert busy == [16] * 5 + list(range(15, 0, -1))


def test_a_resumed_search_evaluates_what_is_missing(bench: Bench) -> None:
    first = bench.run(FakeWorkers(), trials=2)
    assert bench.run(FakeWorkers(), trials=2).sent == []
    second = bench.run(FakeWorkers(), trials=5)
    assert bench.states() == [TrialState.COMPLETE] * 5
    assert len(second.sent) == 3
    assert len({architecture.key() for architecture in first.sent + second.sent}) == 5


def test_a_record_is_kept_as_it_was_measured(bench: Bench) -> None:
    workers = bench.run(FakeWorkers(), trials=1)
    assert records_of(bench.study) == [replace(evaluated(workers.sent[0]), number=0)]


def test_a_record_is_kept_before_the_next_trial_starts(bench: Bench) -> None:
    kept: list[int] = []

    def answer(architecture: Architecture) -> Record:
        kept.append(len(records_of(bench.study)))
        return evaluated(architecture)

    bench.run(FakeWorkers(answer=answer), trials=3)
    assert kept == [0, 1, 2]


# Interrupted


def test_what_runs_at_ctrl_c_is_queued_again(bench: Bench) -> None:
    workers = Interrupted(2, results=1)
    with pytest.raises(KeyboardInterrupt):
        bench.run(workers, trials=5)
    assert len(workers.sent) == 3
    assert len(records_of(bench.study)) == 1
    assert bench.in_state(TrialState.RUNNING) == []
    assert [trial.user_attrs["cause"] for trial in bench.in_state(TrialState.FAIL)] == ["interrupted"] * 2
    killed = [trial.params for trial in bench.in_state(TrialState.FAIL)]
    assert [trial.system_attrs["fixed_params"] for trial in bench.in_state(TrialState.WAITING)] == killed


def test_a_resumed_search_begins_with_what_was_interrupted(bench: Bench) -> None:
    stopped = Interrupted(2, results=1)
    with pytest.raises(KeyboardInterrupt):
        bench.run(stopped, trials=4)
    resumed = bench.run(FakeWorkers(), trials=4)
    assert resumed.sent[:2] == stopped.sent[1:]
    assert len(records_of(bench.study)) == position_of(bench.study) == 4
    assert len({architecture.key() for architecture in stopped.sent + resumed.sent}) == 4
    assert failures_of(bench.study) == []


def test_an_interrupted_search_proposes_what_an_unbroken_one_does(bench: Bench, tmp_path: Path) -> None:
    stopped = Interrupted(1, results=2)
    with pytest.raises(KeyboardInterrupt):
        bench.run(stopped, trials=4)
    broken = stopped.sent[:2] + bench.run(FakeWorkers(), trials=4).sent
    storage = open_storage(f"sqlite:///{tmp_path}/other.db")
    unbroken = Bench(storage, tmp_path).run(FakeWorkers(), trials=4).sent
    storage.engine.dispose()
    assert broken == unbroken


# What is reported


def test_each_evaluation_is_reported_in_a_line(bench: Bench) -> None:
    workers = bench.run(FakeWorkers(), trials=1, references=["v2-0.5x"])
    key = workers.sent[1].key()[:8]
    numbers = "0.0 MFLOPs, 2.500 ms, 50.0 % (proxy 50.0 %), 10 s"
    assert [line for line in bench.lines if line] == [
        f"reference v2-0.5x: {numbers}",
        f"trial 0 {workers.sent[1].unit}-{key}: {numbers}",
    ]
    assert "" in bench.lines


def test_a_noisy_latency_is_reported_as_such(bench: Bench) -> None:
    bench.run(
        FakeWorkers(
            answer=lambda architecture: replace(
                evaluated(architecture), latency=LatencyFacts({**LATENCY, "noisy": True})
            )
        ),
        trials=1,
    )
    assert "2.500 ms, noisy, 50.0 %" in bench.lines[0]


def test_what_is_kept_of_a_trial_is_plain_json(bench: Bench) -> None:
    bench.run(FakeWorkers(), trials=1)
    attributes = bench.study.trials[0].user_attrs
    assert json.loads(json.dumps(attributes)) == attributes
    assert attributes["architecture"] == records_of(bench.study)[0].architecture.to_dict()
