"""What fails, what is too slow, and what the time leaves undone."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from builders.clock import Clock
from builders.searches import ANCHOR_MS, LATENCY, Bench, FakeWorker, FakeWorkers, evaluated
from optuna.trial import TrialState

from nas.search import loop as search_module
from nas.search.loop import Spare
from nas.search.shufflenet_problem import ShuffleNets
from nas.workers.protocol import Failure
from search_space import PRESETS, Architecture
from studies.facts import LatencyFacts
from studies.record import Record, Rejected
from studies.storage.studies import failures_of, records_of

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
    slow = {**LATENCY, "latency_ms": 6.25, "ratio": 1.5625}
    bench.run(FakeWorkers(answer=lambda _: Rejected(6.25, LatencyFacts(slow))), trials=7)
    assert bench.states() == [TrialState.PRUNED] * 7
    assert records_of(bench.study) == []
    assert failures_of(bench.study) == []
    for trial in bench.study.trials:
        assert trial.values is None
        assert trial.user_attrs["latency"] == slow
        assert trial.user_attrs["cause"] == "over the latency budget: 6.25 ms"
        assert not {"accuracy", "training"} & set(trial.user_attrs)
    assert "6.250 ms is over the latency budget, not trained" in bench.lines[0]


def test_what_was_too_slow_once_is_not_measured_again(bench: Bench, few_repeats: int) -> None:
    workers = bench.run(
        FakeWorkers(answer=lambda _: Rejected(6.25, LatencyFacts(LATENCY))), trials=3, space=bench.one_choice
    )
    assert len(workers.sent) == 1
    assert bench.states() == [TrialState.PRUNED] * (1 + few_repeats)


def test_a_reference_that_is_too_slow_has_no_record(bench: Bench) -> None:
    bench.run(FakeWorkers(answer=lambda _: Rejected(6.25, LatencyFacts(LATENCY))), trials=1, references=["v2-0.5x"])
    assert [trial.state for trial in bench.references.trials] == [TrialState.PRUNED]
    assert records_of(bench.references) == []


# Time


def test_no_trial_starts_that_would_end_after_the_deadline(bench: Bench, clock: Clock) -> None:
    def answer(architecture: Architecture) -> Record:
        clock.seconds += 10
        return evaluated(architecture)

    # Each takes 10 s, so those that start at 0, 10 and 20 s end within 35 s; one that starts at 30 s would not.
    workers = bench.run(FakeWorkers(answer=answer), "--time", "35s")
    assert len(workers.sent) == 3
    assert bench.states() == [TrialState.COMPLETE] * 3


def test_what_runs_at_the_deadline_is_waited_for(bench: Bench, clock: Clock) -> None:
    def answer(architecture: Architecture) -> Record:
        clock.seconds += 100
        return evaluated(architecture)

    workers = bench.run(FakeWorkers(2, answer), "--time", "35s")
    assert len(workers.sent) == 2
    assert bench.states() == [TrialState.COMPLETE] * 2


def test_a_reference_too_needs_time(bench: Bench, clock: Clock) -> None:
    def answer(architecture: Architecture) -> Record:
        clock.seconds += 20
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
        clock.seconds += 10
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
        self._clock, self._end, self._grace = clock, clock.seconds + seconds, grace
        self.renewals = 0

    def left(self) -> float:
        return self._end - self._clock.seconds

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
        self.clock.seconds += 1
        self.answered -= 1
        return super().ready(busy, timeout_seconds) if self.answered >= 0 else []


def test_what_still_runs_when_grace_is_over_is_given_up_and_waits_in_the_queue(bench: Bench, clock: Clock) -> None:
    workers = Endless(clock, answered=1)
    timer = Timed(clock, seconds=30, grace=5)
    bench.run(workers, timer=timer)
    assert (clock.seconds - 1000, timer.renewals) == (36, 1)
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
        clock.seconds += 10
        return evaluated(architecture)

    # The evaluations of both end after 10 and 20 s; at 20 s another would end after 30 s, and nothing evaluates then.
    timer = Timed(clock, seconds=25, grace=5)
    workers = bench.run(FakeWorkers(2, answer), timer=timer, spare=lambda: spares.pop() if spares else None)
    assert "spare is done" in bench.lines
    done = sum(architecture == PRESETS["v2-0.5x"] for architecture in workers.sent)
    assert done >= 1
    assert timer.renewals == len(workers.sent)
    assert len(bench.in_state(TrialState.COMPLETE)) == len(workers.sent) - done
