"""The ledger read as one: its trainings, scorings and latencies, filtered in the database, without torch."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Engine, Select, func, or_, select

from search_space.errors import InputError
from search_space.presets import PRESETS
from search_space.task import TASKS
from studies.ledger.entry import KINDS, LATENCY, SCORES, TRAINING, Entry, entry_of_evaluation, entry_of_measurement
from studies.ledger.latencies import LATENCIES
from studies.ledger.trainings import EVALUATIONS

AT_INITIALISATION = "zero-cost"
"""The method's name of a scoring at initialisation; every other one is a recipe's."""
_OF_EVALUATIONS, _OF_LATENCIES = ("recipe", "data", "seed"), ("runtime", "study")
_AT_ONCE = 500
"""Rows that are fetched at a time, so that a ledger of any length can be exported."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What an entry must be to be wanted; None leaves it open, and all that is given must hold.

    `network` is a preset's name, which is its backbone's too, or the beginning of a key or of a hand-designed network's
    name, `data` the beginning of a data fingerprint. `device` is the beginning of a device's fingerprint, a latency's
    device by name or processor, or a training's cpu, cuda or host. `since_s` and `until_s` are seconds since 1970: from
    the one on, and before the other.

    Raises:
        InputError: no entry can be all of that.
    """

    kind: str | None = None
    network: str | None = None
    recipe: str | None = None
    data: str | None = None
    seed: int | None = None
    device: str | None = None
    runtime: str | None = None
    study: str | None = None
    since_s: float | None = None
    until_s: float | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if not self.kinds:
            given = (field.name for field in fields(self))
            text = ", ".join(f"{name} {getattr(self, name)!r}" for name in given if getattr(self, name) is not None)
            raise InputError(
                f"only trainings and scores have {', '.join(_OF_EVALUATIONS)}, and only latencies "
                f"{', '.join(_OF_LATENCIES)}; got {text}: leave one out"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of which an entry may be wanted."""
        kinds: tuple[str, ...] = KINDS if self.kind is None else (self.kind,)
        if any(getattr(self, name) is not None for name in _OF_EVALUATIONS):
            kinds = tuple(kind for kind in kinds if kind != LATENCY)
        if any(getattr(self, name) is not None for name in _OF_LATENCIES):
            kinds = tuple(kind for kind in kinds if kind == LATENCY)
        return kinds


@dataclass(frozen=True, slots=True)
class Totals:
    """How many entries of each kind there are, the seconds of those that say how long they took, and how many do."""

    trainings: int = 0
    scores: int = 0
    latencies: int = 0
    seconds: float = 0.0
    timed: int = 0

    @property
    def entries(self) -> int:
        """All of them."""
        return self.trainings + self.scores + self.latencies


class Entries:
    """The entries in a database, as they are: nothing is made there, and a table that is not there holds none."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tables = set(sqlalchemy.inspect(engine).get_table_names())

    def all(self, filters: Filters) -> Iterator[Entry]:
        """The wanted entries, oldest first, read as they are asked for."""
        by_kind = []
        for kind in self._kinds(filters):
            oldest_first = (_taken_at(kind), _table(kind).c.digest)
            by_kind.append(self._read(kind, _wanted(kind, filters).order_by(*oldest_first)))
        return heapq.merge(*by_kind, key=_moment)

    def newest(self, filters: Filters, count: int) -> list[Entry]:
        """The newest so many wanted entries, oldest of them first."""
        found: list[Entry] = []
        for kind in self._kinds(filters):
            newest_first = (_taken_at(kind).desc(), _table(kind).c.digest.desc())
            found += reversed(list(self._read(kind, _wanted(kind, filters).order_by(*newest_first).limit(count))))
        return sorted(found, key=_moment)[-count:]

    def totals(self, filters: Filters) -> Totals:
        """The totals of the wanted entries."""
        counts, seconds, timed = dict.fromkeys(KINDS, 0), 0.0, 0
        with self._engine.connect() as connection:
            for kind in self._kinds(filters):
                taken = _seconds(kind)
                query = select(func.count(), func.sum(taken), func.count(taken)).where(*_conditions(kind, filters))
                counted, summed, known = connection.execute(query.select_from(_table(kind))).one()
                counts[kind], seconds, timed = counted, seconds + (summed or 0.0), timed + known
        return Totals(counts[TRAINING], counts[SCORES], counts[LATENCY], seconds, timed)

    def _kinds(self, filters: Filters) -> list[str]:
        return [kind for kind in filters.kinds if _table(kind).name in self._tables]

    def _read(self, kind: str, query: Select[Any]) -> Iterator[Entry]:
        with self._engine.connect() as connection:
            for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)).mappings():
                yield entry_of_measurement(row) if kind == LATENCY else entry_of_evaluation(kind, row)


def _moment(entry: Entry) -> float:
    return entry.taken_at_epoch_s or 0.0


def _table(kind: str) -> sqlalchemy.Table:
    return LATENCIES if kind == LATENCY else EVALUATIONS


def _taken_at(kind: str) -> ColumnElement[float]:
    # Databases disagree on whether what is unknown comes first or last.
    return func.coalesce(_table(kind).c.taken_at, 0.0)


def _seconds(kind: str) -> ColumnElement[float]:
    return LATENCIES.c.measurement["seconds"].as_float() if kind == LATENCY else EVALUATIONS.c.seconds


def _wanted(kind: str, filters: Filters) -> Select[Any]:
    return select(_table(kind)).where(*_conditions(kind, filters))


def _conditions(kind: str, filters: Filters) -> Iterator[ColumnElement[bool]]:
    table = _table(kind)
    if filters.network is not None:
        beginning = table.c.network.startswith(filters.network, autoescape=True)
        preset = PRESETS.get(filters.network)
        keys = {task.deployed(preset).key() for task in TASKS.values()} if preset else ()
        yield table.c.network.in_(keys) if keys else beginning
    if filters.since_s is not None:
        yield table.c.taken_at >= filters.since_s
    if filters.until_s is not None:
        yield table.c.taken_at < filters.until_s
    yield from (_of_latencies if kind == LATENCY else _of_evaluations)(kind, filters)


def _of_latencies(kind: str, filters: Filters) -> Iterator[ColumnElement[bool]]:
    columns = LATENCIES.c
    if filters.device is not None:
        yield _is_device(filters.device, columns.fingerprint, columns.device, columns.measurement["device"].as_string())
    for name in _OF_LATENCIES:
        if getattr(filters, name) is not None:
            yield columns[name] == getattr(filters, name)


def _of_evaluations(kind: str, filters: Filters) -> Iterator[ColumnElement[bool]]:
    columns = EVALUATIONS.c
    method = func.coalesce(columns.method["name"].as_string(), "")
    yield method == AT_INITIALISATION if kind == SCORES else method != AT_INITIALISATION
    if filters.device is not None:
        fingerprint, host = (columns.made_by[name].as_string() for name in ("fingerprint", "host"))
        yield _is_device(filters.device, fingerprint, columns.device, host)
    if filters.recipe is not None:
        yield method == filters.recipe
    if filters.data is not None:
        yield columns.data.startswith(filters.data, autoescape=True)
    if filters.seed is not None:
        yield columns.seed == filters.seed


def _is_device(device: str, fingerprint: ColumnElement[Any], *names: ColumnElement[Any]) -> ColumnElement[bool]:
    return or_(fingerprint.startswith(device, autoescape=True), *(name == device for name in names))
