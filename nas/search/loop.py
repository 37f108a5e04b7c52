"""The search: asks for candidates, has them evaluated, tells the study. Of each study several may be at work."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nas.cli.heartbeat import running
from nas.cli.stopping import stop_if_asked
from nas.search.problem import Candidate, Outcome, Problem
from nas.search.reference_turns import Clock, Turns
from nas.search.time.durations import Durations
from nas.workers.protocol import Failure, Worker, Workers
from studies.checked_facts import ImpossibleFacts
from studies.facts import REPLAYED
from studies.record import KEY
from studies.storage.coordinators import Coordinator
from studies.storage.database_errors import is_away
from studies.storage.retry import Retry
from studies.storage.studies import CAUSE, networks_in, position_of

POLL_SECONDS = 0.5
MOST_REPLAYS = 200
MOST_FAILURES = 5
MOST_TOO_LONG = 3
"""So many candidates are asked for that would not end in time, and then no more."""
REFERENCE = "reference"
_KNOWN = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search ends: with so many networks in its study, or so that no trial ends after so many seconds."""

    trials: int | None
    seconds: float


@dataclass(slots=True)
class _Task:
    """A candidate and what waits for it: a trial, or more where a sampler proposed it again."""

    candidate: Candidate
    waiting: list[tuple[Study, Trial]]
    reference: str = ""
    since: float = field(default_factory=time.monotonic)


class Timer(Protocol):
    """Until when a search may go on, which may change while it does."""

    def left(self) -> float:
        """Seconds until no evaluation may go on."""
        ...

    def grace(self) -> float:
        """How much longer what still runs then is waited for."""
        ...

    def renew(self) -> None:
        """Takes note that an evaluation has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Spare:
    """What a worker does once no evaluation would end in time: its name, the call, and what tells its answer."""

    name: str
    call: tuple[str, tuple[Any, ...]]
    end: Callable[[Any], str] = field(hash=False)


class _Fixed:
    """So many seconds from now; what runs then is waited for."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        return self._end - time.monotonic()

    def grace(self) -> float:
        return math.inf

    def renew(self) -> None:
        pass


class _EvaluatedElsewhere(Exception):
    """Another process has the candidate, or the last ones, evaluated now: nothing is asked."""


