"""All of Optuna that it does not promise to keep: numbers, caches, sessions and tables, each behind a function of ours.

`pyproject.toml` has an upper bound on Optuna for these, and a test that each is still there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel
from optuna.study import Study
from optuna.study._frozen import FrozenStudy as FrozenStudy
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy import ColumnElement, Connection, column, literal_column, table
from sqlalchemy.orm import scoped_session, sessionmaker

FIXED_PARAMS = "fixed_params"
"""The system attribute that holds the parameters of a trial that waits in the queue."""
STUDIES = table("studies", column("study_id"), column("study_name"))
TRIALS = table("trials", column("trial_id"), column("study_id"), column("state"), column("number"))
TRIAL_VALUES = table("trial_values", column("trial_id"), column("value"), column("value_type"))
ATTRIBUTES = table("trial_user_attributes", column("trial_id"), column("key"), column("value_json"))
OPTUNA_TABLES = frozenset({*BaseModel.metadata.tables, "alembic_version"})
"""The names of all tables that a storage makes."""
RUNNING: ColumnElement[Any] = literal_column(f"'{TrialState.RUNNING.name}'")
"""A running trial's `state`."""
FAILED: ColumnElement[Any] = literal_column(f"'{TrialState.FAIL.name}'")
"""A failed trial's `state`."""
FINITE: ColumnElement[Any] = literal_column("'FINITE'")
"""The `value_type` of a number that is no infinity."""
CACHES = ("_studies", "_trial_id_to_study_id_and_number", "_study_id_and_number_to_trial_id")
"""What the storage remembers of trials."""


def id_of_study(study: Study | FrozenStudy) -> int:
    """The study's number in its storage."""
    return study._study_id


def id_of_trial(trial: Trial | FrozenTrial) -> int:
    """The trial's number in its storage, where `number` counts within its study."""
    return trial._trial_id


def set_attribute(study: Study, number: int, name: str, value: Any) -> None:
    """Sets a user attribute of a trial by its number."""
    storage = study._storage
    storage.set_trial_user_attr(storage.get_trial_id_from_study_id_trial_number(study._study_id, number), name, value)


def rdb_of(study: Study) -> RDBStorage:
    """The database's storage behind the study's own, which only remembers."""
    storage: Any = study._storage
    backend = getattr(storage, "_backend", storage)
    assert isinstance(backend, RDBStorage)
    return backend


def connection_of(storage: RDBStorage) -> Connection | None:
    """The connection that all of the storage's sessions are on now; None where each has its own."""
    bind = storage.scoped_session.session_factory.kw["bind"]
    return bind if isinstance(bind, Connection) else None


@contextmanager
def sessions_on(storage: RDBStorage, connection: Connection) -> Iterator[None]:
    """Has the storage's sessions join the connection's transaction; one that rolls back ends it."""
    usual = storage.scoped_session
    try:
        storage.scoped_session = scoped_session(sessionmaker(bind=connection, join_transaction_mode="rollback_only"))
        yield
    finally:
        storage.scoped_session = usual


def forget(study: Study) -> None:
    """Makes the study read its trials anew."""
    cache: Any = study._storage
    for name in CACHES:
        getattr(cache, name).clear()
    study._thread_local.cached_all_trials = None
