"""The search with workers that answer at once: what is evaluated, told, replayed, refused, and picked up again."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders.records import record
from builders.settings import settings_from
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.search import loop as search_module
from nas.search.accuracy import Accuracy
from nas.search.ledger_lookup import LedgerLookup, SearchedOn
from nas.search.loop import Limits, Search, Spare
from nas.search.shufflenet_problem import ShuffleNets
from nas.workers.local import Failure
from search_space import PRESETS, Architecture, Budget, SearchSpace, cost_of
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations
from studies.record import Record, Rejected
from studies.storage.coordinators import Coordinator
from studies.storage.retry import Retry
from studies.storage.studies import failures_of, open_storage, open_study, position_of, records_of, references_of

ONE_CHOICE = """
units = ["v2"]
stem = 24
groups = [1]
splits = ["1/2"]
kernels = [3]
se = [false]
depths = [[4], [8], [4]]
growths_percent = [200]
heads = [1024]
activations = ["relu"]
fills_percent = [100]
alignment = 8
max_width = 4096
"""
ANCHOR_MS = 4.0
LATENCY = {
    **{"latency_ms": 2.5, "spread": 0.01, "noisy": False, "seconds": 2.0},
    **{"fingerprint": "abc", "runtime": "onnxruntime", "taken_at": 1e9, "reference_p10_ms": 4.0},
}

WHERE = SearchedOn("data", "abc", "abc", "1.0", ANCHOR_MS, {"host": "here", "versions": {}})

Answer = Callable[[Architecture], Record | Rejected | Failure]


def evaluated(architecture: Architecture, accuracy: float = 0.5) -> Record:
    """A made-up record: 10 seconds in all."""
    return record(architecture, accuracy, latency=LATENCY, training={"seconds": 8.0})


class FakeWorker:
    """A worker that answers when it is asked to."""

    def __init__(self, workers: "FakeWorkers") -> None:
        self._workers = workers
        self._architecture: Architecture | None = None

    def send(self, method: str, architecture: Architecture, anchor_ms: float, *known: Any) -> None:
        assert (method, anchor_ms) == ("evaluate", ANCHOR_MS)
        assert self._architecture is None
        self._architecture = architecture
        self._workers.sent.append(architecture)

    def receive(self) -> Any:
        assert self._architecture is not None
        architecture, self._architecture = self._architecture, None
        return self._workers.answer(architecture)


class FakeWorkers:
    """Workers of which one is ready at a time, in turn; `sent` holds what was asked of them."""

    def __init__(self, count: int = 1, answer: Answer = evaluated) -> None:
        self.answer = answer
        self.sent: list[Architecture] = []
        self.all = [FakeWorker(self) for _ in range(count)]

    def ready(self, busy: Sequence[FakeWorker], timeout_seconds: float) -> list[FakeWorker]:
        return list(busy[:1])

    def replace_dead(self, busy: object) -> None:
        pass


class Interrupted(FakeWorkers):
    """Workers that Ctrl-C reaches after some results."""

    def __init__(self, count: int, results: int) -> None:
        super().__init__(count)
        self._left = results

    def ready(self, busy: Sequence[FakeWorker], timeout_seconds: float) -> list[FakeWorker]:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return super().ready(busy, timeout_seconds)


class Bench:
    """A study on SQLite and all that a search on it needs."""

    def __init__(self, storage: RDBStorage, tmp_path: Path) -> None:
        self.study = open_study(storage, "one", {}, resume=False)
        self.references = references_of(self.study, storage)
        self.ledger, self.evaluations = Ledger(storage.engine), Evaluations(storage.engine)
        self.lines: list[str] = []
        self.left_out: list[str] = []
        self.accuracy = Accuracy(None, "the training's own")
        self.default_space = SearchSpace.default(Budget.parse("140mflops"))
        file = tmp_path / "space.toml"
        file.write_text(ONE_CHOICE)
        self.one_choice = SearchSpace.from_file(file, Budget.parse("140mflops"))

    def run(
        self,
        workers: FakeWorkers,
        *flags: str,
        trials: int | None = None,
        references: Sequence[str] = (),
        space: SearchSpace | None = None,
        **timing: Any,
    ) -> FakeWorkers:
        settings = replace(settings_from("--time", "1h", "--sampler", "random", *flags), trials=trials)
        lookup = LedgerLookup(settings, WHERE, self.ledger, self.evaluations)
        space = space or self.default_space
        problem = ShuffleNets(settings, space, self.references, ANCHOR_MS, self.accuracy, lookup)
        limits, retry = Limits(trials, settings.seconds), Retry("sqlite://", self.lines.append)
        with Coordinator(self.study, self.references) as coordinator:
            search = Search(
                problem, self.study, self.references, limits, coordinator, retry, self.lines.append, **timing
            )
            self.left_out = search.run(workers, references)  # type: ignore[arg-type]
        return workers

    def states(self) -> list[TrialState]:
        return [trial.state for trial in self.study.trials]

    def in_state(self, state: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(states=(state,))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    yield Bench(storage, tmp_path)
    storage.engine.dispose()


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which trials are asked for; the thirtieth is an error, so that no search goes on for ever."""
    numbers: list[int] = []
    ask = Study.ask

    def counted(study: Study) -> Any:
        assert len(numbers) < 30, "the search asks for trials without end"
        trial = ask(study)
        numbers.append(trial.number)
        return trial

    monkeypatch.setattr(Study, "ask", counted)
    return numbers


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(search_module, "time", SimpleNamespace(monotonic=moved.monotonic))
    return moved


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
        clock.now += seconds
        taken[is_reference] += seconds
        if is_reference and taken[False]:
            assert taken[True] <= 0.3 * (taken[True] + taken[False])
        return replace(evaluated(architecture), training={"seconds": seconds - 2, "validation_accuracies": [0.5]})

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


