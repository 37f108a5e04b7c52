"""References of a search: when they are evaluated, how often, and what is kept of them."""

import json
from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from builders.clock import Clock
from builders.searches import (
    Bench,
    FakeWorkers,
    Interrupted,
    evaluated,
)
from optuna.trial import TrialState

from nas.search.shufflenet_problem import ShuffleNets
from nas.workers.protocol import Failure
from search_space import PRESETS, Architecture, cost_of
from studies.record import Record
from studies.storage.studies import failures_of, records_of

# References


def test_one_reference_comes_first_and_the_others_stand_apart_from_the_trials_too(bench: Bench) -> None:
    names = ["v2-0.5x", "v1-1.0x-g3"]
    workers = bench.run(FakeWorkers(), trials=2, references=names)
    assert workers.sent[0] == PRESETS["v2-0.5x"]
    assert workers.sent[3] == PRESETS["v1-1.0x-g3"]
    assert [found.reference for found in records_of(bench.references)] == names
    assert [found.name for found in records_of(bench.references)] == names
    assert [trial.user_attrs["reference"] for trial in bench.references.trials] == names
    assert [found.reference for found in records_of(bench.study)] == ["", ""]
    assert [found.architecture for found in records_of(bench.study)] == workers.sent[1:3]


def test_beside_the_first_reference_are_candidates(bench: Bench) -> None:
    workers = bench.run(FakeWorkers(3), trials=2, references=["v2-1.0x", "v2-0.5x"])
    assert workers.sent[0] == PRESETS["v2-1.0x"]
    assert not set(workers.sent[1:3]) & set(PRESETS.values())


def test_references_take_a_quarter_of_the_time_at_any_time(bench: Bench, clock: Clock) -> None:
    taken = {True: 0.0, False: 0.0}

    def answer(architecture: Architecture) -> Record:
        is_reference = architecture in PRESETS.values()
        seconds = cost_of(architecture).macs / 1e7
        clock.seconds += seconds
        taken[is_reference] += seconds
        if is_reference and taken[False]:
            assert taken[True] <= 0.3 * (taken[True] + taken[False])
        found = evaluated(architecture)
        return replace(found, training=found.training.changed(seconds=seconds - 2))

    names = ["v2-1.0x", "v1-1.0x-g3", "v1-1.0x-g8", "v2-0.5x", "v2-1.5x"]
    workers = bench.run(FakeWorkers(answer=answer), "--time", "240s", references=names)
    # 14.5 s and 13.7, 13.8 and 4.0 s are 46 s, under 60. The last one would take 30.
    assert {found.reference for found in records_of(bench.references)} == set(names[:4])
    assert bench.left_out == ["v2-1.5x"]
    assert workers.sent[1] not in PRESETS.values()


def test_references_of_the_ledger_cost_no_time_and_come_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    presets = set(PRESETS.values())
    monkeypatch.setattr(ShuffleNets, "known", lambda _, network: evaluated(network) if network in presets else None)
    workers = bench.run(FakeWorkers(), trials=1, references=["v2-0.5x", "v2-1.0x"])
    assert len(workers.sent) == 1
    assert [line.partition(":")[0] for line in bench.lines[:2]] == ["reference v2-0.5x", "reference v2-1.0x"]


def test_a_reference_that_counts_a_little_more_than_the_budget_is_marked(bench: Bench) -> None:
    # V2 1.0x: 144,907,992 / 140,000,000 = 1.0351.
    big = FakeWorkers(answer=lambda architecture: replace(evaluated(architecture), macs=144_907_992))
    bench.run(big, trials=1, references=["v2-1.0x"])
    (found,) = records_of(bench.references)
    assert found.over_budget == pytest.approx(0.0351, abs=1e-4)
    assert "144.9 MFLOPs (3.5 % over the budget)" in bench.lines[0]
    assert Record.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_references_are_evaluated_even_where_no_trial_is_left(bench: Bench) -> None:
    bench.run(FakeWorkers(), trials=1)
    workers = bench.run(FakeWorkers(), trials=1, references=["v2-0.5x"])
    assert workers.sent == [PRESETS["v2-0.5x"]]
    assert len(bench.study.trials) == 1


def test_a_reference_is_evaluated_once(bench: Bench) -> None:
    bench.run(FakeWorkers(), trials=1, references=["v2-0.5x"])
    workers = bench.run(FakeWorkers(), trials=1, references=["v2-0.5x", "v2-1.0x"])
    assert workers.sent == [PRESETS["v2-1.0x"]]


def test_an_interrupted_reference_is_evaluated_again(bench: Bench) -> None:
    with pytest.raises(KeyboardInterrupt):
        bench.run(Interrupted(1, results=0), trials=1, references=["v2-0.5x"])
    assert [trial.state for trial in bench.references.trials] == [TrialState.FAIL]
    assert bench.study.trials == []
    workers = bench.run(FakeWorkers(), trials=1, references=["v2-0.5x"])
    assert workers.sent[0] == PRESETS["v2-0.5x"]
    assert [found.reference for found in records_of(bench.references)] == ["v2-0.5x"]


def test_a_failure_of_a_reference_is_told_as_one(bench: Bench) -> None:
    answers: deque[Any] = deque([Failure("OSError: no"), None])
    bench.run(
        FakeWorkers(answer=lambda architecture: answers.popleft() or evaluated(architecture)),
        trials=1,
        references=["v2-0.5x"],
    )
    assert failures_of(bench.references) == [(0, "OSError: no")]
    assert bench.states() == [TrialState.COMPLETE]
