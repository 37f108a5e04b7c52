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
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import TrialState
from sqlalchemy import ColumnElement, Connection, column, delete, insert, literal_column, select, table
from sqlalchemy.orm import scoped_session, sessionmaker

IDLE_MINUTES = 10
"""A server takes a lock from a process that stands still for so long in the midst of a step."""

_studies = table("studies", column("study_id"), column("study_name"))
_trials = table("trials", column("trial_id"), column("study_id"), column("state"))
_attributes = table("trial_user_attributes", column("trial_id"), column("key"), column("value_json"))
_RUNNING: ColumnElement[Any] = literal_column(f"'{TrialState.RUNNING.name}'")


@contextmanager
def at_once(study: Study, *others: Study) -> Iterator[Connection]:
    """A connection whose transaction holds whatever is done inside with the study, and with others of its storage.

    One inside another joins it. When it fails, nothing was done, and the studies forget what they read inside.
    """
    storage = rdb_of(study)
    usual = storage.scoped_session
    bind = usual.session_factory.kw["bind"]
    if isinstance(bind, Connection):
        yield bind
        return
    try:
        with storage.engine.begin() as connection:
            _begin(connection)
            storage.scoped_session = scoped_session(
                sessionmaker(bind=connection, join_transaction_mode="rollback_only")
            )
            yield connection
            if not connection.in_transaction():
                raise RuntimeError("a step of the storage was undone in its midst by a row that was there already")
    except BaseException:
        for each in (study, *others):
            _forget(each)
        raise
    finally:
        storage.scoped_session = usual


def hold(study: Study, connection: Connection) -> None:
    """Holds every other process here, for the study, until the connection's transaction ends.

    The server ends it when the process dies.
    """
    connection.execute(select(_studies.c.study_id).where(_studies.c.study_id == study._study_id).with_for_update())


def runs(trial_id: int, connection: Connection) -> bool:
    """Whether the trial runs, which no other process changes until the connection's transaction ends."""
    query = select(_trials.c.trial_id).where(_trials.c.trial_id == trial_id, _trials.c.state == _RUNNING)
    return connection.execute(query.with_for_update()).first() is not None


def hold_running(study: Study, connection: Connection) -> None:
    """Keeps other processes from ending the study's running trials until the connection's transaction ends."""
    running = select(_trials.c.trial_id).where(_trials.c.study_id == study._study_id, _trials.c.state == _RUNNING)
    connection.execute(running.order_by(_trials.c.trial_id).with_for_update()).all()


def set_attributes(trial_id: int, attributes: Mapping[str, Any], connection: Connection) -> None:
    """Sets a trial's user attributes, all of them in two statements."""
    if not attributes:
        return
    mine = _attributes.c.trial_id == trial_id
    connection.execute(delete(_attributes).where(mine, _attributes.c.key.in_(list(attributes))))
    rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    connection.execute(insert(_attributes), rows)


def rdb_of(study: Study) -> RDBStorage:
    """The database's storage behind the study's own, which only remembers."""
    storage: Any = study._storage
    backend = getattr(storage, "_backend", storage)
    assert isinstance(backend, RDBStorage)
    return backend


def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # Python's driver begins with the first write; another connection's write in between would then be an error.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    if connection.dialect.name == "postgresql":
        connection.execute(sqlalchemy.text(f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_MINUTES}min'"))


def _forget(study: Study) -> None:
    """Makes the study read its trials anew."""
    cache: Any = study._storage
    for name in ("_studies", "_trial_id_to_study_id_and_number", "_study_id_and_number_to_trial_id"):
        getattr(cache, name).clear()
    study._thread_local.cached_all_trials = None