# What is known


@pytest.fixture
def few_repeats(monkeypatch: pytest.MonkeyPatch) -> int:
    """After so many repeats in a row a search takes its space to be used up."""
    monkeypatch.setattr(search_module, "MOST_REPLAYS", 3)
    return 3


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


# What fails


def test_a_failure_is_told_as_one_with_its_cause_and_no_number(bench: Bench) -> None:
    answers: deque[Any] = deque([Failure("TrainingError: the loss is nan"), None, None])
    workers = bench.run(FakeWorkers(answer=lambda architecture: answers.popleft() or evaluated(architecture)), trials=3)
    failed = bench.study.trials[0]
    assert (failed.state, failed.values) == (TrialState.FAIL, None)
    assert failed.user_attrs.keys() == {"cause", "coordinator", "key"}
    assert failures_of(bench.study) == [(0, "TrainingError: the loss is nan")]
    assert len(workers.sent) == 3
    assert len(records_of(bench.study)) == 2
    assert bench.lines[0].endswith("failed: TrainingError: the loss is nan")


def test_five_failures_in_a_row_end_the_search_with_the_cause(bench: Bench) -> None:
    workers = FakeWorkers(answer=lambda _: Failure("OSError: no space left"))
    with pytest.raises(RuntimeError, match=r"^5 evaluations in a row failed, .*OSError: no space left$"):
        bench.run(workers, trials=20)
    assert len(workers.sent) == 5
    assert bench.states() == [TrialState.FAIL] * 5


def test_what_runs_beside_the_fifth_failure_is_queued(bench: Bench) -> None:
    workers = FakeWorkers(2, lambda _: Failure("OSError: no space left"))
    with pytest.raises(RuntimeError):
        bench.run(workers, trials=20)
    assert len(failures_of(bench.study)) == 5
    assert len(bench.in_state(TrialState.RUNNING)) == 0
    assert len(bench.in_state(TrialState.WAITING)) == len(workers.sent) - 5 == 1