class Search:
    """Runs a study until its trials or its time are used up.

    The nearest reference is evaluated beside the first candidates, the others when it is their turn: see
    `nas.search.reference_turns`.

    `report` is called with a line for each evaluation that ended, and with "" while time goes by.
    """

    def __init__(
        self,
        problem: Problem,
        study: Study,
        references: Study,
        limits: Limits,
        coordinator: Coordinator,
        retry: Retry,
        report: Callable[[str], None],
        timer: Timer | None = None,
        spare: Callable[[], Spare | None] = lambda: None,
    ) -> None:
        self._problem = problem
        self._study = study
        self._references = references
        self._limits = limits
        self._coordinator = coordinator
        self._retry = retry
        self._report = report
        self._running: dict[Worker, _Task] = {}
        self._spare = spare
        self._sparing: dict[Worker, tuple[Spare, float]] = {}
        self._known: dict[str, FrozenTrial] = {}
        self._read: dict[str, int] = {}
        self._replays = self._failures = 0
        self._durations = Durations()
        self._too_long = 0
        self._timer: Timer = timer or _Fixed(limits.seconds)
        self._turns = Turns()
        self._started = 0.0

    def run(self, workers: Workers, reference_names: Sequence[str]) -> list[str]:
        """The references for which there was no time: evaluates trials, and what is missing of the references.

        Raises:
            RuntimeError: several evaluations in a row failed; the message holds the last one's cause.
            InputError: the database stayed away, or is full.
        """
        self._started = time.monotonic()
        self._retry(self._begin)
        missing = list(reference_names)
        self._turns.free = {name for name in missing if self._is_known(name)}
        try:
            while self._start_tasks(workers, missing) or self._running or self._sparing:
                for worker in workers.ready([*self._running, *self._sparing], POLL_SECONDS):
                    self._receive(worker)
                if self._running and self._timer.left() < -self._timer.grace():
                    self._abandon()
                workers.replace_dead([*self._running, *self._sparing])
                self._report("")
                stop_if_asked()
        finally:
            self._give_up()
        return missing

    def running(self) -> str:
        """What is evaluated now, and since when, in a few words."""
        evaluated = {self._label(task): task.since for task in list(self._running.values())}
        beside = {spare.name: since for spare, since in list(self._sparing.values())}
        return running(evaluated | beside) or "proposing"

    def _begin(self) -> None:
        with self._coordinator.asking():
            self._coordinator.requeue_orphans()

    def _give_up(self) -> None:
        try:
            self._coordinator.give_up()
        except Exception as error:
            if not is_away(error):  # else whoever comes next finds what runs with nobody to have it evaluated
                raise

    def _start_tasks(self, workers: Workers, missing: list[str]) -> bool:
        """Whether there is something to wait for: a task that was started, or one of another process.

        A worker without a task does what is spare while others still evaluate.
        """
        goes_on = False
        for worker in workers.all:
            if worker in self._running or worker in self._sparing:
                continue
            task = None
            if self._time_is_left():
                try:
                    task = self._task(missing, len(workers.all))
                except _EvaluatedElsewhere:
                    return True
            if task is not None:
                method, arguments = self._problem.request(task.candidate)
                worker.send(method, *arguments)
                self._running[worker] = task
                goes_on = True
            elif self._running and (spare := self._retry(self._spare)):
                worker.send(spare.call[0], *spare.call[1])
                self._sparing[worker] = spare, time.monotonic()
        return goes_on

    def _receive(self, worker: Worker) -> None:
        """Takes what a worker answers to an evaluation, or to what is spare."""
        if worker in self._sparing:
            spare, _ = self._sparing.pop(worker)
            answer = worker.receive()
            self._report(self._retry(lambda: spare.end(answer)))
            self._timer.renew()
        else:
            self._finish(self._running.pop(worker), worker.receive())

    def _task(self, missing: list[str], workers: int) -> _Task | None:
        """A reference whose turn it is, else a candidate; where there is none, what is missing of the references."""
        so_far, left = time.monotonic() - self._started, self._timer.left()
        clock = Clock(workers * so_far, workers * (so_far + left), left)
        task = self._reference_task(missing, clock) or self._next_task()
        if task is None and self._time_is_left():
            task = self._reference_task(missing, replace(clock, so_far=clock.in_all))
        return task

    def _reference_task(self, missing: list[str], clock: Clock) -> _Task | None:
        """The next reference whose turn it is, and whose evaluation is not known already."""
        while missing:
            task = self._retry(lambda: self._ask_for_reference(missing, clock))
            if task is None or not self._answered(task):
                return task
        return None

    def _ask_for_reference(self, missing: list[str], clock: Clock) -> _Task | None:
        """The nearest of the missing references that no process has evaluated, if it is its turn."""
        with self._coordinator.asking():
            done = _references_of(self._references.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
            missing[:] = [name for name in missing if name not in done]
            elsewhere = _references_of(self._coordinator.elsewhere(self._references))
            names = [name for name in self._problem.nearest_first(missing, self._study) if name not in elsewhere]
            running = [self._problem.size_of(task.candidate) for task in self._running.values() if task.reference]
            sizes = {name: self._problem.size_of(self._problem.reference(name)) for name in names}
            is_first = not (done or elsewhere or running)
            name = next(iter(names), None) if is_first else self._turns.due(sizes, running, clock)
            if name is None:
                return None
            candidate = self._problem.reference(name)
            trial = self._coordinator.ask(self._references)
            trial.set_user_attr(REFERENCE, name)
            trial.set_user_attr(KEY, candidate.key())
        missing.remove(name)
        return _Task(candidate, [(self._references, trial)], name)

    def _is_known(self, reference: str) -> bool:
        return self._retry(lambda: self._problem.known(self._problem.reference(reference))) is not None

    def _next_task(self) -> _Task | None:
        """The next candidate that is not known; trials that ask for a known one are answered at once."""
        while self._replays < MOST_REPLAYS and self._time_is_left():
            asked = self._retry(self._ask)
            if asked is None:
                return None
            trial, candidate = asked
            running = [task for task in self._running.values() if task.candidate.key() == candidate.key()]
            if (known := self._known.get(candidate.key())) is not None:
                self._replays += 1
                self._tell(self._study, trial, _repeated(known))
            elif running:
                self._replays += 1
                running[0].waiting.append((self._study, trial))
            else:
                self._replays = 0
                task = _Task(candidate, [(self._study, trial)])
                if not self._answered(task):
                    if self._fits(candidate):
                        return task
                    # It stays asked for, and waits in the queue once this search is over.
                    self._too_long += 1
        return None

    def _ask(self) -> tuple[Trial, Candidate] | None:
        """A trial and the candidate that it means; None where the study has its trials."""
        with self._coordinator.asking():
            self._coordinator.requeue_orphans()
            if self._limits.trials is not None and networks_in(self._study) >= self._limits.trials:
                if self._keys_elsewhere():  # whoever has the last ones evaluated may die, or be dead unnoticed
                    raise _EvaluatedElsewhere
                return None
            self._study.sampler = self._problem.sampler(self._study, position_of(self._study))
            trial = self._coordinator.ask(self._study)
            candidate = self._problem.suggest(trial)
            trial.set_user_attr(KEY, candidate.key())
            self._learn()
            if candidate.key() not in self._known and candidate.key() in self._keys_elsewhere():
                raise _EvaluatedElsewhere
        return trial, candidate

    def _keys_elsewhere(self) -> set[Any]:
        trials = [trial for study in (self._study, self._references) for trial in self._coordinator.elsewhere(study)]
        return {trial.user_attrs.get(KEY) for trial in trials}

    def _answered(self, task: _Task) -> bool:
        """Whether the task needs no worker, for its answer is known: it is finished then."""
        answer = self._retry(lambda: self._problem.known(task.candidate))
        if answer is not None:
            self._finish(task, answer)
        return answer is not None

    def _learn(self) -> None:
        """Reads what ended since the last time, here or in another process."""
        for study in (self._references, self._study):
            trials = study.get_trials(deepcopy=False)
            # Finished ones do not change, and those that run are few: what is read once is not read again.
            begin = self._read.get(study.study_name, 0)
            for trial in trials[begin:]:
                if trial.state in _KNOWN and KEY in trial.user_attrs:
                    self._known.setdefault(trial.user_attrs[KEY], trial)
            unfinished = (trial.number for trial in trials[begin:] if not trial.state.is_finished())
            self._read[study.study_name] = next(unfinished, len(trials))

    def _time_is_left(self) -> bool:
        """Whether another evaluation may be begun; each that would have ended too late asks for more time."""
        return self._too_long < MOST_TOO_LONG and self._durations.typical() < self._timer.left()

    def _fits(self, candidate: Candidate) -> bool:
        """Whether an evaluation of the candidate should end in time."""
        return self._durations.at_most(self._problem.size_of(candidate)) < self._timer.left()

    def _abandon(self) -> None:
        """Gives up what runs: its workers are stopped in the midst of it, its trials wait for a search that goes on."""
        for worker, task in self._running.items():
            self._report(f"{self._label(task)}: given up, for the time is over")
            worker.stop()
        self._running.clear()

    def _finish(self, task: _Task, answer: Any) -> None:
        label = self._label(task)
        if isinstance(answer, Failure):
            outcome = _failed(answer.cause)
            self._failures += 1
        else:
            outcome = self._outcome(task, answer)
            self._failures = self._failures + 1 if outcome.state is TrialState.FAIL else 0
        if outcome.state is TrialState.COMPLETE and outcome.seconds:
            size = self._problem.size_of(task.candidate)
            self._durations.add(size, outcome.seconds)
            self._turns.took(size, outcome.seconds, is_reference=bool(task.reference))
            self._timer.renew()
        for position, (study, trial) in enumerate(task.waiting):
            self._tell(study, trial, outcome if position == 0 else _marked(outcome))
        self._report(f"{label}: {outcome.summary}")
        if self._failures >= MOST_FAILURES:
            raise RuntimeError(f"{MOST_FAILURES} evaluations in a row failed, the last one: {label}: {outcome.summary}")

    def _outcome(self, task: _Task, answer: Any) -> Outcome:
        """What the answer amounts to: a failure where it cannot be."""
        try:
            return self._retry(lambda: self._problem.outcome(task.candidate, answer, task.reference))
        except ImpossibleFacts as error:
            return _failed(str(error))

    def _label(self, task: _Task) -> str:
        if task.reference:
            return f"reference {task.reference}"
        return f"trial {task.waiting[0][1].number} {self._problem.name_of(task.candidate)}"

    def _tell(self, study: Study, trial: Trial, outcome: Outcome) -> None:
        # A reference that the search finds too is one of its points.
        left_out = {REFERENCE} if study is self._study else set()
        attributes = {name: value for name, value in outcome.attributes.items() if name not in left_out}
        self._retry(lambda: self._coordinator.tell(study, trial, outcome.values, outcome.state, attributes))


def _failed(cause: str) -> Outcome:
    return Outcome(TrialState.FAIL, None, {CAUSE: cause}, f"failed: {cause}")


def _references_of(trials: Sequence[FrozenTrial]) -> set[Any]:
    return {trial.user_attrs.get(REFERENCE) for trial in trials}


def _marked(outcome: Outcome) -> Outcome:
    return Outcome(outcome.state, outcome.values, {**outcome.attributes, REPLAYED: True}, outcome.summary)


def _repeated(known: FrozenTrial) -> Outcome:
    """The outcome of a trial that asks for what another one has had evaluated."""
    values = tuple(known.values) if known.values is not None else None
    return _marked(Outcome(known.state, values, known.user_attrs, ""))
