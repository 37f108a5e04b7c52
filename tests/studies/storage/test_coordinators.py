"""Several processes on one study: who lives, who asks, whose trials go to another, on SQLite and on PostgreSQL."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from search_space import InputError
from studies.storage import coordinators
from studies.storage.coordinators import COORDINATOR, SILENT_BEATS, Coordinator
from studies.storage.studies import open_storage, open_study, references_of, settled, study_names
from studies.storage.transactions import at_once
from studies.storage.trials import CAUSE, INTERRUPTED, REQUEUED_FROM

WAIT_SECONDS = 60
NEVER = 3600.0
"""Seconds between two beats of a coordinator whose beats the test gives by hand."""

Join = Callable[[], "Joined"]


class Joined:
    """A process on the study, as far as the database sees: connections and a coordinator of its own."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.storage: RDBStorage = open_storage(url)
        stack.callback(self.storage.engine.dispose)
        self.study = open_study(self.storage, "one", {}, resume=True)
        self.study.sampler = optuna.samplers.RandomSampler(seed=0)
        self.references = references_of(self.study, self.storage)
        self.coordinator = stack.enter_context(Coordinator(self.study, self.references, beat_seconds=NEVER))

    def ask(self, fixed: float | None = None) -> Trial:
        with self.coordinator.asking():
            if fixed is not None:
                self.study.enqueue_trial({"x": fixed})
            trial = self.coordinator.ask(self.study)
            trial.suggest_float("x", 0, 1)
        return trial

    def tell(self, trial: Trial, **attributes: Any) -> bool:
        return self.coordinator.tell(self.study, trial, [0.5, 1.0], TrialState.COMPLETE, attributes)

    def requeue(self) -> int:
        with self.coordinator.asking():
            return self.coordinator.requeue_orphans()

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(states=states or None)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def join(url: str, stack: ExitStack) -> Join:
    return lambda: Joined(url, stack)


@pytest.fixture
def join_server(server_url: str, stack: ExitStack) -> Join:
    return lambda: Joined(server_url, stack)


def dies(joined: Joined) -> None:
    """Leaves all as a killed process would, and the table as it looks once the others have noticed."""
    with joined.storage.engine.begin() as connection:
        connection.execute(
            coordinators._coordinators.delete().where(coordinators._coordinators.c.id == joined.coordinator.id)
        )


def killed(*_: Any) -> None:
    raise KeyboardInterrupt


def twins_of(study: Study) -> Counter[int]:
    """How often each trial was queued once more, by its number."""
    origins = [trial.system_attrs.get(REQUEUED_FROM) for trial in study.get_trials(deepcopy=False)]
    return Counter(number for number in origins if number is not None)


# One of them


def test_a_trial_says_who_has_it_evaluated_and_is_told_once(join: Join) -> None:
    one = join()
    trial = one.ask()
    assert one.trials()[0].user_attrs == {COORDINATOR: one.coordinator.id}
    assert one.tell(trial, text=1)
    assert not one.tell(trial, text=2)
    (kept,) = one.trials()
    assert (kept.state, kept.values, kept.params) == (TrialState.COMPLETE, [0.5, 1.0], trial.params)
    assert kept.user_attrs == {COORDINATOR: one.coordinator.id, "text": 1}


def test_a_question_that_fails_amid_leaves_nothing(join: Join) -> None:
    one = join()
    with suppress(ZeroDivisionError), one.coordinator.asking():
        one.coordinator.ask(one.study).suggest_float("x", 0, 1)
        assert len(one.trials()) == 1
        raise ZeroDivisionError
    assert one.trials() == []
    assert one.ask().number == 0
    assert [trial.params.keys() for trial in one.trials()] == [{"x"}]


def test_what_runs_here_is_no_orphan(join: Join) -> None:
    one = join()
    trial = one.ask()
    assert one.requeue() == 0
    assert one.tell(trial)


