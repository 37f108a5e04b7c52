"""The processes that ask one study of a database for trials: each sees which others live, and they ask one at a time.

On a server there may be many, on many machines; on an SQLite file there is one, which `studies.locked` sees to.
"""

from __future__ import annotations

import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from studies.optuna_internals import id_of_study, id_of_trial, rdb_of
from studies.storage.transactions import at_once, hold, hold_running
from studies.storage.trials import requeue, tell

COORDINATOR = "coordinator"
"""The user attribute of a trial that names the process which has it evaluated."""
BEAT_SECONDS = 5.0
SILENT_BEATS = 6
"""Who gives no sign of life during so many of another one's beats is taken to be dead."""

_metadata = MetaData()
_coordinators = Table(
    "coordinators",
    _metadata,
    Column("id", String(32), primary_key=True),
    Column("study", Integer, nullable=False, index=True),
    Column("host", String(200), nullable=False),
    Column("process", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("beats", Integer, nullable=False),
)
TABLES = tuple(_metadata.tables)


def make_tables(engine: Engine) -> None:
    """Makes the tables that are missing."""
    _metadata.create_all(engine)


class Coordinator:
    """This process as one of those that ask a study, and the study of its references; a context that signs on and off.

    It counts the others' beats in its own, and looks at no clock: those of two machines need not agree, and may jump.
    While the database is away nobody beats, and so nobody dies of that.
    """

    def __init__(self, study: Study, references: Study, beat_seconds: float = BEAT_SECONDS) -> None:
        self.id = uuid.uuid4().hex
        self._study, self._references = study, references
        self._engine = rdb_of(study).engine
        self._beat_seconds = beat_seconds
        self._is_alone = self._engine.dialect.name == "sqlite"
        self._mine: set[int] = set()
        self._asked: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_over, daemon=True)
        self._count = 0
        self._seen: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        with self._engine.begin() as connection:
            if self._is_alone:
                connection.execute(delete(_coordinators))
            connection.execute(insert(_coordinators).values(**self._row()))
        if not self._is_alone:
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if not self._is_alone:
            self._thread.join()
        # Where the database is away, the others see it by the beats that are missing.
        with suppress(SQLAlchemyError), self._engine.begin() as connection:
            connection.execute(delete(_coordinators).where(_coordinators.c.id == self.id))

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Keeps what is done inside as a whole or not at all; no other process asks meanwhile."""
        self._asked = []
        with at_once(self._study, self._references) as connection:
            hold(self._study, connection)
            yield
        # Only now: of what was not kept for certain, nothing is ours.
        self._mine.update(self._asked)

    def ask(self, study: Study) -> Trial:
        """A new trial of the study, or the first that waits, which this process has evaluated; only while asking."""
        trial = study.ask()
        trial.set_user_attr(COORDINATOR, self.id)
        self._asked.append(id_of_trial(trial))
        return trial

    def tell(
        self,
        study: Study,
        trial: Trial,
        values: Sequence[float] | None,
        state: TrialState,
        attributes: Mapping[str, Any],
    ) -> bool:
        """Whether the trial ends so, with these attributes: not if it had ended before, of this or otherwise."""
        ended = tell(study, trial, values, state, {**attributes, COORDINATOR: self.id})
        self._mine.discard(id_of_trial(trial))
        return ended

    def requeue_orphans(self) -> int:
        """How many trials run with nobody to have them evaluated; each waits in the queue now. Only while asking."""
        with at_once(self._study) as connection:
            return sum(self._requeue_orphans(study, connection) for study in (self._study, self._references))

    def elsewhere(self, study: Study) -> list[FrozenTrial]:
        """The study's trials that other living processes have evaluated now."""
        with at_once(study) as connection:
            others = self._alive(connection) - {self.id}
        return [trial for trial in _running(study) if trial.user_attrs.get(COORDINATOR) in others]

    def others(self) -> int:
        """How many other processes are on the study."""
        with at_once(self._study) as connection:
            return len(self._alive(connection) - {self.id})

    def give_up(self) -> None:
        """Puts what this process still has evaluated back into the queue, for another one."""
        self._mine.clear()
        with self.asking():
            self.requeue_orphans()

    def beat(self) -> None:
        """Gives a sign of life, and signs off whoever gave none for long."""
        here = _coordinators.c
        with self._engine.begin() as connection:
            signed_on = update(_coordinators).where(here.id == self.id).values(beats=here.beats + 1)
            if connection.execute(signed_on).rowcount == 0:  # taken for dead: this process stood still for long
                connection.execute(insert(_coordinators).values(**self._row()))
            rows = connection.execute(select(here.id, here.beats).where(here.study == id_of_study(self._study))).all()
            silent = self._silent({row.id: row.beats for row in rows if row.id != self.id})
            for name, beats in silent.items():  # not if it beats just now
                connection.execute(delete(_coordinators).where(here.id == name, here.beats == beats))

    def _silent(self, beats: Mapping[str, int]) -> dict[str, int]:
        """Those whose count stood still for too many beats of this process's, with that count."""
        self._count += 1
        known = self._seen
        self._seen = {
            name: known[name] if name in known and known[name][0] == count else (count, self._count)
            for name, count in beats.items()
        }
        return {name: count for name, (count, since) in self._seen.items() if self._count - since >= SILENT_BEATS}

    def _beat_until_over(self) -> None:
        while not self._over.wait(self._beat_seconds):
            # The main thread meets it too, and says it.
            with suppress(SQLAlchemyError):
                self.beat()

    def _alive(self, connection: Connection) -> set[str]:
        mine = select(_coordinators.c.id).where(_coordinators.c.study == id_of_study(self._study))
        return set(connection.scalars(mine))

    def _requeue_orphans(self, study: Study, connection: Connection) -> int:
        others = self._alive(connection) - {self.id}
        if not self._orphans(study, others):
            return 0
        hold_running(study, connection)
        return requeue(study, self._orphans(study, others))

    def _orphans(self, study: Study, others: set[str]) -> list[FrozenTrial]:
        mine = {*self._mine, *self._asked}
        return [
            trial
            for trial in _running(study)
            if trial.user_attrs.get(COORDINATOR) not in others and id_of_trial(trial) not in mine
        ]

    def _row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "study": id_of_study(self._study),
            "host": platform.node(),
            "process": os.getpid(),
            "started": time.time(),
            "beats": 0,
        }


def _running(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
