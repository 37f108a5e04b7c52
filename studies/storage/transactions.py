"""All that is done with a study in one step is kept at once, or not at all: one transaction around Optuna's own.

Optuna's storage commits each parameter and each attribute by itself: a process killed in between leaves half a trial,
and 20 parameters cost 20 commits. Here its sessions join a transaction of ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial
from sqlalchemy import Connection, delete, insert, select

from studies.optuna_internals import (
    ATTRIBUTES,
    RUNNING,
    STUDIES,
    TRIALS,
    connection_of,
    forget,
    id_of_study,
    id_of_trial,
    rdb_of,
    sessions_on,
)

IDLE_MINUTES = 10
"""A server takes a lock from a process that stands still for so long in the midst of a step."""


@contextmanager
def at_once(study: Study, *others: Study) -> Iterator[Connection]:
    """A connection whose transaction holds whatever is done inside with the study, and with others of its storage.

    One inside another joins it. When it fails, nothing was done, and the studies forget what they read inside.
    """
    storage = rdb_of(study)
    if outer := connection_of(storage):
        yield outer
        return
    try:
        with storage.engine.begin() as connection:
            _begin(connection)
            with sessions_on(storage, connection):
                yield connection
                if not connection.in_transaction():
                    raise RuntimeError("a step of the storage was undone in its midst by a row that was there already")
    except BaseException:
        for each in (study, *others):
            forget(each)
        raise


def hold(study: Study, connection: Connection) -> None:
    """Holds every other process here, for the study, until the connection's transaction ends.

    The server ends it when the process dies.
    """
    here = STUDIES.c.study_id
    connection.execute(select(here).where(here == id_of_study(study)).with_for_update())


def runs(trial: Trial | FrozenTrial, connection: Connection) -> bool:
    """Whether the trial runs, which no other process changes until the connection's transaction ends."""
    query = select(TRIALS.c.trial_id).where(TRIALS.c.trial_id == id_of_trial(trial), TRIALS.c.state == RUNNING)
    return connection.execute(query.with_for_update()).first() is not None


def hold_running(study: Study, connection: Connection) -> None:
    """Keeps other processes from ending the study's running trials until the connection's transaction ends."""
    running = select(TRIALS.c.trial_id).where(TRIALS.c.study_id == id_of_study(study), TRIALS.c.state == RUNNING)
    connection.execute(running.order_by(TRIALS.c.trial_id).with_for_update()).all()


def set_attributes(trial: Trial | FrozenTrial, attributes: Mapping[str, Any], connection: Connection) -> None:
    """Sets a trial's user attributes, all of them in two statements."""
    if not attributes:
        return
    number = id_of_trial(trial)
    mine = ATTRIBUTES.c.trial_id == number
    connection.execute(delete(ATTRIBUTES).where(mine, ATTRIBUTES.c.key.in_(list(attributes))))
    rows = [{"trial_id": number, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    connection.execute(insert(ATTRIBUTES), rows)


def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # Python's driver begins with the first write; another connection's write in between would then be an error.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    if connection.dialect.name == "postgresql":
        connection.execute(sqlalchemy.text(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_MINUTES}min'"))