def test_what_was_left_running_is_queued_once_with_its_parameters(join: Join) -> None:
    one = join()
    params = one.ask().params
    dies(one)
    other = join()
    assert [other.requeue(), other.requeue()] == [1, 0]
    failed, waiting = other.trials()
    assert (failed.state, failed.user_attrs[CAUSE]) == (TrialState.FAIL, INTERRUPTED)
    assert waiting.state is TrialState.WAITING
    assert other.ask().params == params
    assert twins_of(other.study) == {0: 1}


def test_a_trial_that_nobody_marked_is_an_orphan(join: Join) -> None:
    one = join()
    one.study.ask().suggest_float("x", 0, 1)
    assert one.requeue() == 1


def test_two_orphans_of_the_same_parameters_are_two_in_the_queue(join: Join) -> None:
    one = join()
    for _ in range(2):
        one.ask(0.25)
    dies(one)
    other = join()
    assert other.requeue() == 2
    assert [other.ask().params for _ in range(2)] == [{"x": 0.25}] * 2
    assert twins_of(other.study) == {0: 1, 1: 1}


def test_a_reference_that_was_left_running_is_ended_and_not_queued(join: Join) -> None:
    one = join()
    with one.coordinator.asking():
        one.coordinator.ask(one.references)
    dies(one)
    other = join()
    assert other.requeue() == 1
    assert [trial.state for trial in other.references.trials] == [TrialState.FAIL]


