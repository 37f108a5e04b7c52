"""Latencies of what stands on a front, or within its error of it, taken again by the whole protocol.

Of a search for int8 they are then taken in fp32 too: whether int8 is faster is a fact of the device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from optuna.study import Study

from nas.cli.heartbeat import doing
from nas.search.references import ANCHOR_MS
from nas.search.settings import Settings
from nas.workers.protocol import Failure, Workers
from proxies.latency.protocol import QUICK, TIMINGS
from proxies.latency.runtimes import RUNTIMES
from search_space.precision import FP32, INT8
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
    wanted = _by_key([*_shown(records, references), *_near(records, front_of(records))]).values()
    return [record for record in wanted if not record.is_timed_fully]


def seconds_of_retiming(settings: Settings, records: Sequence[Record], references: Sequence[Record]) -> float:
    """Seconds that it takes to time again all that is to be, one by one; 0 where nothing is."""
    again = sum(_seconds(record) for record in to_retime(records, references))
    shown = _shown(records, references) if settings.latency.precision == INT8 else []
    in_fp32 = sum(_seconds(record, QUICK) for record in shown)
    return again + in_fp32 + (_seconds(shown[0]) if shown else 0.0)  # V2 1.0x in fp32, by the whole protocol


@dataclass(frozen=True, slots=True)
class ToTime:
    """A network to be timed again: by the whole protocol, or in fp32 beside its int8."""

    record: Record
    in_fp32: bool = False

    @property
    def key(self) -> tuple[str, bool]:
        """What tells it from others."""
        return self.record.architecture.key(), self.in_fp32

    @property
    def text(self) -> str:
        """What is done, for progress: "timing v2-0.5x again"."""
        return f"timing {self.record.name} {'in fp32' if self.in_fp32 else 'again'}"


class Retiming:
    """What is timed again of a study, one network after another; each is kept as soon as it is timed.

    `records_of` tells the new latencies, and what comes onto the front by them is timed as well. Latencies in fp32
    beside int8 are the ledger's alone.
    """

    def __init__(self, settings: Settings, study: Study, references: Study, ledger: Ledger) -> None:
        self._settings, self._ledger = settings, ledger
        self._study, self._references = study, references
        self._begun: dict[tuple[str, bool], float] = {}
        self._pace: list[float] = []
        self.failures: list[str] = []

    def next(self, seconds: float) -> ToTime | None:
        """The next to be timed that was not begun yet; None where there is none, or it would take longer than that."""
        wanted = next((each for each in self._wanted() if each.key not in self._begun), None)
        pace = median(self._pace) if self._pace else 1.0
        return wanted if wanted and pace * self._seconds(wanted) <= seconds else None

    def begin(self, wanted: ToTime) -> tuple[str, tuple[Any, ...]]:
        """The method of a worker that times it, and its arguments."""
        self._begun[wanted.key] = time.monotonic()
        method = "measure_in_fp32" if wanted.in_fp32 else "measure"
        return method, (wanted.record.architecture, float(self._study.user_attrs[ANCHOR_MS]))

    def end(self, wanted: ToTime, answer: LatencyFacts | Failure) -> str:
        """A line about how it was timed, once that is kept."""
        record, how = wanted.record, "in fp32" if wanted.in_fp32 else "again"
        if isinstance(answer, Failure):
            self.failures.append(f"{record.name} timed {how}: {answer.cause}")
            return f"timed {how} {record.name}: failed: {answer.cause}"
        self._ledger.add([_entry(self._settings, record, answer)])
        if wanted.in_fp32:
            return f"timed {how} {record.name}: {answer.text}, in int8 {record.latency_ms:.3f} ms"
        self._pace.append((time.monotonic() - self._begun[wanted.key]) / _seconds(record))
        for each in (self._study, self._references):  # the search may have found a reference as well
            keep_retimed(each, record.architecture.key(), answer)
        return f"timed {how} {record.name}: {answer.text}, was {record.latency_ms:.3f} ms"

    def _wanted(self) -> Iterator[ToTime]:
        """What stands on the front, again and then in fp32; and after that what might stand there."""
        records, references = records_of(self._study), records_of(self._references)
        shown = _by_key(_shown(records, references))
        again = to_retime(records, references)
        yield from (ToTime(record) for record in again if record.architecture.key() in shown)
        if self._settings.latency.precision == INT8:
            precision = RUNTIMES[self._settings.latency.runtime].computes_in(FP32)
            timed = self._ledger.measurements(study=self._settings.study, precision=precision)
            known = {each.network for each in timed}
            yield from (ToTime(record, in_fp32=True) for key, record in shown.items() if key not in known)
        yield from (ToTime(record) for record in again if record.architecture.key() not in shown)

    def _seconds(self, wanted: ToTime) -> float:
        if not wanted.in_fp32:
            return _seconds(wanted.record)
        is_first = not any(in_fp32 for _, in_fp32 in self._begun)
        return _seconds(wanted.record, QUICK) + (_seconds(wanted.record) if is_first else 0.0)


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
    while wanted := retiming.next(deadline - time.monotonic()):
        workers.replace_dead([])
        worker = workers.all[0]
        method, arguments = retiming.begin(wanted)
        with doing(wanted.text):
            worker.send(method, *arguments)
            report(retiming.end(wanted, worker.receive()))
    return retiming.failures


def _shown(records: Sequence[Record], references: Sequence[Record]) -> list[Record]:
    """The front, and the references that its networks are held against."""
    front = front_of(records)
    beside = [nearest for record in front if (nearest := nearest_reference(record, references)) is not None]
    return list(_by_key([*front, *beside]).values())


def _by_key(records: Sequence[Record]) -> dict[str, Record]:
    return {record.architecture.key(): record for record in records}


def _near(records: Sequence[Record], front: Sequence[Record]) -> list[Record]:
    """What would stand on the front if it were as much faster as its error allows, the least behind first."""

    def best(record: Record) -> float:
        fastest_ms = record.latency_ms * (1 - record.latency_spread / 2)
        return max((other.accuracy for other in front if other.latency_ms <= fastest_ms), default=-1.0)

    behind = [record for record in records if record.accuracy > best(record)]
    return sorted(behind, key=lambda record: best(record) - record.accuracy)


def _seconds(record: Record, depth: str = FULL) -> float:
    timing = TIMINGS[depth]
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
