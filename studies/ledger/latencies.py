"""The ledger: every latency ever measured, with how it was measured, in the same database as the studies."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    select,
)

from search_space.architecture import Architecture
from search_space.reading import Fields, shown
from studies.checked_facts import LEDGERED, MOST_WHOLE, ImpossibleFacts, checked_latency, impossible
from studies.facts import LatencyFacts

_COPIED = (
    *("runtime", "runtime_version", "precision", "fingerprint", "batch_size", "resolution"),
    *("latency_ms", "reference_ms", "reference_p10_ms", "spread", "noisy", "taken_at"),
)
"""The fields of a measurement that have a column of their own, to be filtered and plotted by."""

_metadata = MetaData()
LATENCIES = Table(
    "latency_measurements",
    _metadata,
    Column("digest", String(32), primary_key=True),
    Column("network", String(64), nullable=False, index=True),
    Column("architecture", JSON),
    Column("classes", Integer, nullable=False),
    Column("device", String(200), nullable=False),
    Column("source", String(16), nullable=False),
    Column("study", String(200), nullable=False),
    *(Column(name, String(100)) for name in _COPIED[:4]),
    *(Column(name, Integer) for name in _COPIED[4:6]),
    *(Column(name, Float) for name in _COPIED[6:10]),
    Column("noisy", Boolean),
    Column("taken_at", Float, index=True),
    Column("measurement", JSON, nullable=False),
)
TABLES = tuple(_metadata.tables)


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement: of which network, where, and `latency`, all that the protocol says of it as plain JSON.

    `classes` tell the task: `NO_CLASSIFIER` of them is a backbone's, whose latency is none of a classifier.
    `network` is an architecture's key or a hand-designed network's name; `architecture` is None for a network that is
    none. `device` is the name that the user gave a device, or its fingerprint.
    """

    network: str
    classes: int
    device: str
    source: str
    latency: LatencyFacts
    architecture: Architecture | None = None
    study: str = ""

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that name this measurement: entered twice, it is still one."""
        text = json.dumps([self.network, self.classes, self.device, dict(self.latency.plain)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def medians_of(measured: Iterable[Measured]) -> tuple[list[Architecture], list[float]]:
    """Each architecture that was measured, once, with the median of its latencies in milliseconds."""
    times: dict[str, list[float]] = {}
    networks: dict[str, Architecture] = {}
    for each in measured:
        if each.architecture is not None:
            times.setdefault(each.network, []).append(each.latency.latency_ms)
            networks[each.network] = each.architecture
    return list(networks.values()), [statistics.median(values) for values in times.values()]


class Ledger:
    """The measurements in a database; its table is made where there is none, unless they are only read."""

    def __init__(self, engine: Engine, *, to_read: bool = False) -> None:
        self._engine = engine
        if not to_read:
            _metadata.create_all(engine)
        self._is_there = not to_read or sqlalchemy.inspect(engine).has_table(LATENCIES.name)

    def add(self, measurements: Iterable[Measured]) -> int:
        """How many of the measurements were new; all are entered at once, or none.

        Raises:
            ImpossibleFacts: one of them cannot be.
        """
        measurements = list(map(_checked, measurements))
        rows = {measured.digest: _row(measured) for measured in measurements}
        with self._engine.begin() as connection:
            wanted = LATENCIES.c.digest.in_(rows)
            kept = set(connection.scalars(select(LATENCIES.c.digest).where(wanted)))
            if new := [row for digest, row in rows.items() if digest not in kept]:
                connection.execute(insert(LATENCIES), new)
        return len(new)

    def measurements(self, **columns: str | int) -> list[Measured]:
        """The measurements whose columns have these values, oldest first."""
        if not self._is_there:
            return []
        query = select(LATENCIES).order_by(LATENCIES.c.taken_at)
        for name, value in columns.items():
            query = query.where(LATENCIES.c[name] == value)
        with self._engine.connect() as connection:
            found = map(_measured_or_flaw, connection.execute(query).mappings())
            return [each for each in found if isinstance(each, Measured)]

    def flaws(self) -> list[str]:
        """What `measurements` leaves out, for it cannot be: a line each."""
        if not self._is_there:
            return []
        with self._engine.connect() as connection:
            found = map(_measured_or_flaw, connection.execute(select(LATENCIES)).mappings())
            return [each for each in found if isinstance(each, str)]

    def latest(
        self,
        *,
        network: str,
        classes: int,
        resolution: int,
        runtime: str,
        fingerprint: str,
        batch_size: int,
        precision: str | None = None,
        device: str | None = None,
        runtime_version: str | None = None,
        full: bool = False,
    ) -> Measured | None:
        """The newest measurement of a network under these conditions that is not noisy; None where there is none.

        One by the whole protocol goes before any by less, and `full` takes no other. The fingerprint tells a machine's
        GPU from its processor. None leaves open what it stands for.
        """
        wanted = {
            **{"network": network, "classes": classes, "resolution": resolution, "batch_size": batch_size},
            **{"fingerprint": fingerprint, "runtime": runtime, "precision": precision, "device": device},
            "runtime_version": runtime_version,
        }
        query = select(LATENCIES).where(LATENCIES.c.noisy.is_(False))
        for name, value in wanted.items():
            if value is not None:
                query = query.where(LATENCIES.c[name] == value)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(LATENCIES.c.taken_at.desc())).mappings()
            known = [each for each in map(_measured_or_flaw, rows) if isinstance(each, Measured)]
        fully = (each for each in known if each.latency.is_full)
        return next(fully, None if full else next(iter(known), None))


def _row(measured: Measured) -> dict[str, Any]:
    return {
        "digest": measured.digest,
        "network": measured.network,
        "architecture": measured.architecture.to_dict() if measured.architecture else None,
        "classes": measured.classes,
        "device": measured.device,
        "source": measured.source,
        "study": measured.study,
        **{name: measured.latency.plain.get(name) for name in _COPIED},
        "measurement": dict(measured.latency.plain),
    }


def _checked(measured: Measured) -> Measured:
    """The measurement, which can be one and has a place in the table."""
    with impossible():
        fields = Fields(
            {name: getattr(measured, name) for name in ("network", "classes", "device", "source", "study")}, "a latency"
        )
        for name, longest in (("network", 64), ("device", 200), ("source", 16), ("study", 200)):
            fields.line(name, longest)
        fields.whole("classes", 0, MOST_WHOLE)
    checked_latency(measured.latency.plain, LEDGERED)
    return measured


def _measured(row: Mapping[Any, Any]) -> Measured:
    """What a row holds.

    Raises:
        ImpossibleFacts: it can be no measurement.
    """
    with impossible():
        architecture = Architecture.from_dict(row["architecture"]) if row["architecture"] else None
        names = ("network", "classes", "device", "source", "study")
        latency = checked_latency(row["measurement"], LEDGERED)
        return _checked(Measured(**{name: row[name] for name in names}, latency=latency, architecture=architecture))


def _measured_or_flaw(row: Mapping[Any, Any]) -> Measured | str:
    """What a row holds, or why it can be no measurement."""
    try:
        return _measured(row)
    except ImpossibleFacts as error:
        return f"{shown(row['network'])} on {shown(row['device'])}: {error}"