def test_who_requeues_and_fails_amid_queues_nothing(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    one = join()
    for _ in range(2):
        one.ask()
    dies(one)
    other = join()
    with monkeypatch.context() as patch:
        patch.setattr("studies.storage.trials.fail", killed)
        with pytest.raises(KeyboardInterrupt):
            other.requeue()
    assert [trial.state for trial in other.trials()] == [TrialState.RUNNING] * 2
    assert other.requeue() == 2
    assert twins_of(other.study) == {0: 1, 1: 1}


def test_who_gives_up_leaves_its_trials_in_the_queue(join: Join) -> None:
    one = join()
    one.ask()
    one.coordinator.give_up()
    assert [trial.state for trial in one.trials()] == [TrialState.FAIL, TrialState.WAITING]


def test_a_question_whose_answer_was_lost_is_asked_again(join: Join) -> None:
    """The database kept it, and the connection broke before it said so: nobody evaluates that trial."""
    one = join()
    with suppress(ZeroDivisionError), one.coordinator.asking():
        one.coordinator.ask(one.study)
        with at_once(one.study) as connection:
            connection.commit()
        raise ZeroDivisionError
    assert [trial.state for trial in one.trials()] == [TrialState.RUNNING]
    assert one.requeue() == 1


# Several, on a server


def test_what_another_one_evaluates_is_no_orphan_while_it_lives(join_server: Join) -> None:
    one, other = join_server(), join_server()
    trial = one.ask()
    assert other.requeue() == 0
    assert [each.number for each in other.coordinator.elsewhere(other.study)] == [trial.number]
    assert other.coordinator.others() == 1
    assert one.coordinator.elsewhere(one.study) == []


def test_who_signs_off_leaves_orphans_at_once(join_server: Join) -> None:
    one, other = join_server(), join_server()
    one.ask()
    one.coordinator.__exit__()
    assert other.coordinator.others() == 0
    assert other.requeue() == 1


def test_who_is_silent_during_the_beats_of_another_one_is_taken_for_dead(join_server: Join) -> None:
    one, other = join_server(), join_server()
    one.ask()
    for _ in range(SILENT_BEATS):
        other.coordinator.beat()
        assert other.requeue() == 0
    other.coordinator.beat()
    assert other.requeue() == 1


def test_one_beat_in_time_keeps_a_process_alive(join_server: Join) -> None:
    one, other = join_server(), join_server()
    one.ask()
    for _ in range(3):
        for _ in range(SILENT_BEATS):
            other.coordinator.beat()
        one.coordinator.beat()
    assert other.requeue() == 0


def test_who_was_taken_for_dead_and_wakes_up_is_told_that_its_trial_is_over(join_server: Join) -> None:
    one, other = join_server(), join_server()
    trial = one.ask()
    for _ in range(SILENT_BEATS + 1):
        other.coordinator.beat()
    assert other.requeue() == 1
    assert not one.tell(trial)
    assert other.trials()[0].state is TrialState.FAIL
    one.coordinator.beat()
    assert other.coordinator.others() == 1
    one.ask()
    assert other.requeue() == 0


def test_a_result_that_comes_before_the_trial_is_queued_again_counts(join_server: Join) -> None:
    one, other = join_server(), join_server()
    trial = one.ask()
    for _ in range(SILENT_BEATS + 1):
        other.coordinator.beat()
    assert one.tell(trial)
    assert other.requeue() == 0


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_jumps_kills_nobody(join_server: Join, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    one, other = join_server(), join_server()
    trial = one.ask()
    jumped = time.time() + days * 86_400
    monkeypatch.setattr(time, "time", lambda: jumped)
    for _ in range(SILENT_BEATS + 1):
        one.coordinator.beat()
        other.coordinator.beat()
    assert other.requeue() == 0
    assert one.tell(trial)


def test_a_coordinator_beats_by_itself(server_url: str, stack: ExitStack) -> None:
    one = Joined(server_url, stack)
    beating = stack.enter_context(Coordinator(one.study, one.references, beat_seconds=0.05))
    assert beating.others() == 1
    deadline = time.monotonic() + WAIT_SECONDS
    while beating.others() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert beating.others() == 0, "the one that does not beat is signed off by the one that does"
    assert one.coordinator.others() == 1


def test_two_studies_in_a_database_have_coordinators_of_their_own(join_server: Join, stack: ExitStack) -> None:
    one = join_server()
    study = open_study(one.storage, "two", {}, resume=False)
    stack.enter_context(Coordinator(study, references_of(study, one.storage), beat_seconds=NEVER))
    assert one.coordinator.others() == 0


def test_one_asks_while_the_others_wait(join_server: Join) -> None:
    one, other = join_server(), join_server()
    asked = threading.Event()

    def ask() -> int:
        number = other.ask().number
        asked.set()
        return number

    with ThreadPoolExecutor(1) as pool:
        with one.coordinator.asking():
            later = pool.submit(ask)
            assert not asked.wait(0.5)
            first = one.coordinator.ask(one.study).number
        assert (first, later.result(60)) == (0, 1)


def test_one_tells_while_another_asks(join_server: Join) -> None:
    one, other = join_server(), join_server()
    trial = one.ask()
    with other.coordinator.asking(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(one.tell, trial).result(60)


# Joined and made together


@pytest.mark.parametrize("count", [4])
def test_runs_that_start_together_make_one_study(server_url: str, count: int) -> None:
    start = threading.Barrier(count)

    def run(number: int) -> tuple[str, Any]:
        start.wait()
        storage = open_storage(server_url)
        try:
            study = open_study(storage, "one", {"seed": 0}, resume=False)
            return ",".join(sorted(study_names(storage))), settled(study, "anchor_ms", float(number))
        finally:
            storage.engine.dispose()

    with ThreadPoolExecutor(count) as pool:
        runs = list(pool.map(run, range(count)))
    assert len(set(runs)) == 1, "they agree on the studies there are and on what was settled"
    assert runs[0][0] == "one,one-references"
    assert runs[0][1] in range(count)


def test_on_a_server_the_same_settings_join_and_others_are_refused(join_server: Join) -> None:
    one = join_server()
    one.tell(one.ask())
    assert len(open_study(one.storage, "one", {}, resume=False).trials) == 1
    with pytest.raises(InputError, match="seed was None, now 1"):
        open_study(one.storage, "one", {"seed": 1}, resume=False)
