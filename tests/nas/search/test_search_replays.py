"""What a search has evaluated is replayed, and a space that is used up ends it."""

from collections import deque
from dataclasses import replace
from pathlib import Path

import pytest
from builders.searches import ONE_CHOICE, Bench, FakeWorkers, evaluated
from optuna.trial import TrialState

from nas.search import loop as search_module
from nas.workers.protocol import Failure
from search_space import Budget, SearchSpace
from studies.storage.studies import failures_of, records_of


def test_a_known_architecture_is_replayed_and_not_evaluated_again(bench: Bench, few_repeats: int) -> None:
    answers = deque([0.25, 0.75])
    workers = bench.run(
        FakeWorkers(answer=lambda architecture: evaluated(architecture, answers.popleft())),
        trials=4,
        space=bench.one_choice,
    )
    assert len(workers.sent) == 1
    assert [trial.values for trial in bench.study.trials] == [[0.25, 2.5]] * 4
    assert ["replayed" in trial.user_attrs for trial in bench.study.trials] == [False, True, True, True]
    assert [replace(found, number=0) for found in records_of(bench.study)] == [records_of(bench.study)[0]] * 4


def test_a_resumed_search_replays_what_the_stopped_one_knew(bench: Bench, few_repeats: int) -> None:
    bench.run(FakeWorkers(), trials=1, space=bench.one_choice)
    workers = bench.run(FakeWorkers(), trials=3, space=bench.one_choice)
    assert workers.sent == []
    assert bench.states() == [TrialState.COMPLETE] * (1 + few_repeats)


@pytest.mark.parametrize("count", [1, 3])
def test_so_many_trials_are_so_many_networks_whatever_is_repeated(bench: Bench, tmp_path: Path, count: int) -> None:
    file = tmp_path / "few.toml"
    file.write_text(
        ONE_CHOICE.replace("kernels = [3]", "kernels = [3, 5]").replace("heads = [1024]", "heads = [512, 1024]")
    )
    few = SearchSpace.from_file(file, Budget.parse("140mflops"))  # 2 kernels in each of 3 stages, 2 heads: 16 networks
    workers = bench.run(FakeWorkers(count), trials=12, space=few)
    assert len({architecture.key() for architecture in workers.sent}) == len(workers.sent) == 12
    assert len(bench.states()) > 12, "no network was drawn twice at random: nothing is shown"
    resumed = bench.run(FakeWorkers(count), trials=14, space=few)
    assert len({architecture.key() for architecture in workers.sent + resumed.sent}) == 14


def test_a_space_of_fewer_networks_than_are_asked_for_ends_the_search(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MOST_REPLAYS", 20)  # a million to one that a half of the space is not drawn
    file = tmp_path / "two.toml"
    file.write_text(ONE_CHOICE.replace("heads = [1024]", "heads = [512, 1024]"))
    two = SearchSpace.from_file(file, Budget.parse("140mflops"))
    assert len(bench.run(FakeWorkers(2), trials=3, space=two).sent) == 2
    assert TrialState.RUNNING not in bench.states()


def test_equal_architectures_in_flight_wait_for_one_evaluation(bench: Bench, few_repeats: int) -> None:
    workers = bench.run(FakeWorkers(3), trials=4, space=bench.one_choice)
    assert len(workers.sent) == 1
    assert [trial.values for trial in bench.study.trials] == [[0.5, 2.5]] * 4
    assert ["replayed" in trial.user_attrs for trial in bench.study.trials] == [False, True, True, True]


def test_all_that_wait_for_an_evaluation_fail_with_it(bench: Bench, few_repeats: int) -> None:
    bench.run(FakeWorkers(2, lambda _: Failure("ValueError: no")), trials=1, space=bench.one_choice)
    assert failures_of(bench.study) == [(0, "ValueError: no")]
    bench.run(FakeWorkers(2, lambda _: Failure("ValueError: no")), trials=2, space=bench.one_choice)
    assert failures_of(bench.study) == [(number, "ValueError: no") for number in range(2 + few_repeats)]


def test_a_space_that_is_used_up_ends_the_search(
    bench: Bench, asks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MOST_REPLAYS", 5)
    workers = bench.run(FakeWorkers(1), space=bench.one_choice)
    assert len(workers.sent) == 1
    assert len(asks) == 6


def test_a_small_space_ends_a_search_with_several_workers(
    bench: Bench, asks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "MOST_REPLAYS", 5)
    workers = bench.run(FakeWorkers(2), space=bench.one_choice)
    assert len(workers.sent) == 1
    assert TrialState.RUNNING not in bench.states()
