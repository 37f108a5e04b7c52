"""Latencies of what stands on a front, or within its error of it, taken again by the whole protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from optuna.study import Study

from nas.cli.heartbeat import doing
from nas.search.references import ANCHOR_MS
from nas.search.settings import Settings
from nas.workers.protocol import Failure, Workers
from proxies.latency.protocol import TIMINGS
from studies.facts import FULL, LatencyFacts
from studies.front import front_of, nearest_reference
from studies.ledger.latencies import Ledger, Measured
from studies.record import Record
from studies.storage.retimed_latencies import keep_retimed
from studies.storage.studies import records_of

START_SECONDS = 2.0
"""What a process takes until it times, and the network's file its share of."""
MORE_PROCESSES = 1.5
"""So many times the least number of processes are started on average: on a busy machine more must agree."""


def to_retime(records: Sequence[Record], references: Sequence[Record]) -> list[Record]:
    """Those that are timed quickly, and whose place on the front hangs on it; what matters most comes first.

    That is the front, the references that its networks are held against, and what would stand on the front if it were
    as much faster as its error allows.
    """
    front = front_of(records)
    beside = [nearest for record in front if (nearest := nearest_reference(record, references)) is not None]
    wanted = {record.architecture.key(): record for record in (*front, *beside, *_near(records, front))}
    return [record for record in wanted.values() if not record.is_timed_fully]


def seconds_of_retiming(records: Sequence[Record]) -> float:
    """Seconds that it takes to time the records by the whole protocol, one by one."""
    return sum(map(_seconds, records))


class Retiming:
    """What is timed again of a study, one network after another; each is kept as soon as it is timed.

    `records_of` tells the new latencies, and what comes onto the front by them is timed as well.
    """

    def __init__(self, settings: Settings, study: Study, references: Study, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger
        self._study, self._references = study, references
        self._begun: dict[str, float] = {}
        self._pace: list[float] = []
        self.failures: list[str] = []

    def next(self, seconds: float) -> Record | None:
        """The next to be timed that was not begun yet; None where there is none, or it would take longer than that."""
        wanted = to_retime(records_of(self._study), records_of(self._references))
        record = next((each for each in wanted if each.architecture.key() not in self._begun), None)
        pace = median(self._pace) if self._pace else 1.0
        return record if record and pace * _seconds(record) <= seconds else None

    def begin(self, record: Record) -> tuple[str, tuple[Any, ...]]:
        """The method of a worker that times it, and its arguments."""
        self._begun[record.architecture.key()] = time.monotonic()
        return "measure", (record.architecture, float(self._study.user_attrs[ANCHOR_MS]))

    def end(self, record: Record, answer: LatencyFacts | Failure) -> str:
        """A line about how it was timed, once that is kept."""
        key = record.architecture.key()
        if isinstance(answer, Failure):
            self.failures.append(f"{record.name} timed again: {answer.cause}")
            return f"timed again {record.name}: failed: {answer.cause}"
        self._pace.append((time.monotonic() - self._begun[key]) / _seconds(record))
        for each in (self._study, self._references):  # the search may have found a reference as well
            keep_retimed(each, key, answer)
        self._ledger.add([_entry(self._settings, record, answer)])
        return f"timed again {record.name}: {answer.text}, was {record.latency_ms:.3f} ms"


def retime(
    retiming: Retiming,
    workers: Workers,
    *,
    seconds: float,
    report: Callable[[str], None],
) -> list[str]:
    """What could not be timed, a line each, once all of `to_retime` is timed by the whole protocol, or time is up.

    For when nothing trains: one network is timed after another. `report` is called with a line for each; none is begun
    that would end after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while record := retiming.next(deadline - time.monotonic()):
        workers.replace_dead([])
        worker = workers.all[0]
        method, arguments = retiming.begin(record)
        with doing(f"timing {record.name} again"):
            worker.send(method, *arguments)
            report(retiming.end(record, worker.receive()))
    return retiming.failures


def _near(records: Sequence[Record], front: Sequence[Record]) -> list[Record]:
    """What would stand on the front if it were as much faster as its error allows, the least behind first."""

    def best(record: Record) -> float:
        fastest_ms = record.latency_ms * (1 - record.latency_spread / 2)
        return max((other.accuracy for other in front if other.latency_ms <= fastest_ms), default=-1.0)

    behind = [record for record in records if record.accuracy > best(record)]
    return sorted(behind, key=lambda record: best(record) - record.accuracy)


def _seconds(record: Record) -> float:
    timing = TIMINGS[FULL]
    round_ms = (timing.runs + 1) * (record.latency.p10_ms + record.latency.reference_p10_ms)
    each = START_SECONDS + min(timing.seconds, timing.rounds * round_ms / 1000)
    return MORE_PROCESSES * timing.processes * each


def _entry(settings: Settings, record: Record, latency: LatencyFacts) -> Measured:
    return Measured(
        network=record.architecture.key(),
        classes=settings.task.num_classes,
        device=settings.latency.remote or latency.fingerprint,
        source="run",
        latency=latency,
        architecture=record.architecture,
        study=settings.study,
    )
