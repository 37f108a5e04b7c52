"""Latencies of what stands on a front, or within its error of it, taken again by the whole protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from optuna.study import Study

from nas.heartbeat import doing
from nas.references import ANCHOR_MS
from nas.settings import Settings
from nas.workers import Failure, Workers
from proxies.stopwatch import TIMINGS
from studies.front import front_of, nearest_reference
from studies.ledger import Ledger, Measured
from studies.record import FULL, Record
from studies.retimed import keep_retimed
from studies.store import records_of

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


def retime(
    settings: Settings,
    study: Study,
    references: Study,
    workers: Workers,
    ledger: Ledger,
    *,
    seconds: float,
    report: Callable[[str], None],
) -> list[str]:
    """What could not be timed, a line each, once all of `to_retime` is timed by the whole protocol, or time is up.

    Each latency is kept as soon as it is taken, and `records_of` tells it. What comes onto the front by that is timed
    as well. For when nothing trains: one network is timed after another. `report` is called with a line for each; none
    is begun that would end after `seconds`.
    """
    deadline = time.monotonic() + seconds
    failures: dict[str, str] = {}
    while record := _next(records_of(study), records_of(references), failures):
        if time.monotonic() + _seconds(record) > deadline:
            break
        answer = _measured(workers, record, float(study.user_attrs[ANCHOR_MS]))
        if isinstance(answer, Failure):
            failures[record.architecture.key()] = f"{record.name} timed again: {answer.cause}"
            report(f"timed again {record.name}: failed: {answer.cause}")
            continue
        for each in (study, references):  # the search may have found a reference as well
            keep_retimed(each, record.architecture.key(), answer)
        ledger.add([_entry(settings, record, answer)])
        anew = f"{answer['latency_ms']:.3f} ms ±{50 * answer['spread']:.1f} %"
        report(f"timed again {record.name}: {anew}, was {record.latency_ms:.3f} ms")
    return list(failures.values())


def _near(records: Sequence[Record], front: Sequence[Record]) -> list[Record]:
    """What would stand on the front if it were as much faster as its error allows, the least behind first."""

    def best(record: Record) -> float:
        fastest_ms = record.latency_ms * (1 - record.latency_spread / 2)
        return max((other.accuracy for other in front if other.latency_ms <= fastest_ms), default=-1.0)

    behind = [record for record in records if record.accuracy > best(record)]
    return sorted(behind, key=lambda record: best(record) - record.accuracy)


def _next(records: Sequence[Record], references: Sequence[Record], failed: dict[str, str]) -> Record | None:
    wanted = (record for record in to_retime(records, references) if record.architecture.key() not in failed)
    return next(wanted, None)


def _seconds(record: Record) -> float:
    timing = TIMINGS[FULL]
    round_ms = (timing.runs + 1) * (float(record.latency["p10_ms"]) + float(record.latency["reference_p10_ms"]))
    each = START_SECONDS + min(timing.seconds, timing.rounds * round_ms / 1000)
    return MORE_PROCESSES * timing.processes * each


def _measured(workers: Workers, record: Record, anchor_ms: float) -> Any:
    """How the record was timed, or a `Failure`."""
    workers.replace_dead([])
    worker = workers.all[0]
    with doing(f"timing {record.name} again"):
        worker.send("measure", record.architecture, anchor_ms)
        return worker.receive()


def _entry(settings: Settings, record: Record, latency: dict[str, Any]) -> Measured:
    return Measured(
        network=record.architecture.key(),
        classes=settings.classes,
        device=settings.latency_from or str(latency["fingerprint"]),
        source="run",
        latency=latency,
        architecture=record.architecture,
        study=settings.study,
    )