def test_failures_that_are_not_in_a_row_end_nothing(bench: Bench) -> None:
    pattern = deque([False] * 4 + [True] + [False] * 4 + [True])
    bench.run(
        FakeWorkers(answer=lambda architecture: evaluated(architecture) if pattern.popleft() else Failure("no")),
        trials=10,
    )
    assert len(failures_of(bench.study)) == 8
    assert len(records_of(bench.study)) == 2


def test_what_is_too_slow_is_pruned_with_its_latency_and_never_complete(bench: Bench) -> None:
    bench.run(FakeWorkers(answer=lambda _: Rejected(6.25, {**LATENCY, "latency_ms": 6.25})), trials=7)
    assert bench.states() == [TrialState.PRUNED] * 7
    assert records_of(bench.study) == []
    assert failures_of(bench.study) == []
    for trial in bench.study.trials:
        assert trial.values is None
        assert trial.user_attrs["latency"] == {**LATENCY, "latency_ms": 6.25}
        assert trial.user_attrs["cause"] == "over the latency budget: 6.25 ms"
        assert not {"accuracy", "training"} & set(trial.user_attrs)
    assert "6.250 ms is over the latency budget, not trained" in bench.lines[0]


def test_what_was_too_slow_once_is_not_measured_again(bench: Bench, few_repeats: int) -> None:
    workers = bench.run(FakeWorkers(answer=lambda _: Rejected(6.25, LATENCY)), trials=3, space=bench.one_choice)
    assert len(workers.sent) == 1
    assert bench.states() == [TrialState.PRUNED] * (1 + few_repeats)


def test_a_reference_that_is_too_slow_has_no_record(bench: Bench) -> None:
    bench.run(FakeWorkers(answer=lambda _: Rejected(6.25, LATENCY)), trials=1, references=["v2-0.5x"])
    assert [trial.state for trial in bench.references.trials] == [TrialState.PRUNED]
    assert records_of(bench.references) == []


# Time


def test_no_trial_starts_that_would_end_after_the_deadline(bench: Bench, clock: Clock) -> None:
    def answer(architecture: Architecture) -> Record:
        clock.now += 10
        return evaluated(architecture)

    # Each takes 10 s, so those that start at 0, 10 and 20 s end within 35 s; one that starts at 30 s would not.
    workers = bench.run(FakeWorkers(answer=answer), "--time", "35s")
    assert len(workers.sent) == 3
    assert bench.states() == [TrialState.COMPLETE] * 3


def test_what_runs_at_the_deadline_is_waited_for(bench: Bench, clock: Clock) -> None:
    def answer(architecture: Architecture) -> Record:
        clock.now += 100
        return evaluated(architecture)

    workers = bench.run(FakeWorkers(2, answer), "--time", "35s")
    assert len(workers.sent) == 2
    assert bench.states() == [TrialState.COMPLETE] * 2


def test_a_reference_too_needs_time(bench: Bench, clock: Clock) -> None:
    def answer(architecture: Architecture) -> Record:
        clock.now += 20
        return evaluated(architecture)

    workers = bench.run(FakeWorkers(answer=answer), "--time", "25s", references=["v2-0.5x", "v2-1.0x", "v2-1.5x"])
    # The second would end at 30 s if it took what the first says of itself, 10 s.
    assert workers.sent == [PRESETS["v2-0.5x"]]
    assert bench.study.trials == []


