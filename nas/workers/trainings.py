"""Trainings by workers: what the ledger does not know yet, in parallel, each kept as soon as it is done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from nas.cli.heartbeat import doing, running
from nas.cli.stopping import stop_if_asked
from nas.cli.terminal import console
from nas.workers.protocol import Failure, Worker, Workers
from search_space.architecture import Architecture
from search_space.cost import cost_of
from studies.checked_facts import flaw_of
from studies.ledger.entry import preset_names
from studies.ledger.trainings import Evaluations, Question, checked_answer

MOST_FAILURES = 5
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limit:
    """Until when questions may be answered: the seconds left, and how many each should take."""

    seconds_left: Callable[[], float]
    expected: Callable[[Question], float]


def train_missing(
    asked: Sequence[Question],
    workers: Workers,
    evaluations: Evaluations,
    macs_of: Callable[[Question], int] | None = None,
    limit: Limit | None = None,
) -> list[str]:
    """What failed; all that the ledger did not hold has been trained, within the limit where there is one.

    `macs_of` says what a question's network costs, where not all are architectures; the time left follows from it.
    """
    known = evaluations.answers(asked[0].data)
    missing = [question for question in asked if question.answer_in(known) is None]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    lines = console()
    lines.print(f"{len(asked) - len(missing)} of {len(asked)} trainings are in the ledger")
    work = {question.digest: _work(question, macs_of or _macs_of) for question in missing}
    with Progress(*columns, console=lines) as progress:
        task = progress.add_task("training", total=sum(work.values()))
        done = 0

        def report(question: Question, seconds: float | None, cause: str) -> None:
            nonlocal done
            done += 1
            text = f"failed: {cause}" if seconds is None else f"{seconds:.1f} s"
            progress.console.print(f"{done} of {len(missing)} {name_of(question)}: {text}")
            progress.advance(task, work[question.digest])

        def seconds_left() -> float | None:
            row = progress.tasks[0]
            return (row.elapsed or 0.0) * row.remaining / row.completed if row.completed and row.remaining else None

        with doing("training", seconds_left):
            return run_all(missing, workers, evaluations, workers.all[0].call("made_by"), report, limit)


def _macs_of(question: Question) -> int:
    assert isinstance(question.architecture, Architecture)
    return cost_of(question.architecture).macs


def _work(question: Question, macs_of: Callable[[Question], int]) -> float:
    """How long the question takes to answer, in a unit of its own: FLOPs times epochs times images."""
    method = question.method
    if "epochs" not in method:
        return 0.0
    images = method["max_images"] or 50_000
    return float(macs_of(question) * method["epochs"] * images * method["image_scale"] ** 2)


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
        cause = result.cause if isinstance(result, Failure) else _flaw(question, result)
        if not cause:
            if limit:
                pace.append(seconds / limit.expected(question))
            evaluations.add(question, result, made_by, time.time())
            report(question, result["seconds"], "")
            return
        failures.append(f"{name_of(question)}: {cause}")
        report(question, None, cause)
        # One that fails may fail each time, so only where all do is there no use in going on.
        if len(failures) == MOST_FAILURES and not evaluations.answers(question.data):
            raise RuntimeError(f"all of the first {len(failures)} trainings failed, the last one: {failures[-1]}")

    with doing(lambda: running(begun) or "waiting for workers"):
        while waiting or answering:
            for worker in workers.all:
                if worker not in answering and (question := _next_within(limit, waiting, pace)):
                    answering[worker] = question
                    begun[name_of(question)] = time.monotonic()
                    worker.send("answer", *_arguments(question))
            for worker in workers.ready(list(answering), POLL_SECONDS):
                question, result = answering.pop(worker), worker.receive()
                finish(question, result, time.monotonic() - begun.pop(name_of(question)))
            if limit and limit.seconds_left() <= 0:
                for worker in answering:
                    worker.stop()
                break
            workers.replace_dead(answering)
            stop_if_asked()
    return failures


def _arguments(question: Question) -> tuple[Any, ...]:
    """What a worker is asked; that its network is quantised too is said where it is."""
    asked = question.architecture, dict(question.method), question.seed
    return (*asked, True) if question.in_int8 else asked


def _flaw(question: Question, result: Any) -> str:
    """Why the result can be no answer; "" where it can."""
    if flaw := flaw_of(lambda: checked_answer(question.method, result)):
        return flaw
    return "" if question.is_answered_by(result) else "its accuracy in 8 bits is missing"


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
    short = architecture.short_name if isinstance(architecture, Architecture) else key
    return f"{question.name or preset_names().get(key, short)} {question.method['name']} seed {question.seed}"
