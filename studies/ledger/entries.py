"""The ledger read as one: its trainings, scorings and latencies, filtered in the database, without torch."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, fields

import sqlalchemy
from sqlalchemy import ColumnElement, Engine, Table, func, select

from search_space.errors import InputError
from search_space.presets import PRESETS
from search_space.reading import shown
from search_space.task import TASKS
from studies.checked_facts import ImpossibleFacts
from studies.ledger.entry import KINDS, LATENCY, SCORES, TRAINING, Entry, entry_of_evaluation, entry_of_measurement
from studies.ledger.latencies import LATENCIES
from studies.ledger.trainings import EVALUATIONS

_OF_EVALUATIONS, _OF_LATENCIES = ("recipe", "data", "seed"), ("runtime", "precision", "study")
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
    precision: str | None = None
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


@dataclass(frozen=True, slots=True)
class Survey:
    """The newest of the wanted entries, the oldest of them first, the totals of all, and why others are left out."""

    newest: list[Entry]
    totals: Totals
    flaws: list[str]


class Entries:
    """The entries in a database, as they are: nothing is made there, and a table that is not there holds none.

    What cannot be is left out; `flaws`, where a list is given, takes a line for each of these.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tables = set(sqlalchemy.inspect(engine).get_table_names())

    def all(self, filters: Filters, flaws: list[str] | None = None) -> Iterator[Entry]:
        """The wanted entries, oldest first, read as they are asked for."""
        tables = dict.fromkeys(_table(kind) for kind in filters.kinds)
        by_table = [
            self._read(table, filters, [] if flaws is None else flaws) for table in tables if table.name in self._tables
        ]
        return heapq.merge(*by_table, key=_moment)

    def survey(self, filters: Filters, count: int) -> Survey:
        """The newest so many wanted entries, and the totals of all."""
        newest = deque[Entry](maxlen=count)
        counts, seconds, timed, flaws = Counter[str](), 0.0, 0, list[str]()
        for entry in self.all(filters, flaws):
            newest.append(entry)
            counts[entry.kind] += 1
            seconds += entry.seconds or 0.0
            timed += entry.seconds is not None
        totals = Totals(counts[TRAINING], counts[SCORES], counts[LATENCY], seconds, timed)
        return Survey(list(newest), totals, flaws)

    def _read(self, table: Table, filters: Filters, flaws: list[str]) -> Iterator[Entry]:
        # Databases disagree on whether what is unknown comes first or last.
        oldest_first = func.coalesce(table.c.taken_at, 0.0), table.c.digest
        query = select(table).where(*_conditions(table, filters)).order_by(*oldest_first)
        with self._engine.connect() as connection:
            for row in connection.execute(query.execution_options(yield_per=_AT_ONCE)).mappings():
                try:
                    entry = entry_of_measurement(row) if table is LATENCIES else entry_of_evaluation(row)
                except ImpossibleFacts as error:
                    flaws.append(f"{shown(row['network'])} of {table.name}: {error}")
                    continue
                if _passes(entry, filters):
                    yield entry


def _moment(entry: Entry) -> float:
    return entry.taken_at_epoch_s or 0.0


def _table(kind: str) -> Table:
    return LATENCIES if kind == LATENCY else EVALUATIONS


def _conditions(table: Table, filters: Filters) -> Iterator[ColumnElement[bool]]:
    """What the database itself can tell: it takes no JSON apart, for on SQLite one damaged row would end the query."""
    if filters.network is not None:
        beginning = table.c.network.startswith(filters.network, autoescape=True)
        preset = PRESETS.get(filters.network)
        keys = {task.deployed(preset).key() for task in TASKS.values()} if preset else ()
        yield table.c.network.in_(keys) if keys else beginning
    if filters.since_s is not None:
        yield table.c.taken_at >= filters.since_s
    if filters.until_s is not None:
        yield table.c.taken_at < filters.until_s
    if filters.data is not None:
        yield table.c.data.startswith(filters.data, autoescape=True)
    for name in ("seed", *_OF_LATENCIES):
        if getattr(filters, name) is not None:
            yield table.c[name] == getattr(filters, name)


def _passes(entry: Entry, filters: Filters) -> bool:
    """Whether the entry is what the rest of the filters want."""
    if entry.kind not in filters.kinds or filters.recipe not in (None, entry.recipe):
        return False
    if filters.device is None:
        return True
    names = (entry.device, entry.processor if entry.kind == LATENCY else entry.host)
    return filters.device in names or (entry.device_fingerprint or "").startswith(filters.device)
