"""The search: asks for architectures, has them evaluated, tells the study. One process asks and tells."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from optuna.study import Study
from optuna.trial import Trial, TrialState

from nas.accuracy import Accuracy
from nas.references import starting_params
from nas.settings import Settings
from nas.workers import Failure, Worker, Workers
from search_space.architecture import Architecture
from search_space.presets import PRESETS
from search_space.space import SearchSpace
from studies.ledger import Ledger, Measured
from studies.record import Record, Rejected, attributes_of
from studies.samplers import sampler_for
from studies.store import CAUSE, position_of, records_of, requeue_interrupted

POLL_SECONDS = 0.5
MOST_REPLAYS = 200
MOST_FAILURES = 5

Result = Record | Rejected | Failure


@dataclass(slots=True)
class _Task:
    """An architecture and what waits for its record: a trial, or more where a sampler proposed it again."""

    architecture: Architecture
    waiting: list[tuple[Study, Trial]]
    reference: str = ""


class Search:
    """Runs a study until its trials or its time are used up; references first.

    `report` is called with a line for each evaluation that ended, and with "" while time goes by.
    """

    def __init__(
        self,
        settings: Settings,
        space: SearchSpace,
        study: Study,
        references: Study,
        ledger: Ledger,
        anchor_ms: float,
        accuracy: Accuracy,
        report: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._space = space
        self._study = study
        self._references = references
        self._ledger = ledger
        self._anchor_ms = anchor_ms
        self._accuracy = accuracy
        self._report = report
        self._running: dict[Worker, _Task] = {}
        known = [*records_of(references), *records_of(study)]
        self._known: dict[str, Record | Rejected] = {record.architecture.key(): record for record in known}
        self._replays = self._failures = 0
        self._durations: list[float] = []
        self._deadline = 0.0

    def run(self, workers: Workers, reference_names: Sequence[str]) -> None:
        """Nothing: evaluates what is missing of the references, then trials.

        Raises:
            RuntimeError: several evaluations in a row failed; the message holds the last one's cause.
        """
        self._deadline = time.monotonic() + self._settings.seconds
        for study in (self._references, self._study):
            requeue_interrupted(study)
        if not self._study.get_trials(deepcopy=False):
            for params in starting_params(self._space):
                self._study.enqueue_trial(params)
        done = {record.reference for record in records_of(self._references)}
        missing = [name for name in reference_names if name not in done]
        try:
            while self._start_tasks(workers, missing) or self._running:
                for worker in workers.ready(list(self._running), POLL_SECONDS):
                    self._finish(self._running.pop(worker), worker.receive())
                workers.replace_dead(self._running)
                self._report("")
        finally:
            for study in (self._references, self._study):
                requeue_interrupted(study)

    def _start_tasks(self, workers: Workers, missing: list[str]) -> bool:
        started = False
        for worker in workers.all:
            if worker not in self._running and self._time_is_left():
                task = self._reference_task(missing.pop(0)) if missing else self._next_task()
                if task is not None:
                    worker.send("evaluate", task.architecture, self._anchor_ms)
                    self._running[worker] = task
                    started = True
        return started

    def _reference_task(self, name: str) -> _Task:
        trial = self._references.ask()
        trial.set_user_attr("reference", name)
        return _Task(PRESETS[name], [(self._references, trial)], name)

    def _next_task(self) -> _Task | None:
        """The next architecture that is not known; trials that ask for a known one are answered from its record."""
        while not self._trials_are_used_up() and self._replays < MOST_REPLAYS:
            position = position_of(self._study)
            self._study.sampler = sampler_for(self._settings.sampler, self._settings.seed, position)
            trial = self._study.ask()
            architecture = self._space.suggest(trial)
            key = architecture.key()
            running = [task for task in self._running.values() if task.architecture.key() == key]
            if key in self._known:
                self._replays += 1
                self._tell(self._study, trial, self._known[key], replay=True)
            elif running:
                self._replays += 1
                running[0].waiting.append((self._study, trial))
            else:
                self._replays = 0
                return _Task(architecture, [(self._study, trial)])
        return None

    def _trials_are_used_up(self) -> bool:
        return self._settings.trials is not None and position_of(self._study) >= self._settings.trials

    def _time_is_left(self) -> bool:
        expected = statistics.median(self._durations) if self._durations else 0.0
        return time.monotonic() + expected < self._deadline

    def _finish(self, task: _Task, result: Result) -> None:
        if isinstance(result, Record):
            result = replace(self._accuracy.predicted(result), reference=task.reference)
            self._durations.append(result.seconds)
        if not isinstance(result, Failure):
            self._known[task.architecture.key()] = result
            self._ledger.add([self._measured(task, result)])
        for position, (study, trial) in enumerate(task.waiting):
            self._tell(study, trial, result, replay=position > 0)
        self._failures = self._failures + 1 if isinstance(result, Failure) else 0
        self._report(_line(task, result))
        if self._failures >= MOST_FAILURES:
            raise RuntimeError(f"{MOST_FAILURES} evaluations in a row failed, the last one: {_line(task, result)}")

    def _measured(self, task: _Task, result: Record | Rejected) -> Measured:
        architecture = task.architecture
        return Measured(
            network=architecture.key(),
            classes=self._settings.classes,
            device=self._settings.latency_from or str(result.latency["fingerprint"]),
            source="run",
            latency=result.latency,
            architecture=architecture,
            study=self._study.study_name,
        )

    def _tell(self, study: Study, trial: Trial, result: Result, *, replay: bool) -> None:
        attributes = {"replayed": True} if replay else {}
        if isinstance(result, Record):
            if study is self._study:
                result = replace(result, reference="")  # found by the search too, it is one of its points
            for name, value in {**attributes, **attributes_of(result)}.items():
                trial.set_user_attr(name, value)
            study.tell(trial, [result.accuracy, result.latency_ms])
        elif isinstance(result, Rejected):
            trial.set_user_attr("latency", dict(result.latency))
            trial.set_user_attr(CAUSE, f"over the latency budget: {result.latency_ms:.4g} ms")
            study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_user_attr(CAUSE, result.cause)
            study.tell(trial, state=TrialState.FAIL)


def _line(task: _Task, result: Result) -> str:
    name = task.reference or f"{task.architecture.unit}-{task.architecture.key()[:8]}"
    label = f"reference {name}" if task.reference else f"trial {task.waiting[0][1].number} {name}"
    if isinstance(result, Record):
        noisy = ", noisy" if result.noisy else ""
        return (
            f"{label}: {result.macs / 1e6:.1f} MFLOPs, {result.latency_ms:.3f} ms{noisy}, "
            f"{100 * result.accuracy:.1f} % (proxy {100 * result.proxy_accuracy:.1f} %), {result.seconds:.0f} s"
        )
    if isinstance(result, Rejected):
        return f"{label}: {result.latency_ms:.3f} ms is over the latency budget, not trained"
    return f"{label} failed: {result.cause}"