def test_what_would_not_end_in_time_is_not_evaluated_and_waits_in_the_queue(
    bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = iter([1.0, 1.0, 3.0, 3.0, 3.0, 3.0])
    of_key: dict[str, float] = {}
    monkeypatch.setattr(
        ShuffleNets, "size_of", lambda self, each: of_key[each.key()] if each.key() in of_key else next(work)
    )

    def answer(architecture: Architecture) -> Record:
        clock.now += 10
        of_key[architecture.key()] = 1.0
        return evaluated(architecture)

    # After two of 10 s and a unit of work each, another would end in time, and one of three units would not.
    workers = bench.run(FakeWorkers(answer=answer), "--time", "40s")
    assert len(workers.sent) == 2
    assert len(bench.in_state(TrialState.COMPLETE)) == 2
    assert len(bench.in_state(TrialState.WAITING)) == search_module.MOST_TOO_LONG


class Timed:
    """So many seconds, and so many more for what still runs; notes how often it is renewed."""

    def __init__(self, clock: Clock, seconds: float, grace: float) -> None:
        self._clock, self._end, self._grace = clock, clock.now + seconds, grace
        self.renewals = 0

    def left(self) -> float:
        return self._end - self._clock.now

    def grace(self) -> float:
        return self._grace

    def renew(self) -> None:
        self.renewals += 1


class Endless(FakeWorkers):
    """Workers that never answer, while the clock moves a second a look; those that are stopped are noted."""

    def __init__(self, clock: Clock, answered: int) -> None:
        super().__init__(2)
        self.clock, self.answered = clock, answered
        self.stopped: list[FakeWorker] = []
        for worker in self.all:
            worker.stop = partial(self.stopped.append, worker)  # type: ignore[attr-defined]

    def ready(self, busy: Sequence[FakeWorker], timeout_seconds: float) -> list[FakeWorker]:
        self.clock.now += 1
        self.answered -= 1
        return super().ready(busy, timeout_seconds) if self.answered >= 0 else []


def test_what_still_runs_when_grace_is_over_is_given_up_and_waits_in_the_queue(bench: Bench, clock: Clock) -> None:
    workers = Endless(clock, answered=1)
    timer = Timed(clock, seconds=30, grace=5)
    bench.run(workers, timer=timer)
    assert (clock.now - 1000, timer.renewals) == (36, 1)
    assert set(workers.stopped) == set(workers.all)
    assert len(bench.in_state(TrialState.COMPLETE)) == 1
    assert len(bench.in_state(TrialState.WAITING)) == 2
    assert not bench.in_state(TrialState.RUNNING)
    assert sum(line.endswith("given up, for the time is over") for line in bench.lines) == 2


def test_a_worker_for_which_no_evaluation_would_end_in_time_does_what_is_spare_while_another_one_evaluates(
    bench: Bench, clock: Clock
) -> None:
    spares = [Spare(f"spare {number}", ("evaluate", (PRESETS["v2-0.5x"], ANCHOR_MS)), str) for number in range(9)]

    def answer(architecture: Architecture) -> Record | str:
        if architecture == PRESETS["v2-0.5x"]:
            return "spare is done"
        clock.now += 10
        return evaluated(architecture)

    # The evaluations of both end after 10 and 20 s; at 20 s another would end after 30 s, and nothing evaluates then.
    timer = Timed(clock, seconds=25, grace=5)
    workers = bench.run(FakeWorkers(2, answer), timer=timer, spare=lambda: spares.pop() if spares else None)
    assert "spare is done" in bench.lines
    done = sum(architecture == PRESETS["v2-0.5x"] for architecture in workers.sent)
    assert done >= 1
    assert timer.renewals == len(workers.sent)
    assert len(bench.in_state(TrialState.COMPLETE)) == len(workers.sent) - done


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
        FakeWorkers(answer=lambda architecture: replace(evaluated(architecture), latency={**LATENCY, "noisy": True})),
        trials=1,
    )
    assert "2.500 ms, noisy, 50.0 %" in bench.lines[0]


def test_what_is_kept_of_a_trial_is_plain_json(bench: Bench) -> None:
    bench.run(FakeWorkers(), trials=1)
    attributes = bench.study.trials[0].user_attrs
    assert json.loads(json.dumps(attributes)) == attributes
    assert attributes["architecture"] == records_of(bench.study)[0].architecture.to_dict()
