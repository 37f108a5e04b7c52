"""Runs a calibration's trainings: what the ledger does not know yet, in parallel, each kept as soon as it is done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from nas.calibrate.sets import SETS
from nas.calibrate.settings import ZERO_COST, CalibrationSettings
from nas.cli.heartbeat import doing, running
from nas.workers.local import Failure, Worker, Workers
from search_space.architecture import Architecture
from search_space.cost import cost_of
from studies.ledger.entry import preset_names
from studies.ledger.trainings import Evaluations, Question

MOST_FAILURES = 5
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limit:
    """Until when questions may be answered: the seconds left, and how many each should take."""

    seconds_left: Callable[[], float]
    expected: Callable[[Question], float]


@dataclass(frozen=True, slots=True)
class Sets:
    """The architectures of each set by its name, and how many of them are trained fully."""

    architectures: Mapping[str, tuple[Architecture, ...]]
    labelled: Mapping[str, int]

    def all(self) -> list[tuple[Architecture, bool]]:
        """Every architecture once, with whether it is trained fully."""
        found: dict[str, tuple[Architecture, bool]] = {}
        for name, members in self.architectures.items():
            labelled = self._labelled(name)
            for position, architecture in enumerate(members):
                key = architecture.key()
                known = found.get(key, (architecture, False))[1]
                found[key] = architecture, known or position in labelled
        return list(found.values())

    def _labelled(self, name: str) -> set[int]:
        """Positions: the first ones of a set in random order, those evenly spread over one that is ordered by cost."""
        count, labelled = len(self.architectures[name]), self.labelled[name]
        if name != "stratified":
            return set(range(labelled))
        return {position * count // labelled for position in range(labelled)}


def draw(settings: CalibrationSettings) -> Sets:
    """The architectures that the settings ask for."""
    return Sets(
        {
            name: tuple(SETS[name](settings.space, count + settings.extra, settings.seeds[0]))
            for name, count in settings.fully.items()
        },
        settings.fully,
    )


def questions(settings: CalibrationSettings, sets: Sets, data: str) -> list[Question]:
    """All that is to be asked: what is cheap first, full trainings seed by seed, the costliest of each first."""
    space, seed = settings.space, settings.seeds[0]

    def macs(member: tuple[Architecture, bool]) -> int:
        return cost_of(member[0], space.task.resolution, space.task.num_classes).macs

    members = sorted(sets.all(), key=macs, reverse=True)
    asked: list[Question] = []
    for method in (ZERO_COST, *(recipe.to_dict() for recipe in settings.proxies)):
        asked += [Question(architecture, method, data, seed, settings.device) for architecture, _ in members]
    full = settings.full.to_dict()
    for each in settings.seeds:
        asked += [Question(architecture, full, data, each, settings.device) for architecture, known in members if known]
    return asked


def run_all(
    asked: Sequence[Question],
    workers: Workers,
    evaluations: Evaluations,
    made_by: Mapping[str, Any],
    report: Callable[[Question, float | None, str], None],
    limit: Limit | None = None,
) -> list[str]:
    """What failed, a line each; every answer is in the ledger.

    `report` is called with each question that was answered, its seconds, and the cause where it failed. With a limit,
    none is begun that would end too late, and what still runs then is given up, neither answered nor failed.

    Raises:
        RuntimeError: nothing was ever answered, and several have failed; the message holds the last one's cause.
    """
    waiting, answering, failures = deque(asked), dict[Worker, Question](), list[str]()
    begun: dict[str, float] = {}
    pace: list[float] = []
    """How many times the expected seconds those that ended have taken."""

    def finish(question: Question, result: Any, seconds: float) -> None:
        if not isinstance(result, Failure):
            if limit:
                pace.append(seconds / limit.expected(question))
            evaluations.add(question, result, made_by, time.time())
            report(question, result["seconds"], "")
            return
        failures.append(f"{name_of(question)}: {result.cause}")
        report(question, None, result.cause)
        # One that fails may fail each time, so only where all do is there no use in going on.
        if len(failures) == MOST_FAILURES and not evaluations.answers(question.data):
            raise RuntimeError(f"all of the first {len(failures)} trainings failed, the last one: {failures[-1]}")

    with doing(lambda: running(begun) or "waiting for workers"):
        while waiting or answering:
            for worker in workers.all:
                if worker not in answering and (question := _next_within(limit, waiting, pace)):
                    answering[worker] = question
                    begun[name_of(question)] = time.monotonic()
                    worker.send("answer", question.architecture, dict(question.method), question.seed)
            for worker in workers.ready(list(answering), POLL_SECONDS):
                question, result = answering.pop(worker), worker.receive()
                finish(question, result, time.monotonic() - begun.pop(name_of(question)))
            if limit and limit.seconds_left() <= 0:
                for worker in answering:
                    worker.stop()
                break
            workers.replace_dead(answering)
    return failures


def _next_within(limit: Limit | None, waiting: deque[Question], pace: Sequence[float]) -> Question | None:
    """The first of those that wait for which there is time, taken out; the others are left out for good."""
    while waiting:
        question = waiting.popleft()
        if limit is None or limit.expected(question) * (median(pace) if pace else 1.0) <= limit.seconds_left():
            return question
    return None


def name_of(question: Question) -> str:
    """What a line calls the question."""
    architecture = question.architecture
    key = architecture.key()
    short = f"{architecture.unit}-{key[:8]}" if isinstance(architecture, Architecture) else key
    return f"{question.name or preset_names().get(key, short)} {question.method['name']} seed {question.seed}"
