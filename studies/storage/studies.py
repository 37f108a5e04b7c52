"""A study on a database: opened or resumed, with the settings it was made with, and read back."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine

from search_space.budget import Budget
from search_space.errors import InputError
from search_space.precision import FP32
from studies.calibration import store as calibrations
from studies.facts import DATA_CHANGED
from studies.ledger import latencies as ledger
from studies.ledger import latency_queue
from studies.ledger import trainings as evaluations
from studies.optuna_internals import OPTUNA_TABLES
from studies.record import DIRECTIONS, KEY, OBJECTIVES, Record, flaw_of_trial, record_of
from studies.storage import coordinators
from studies.storage.database import (
    engine_of,
    engine_options,
    errors_in_one_line,
    file_of,
    listed,
    making_tables,
    tables_of,
    written,
)
from studies.storage.database_errors import reason_of
from studies.storage.retimed_latencies import as_retimed, flaws_in, retimed_in
from studies.storage.secrets import shown_url, without_secrets
from studies.storage.transactions import at_once, hold
from studies.storage.trials import CAUSE as CAUSE
from studies.storage.trials import INTERRUPTED as INTERRUPTED

SETTINGS = "settings"
DATA = "data_fingerprint"
REFERENCES = "-references"
FINALISTS = "-finalists"
STUDY_ID = "study_id"
"""The attribute that tells studies of one name in different databases apart."""
UNSAID = {"precision": FP32}
"""Setting -> its value where a study says nothing of it."""
KEPT_ENDINGS = {REFERENCES: "references", FINALISTS: "finalists"}
"""How the names of studies end that belong to another one, and what they hold."""
OURS = frozenset(
    name for module in (ledger, latency_queue, evaluations, calibrations, coordinators) for name in module.TABLES
)
"""The tables that this project makes beside Optuna's."""
OPTUNAS = frozenset({"studies", "trials", "version_info", "alembic_version"})
"""Tables of Optuna's that every database of its studies has."""


def check_storage(url: str) -> None:
    """Refuses a storage that cannot be written, and makes nothing. An SQLite file that is not there yet is fine.

    Raises:
        InputError: no database URL, a database that cannot be opened, or one that holds something else.
    """
    file = file_of(url)
    if file is not None and not file.exists():
        return
    with errors_in_one_line(url):
        tables = tables_of(url)
        if not tables <= OURS and not tables >= OPTUNAS and not _is_half_made(tables):
            raise InputError(
                f"a storage must be empty or hold studies; {shown_url(url)!r} holds the tables {listed(tables)}"
            )
        if tables >= OPTUNAS and _has_a_version(url):
            _storage_to_read(url).engine.dispose()  # which finds one that another version of Optuna has made


def check_storage_exists(url: str) -> None:
    """Refuses an SQLite file that is missing, which the next step would make.

    Raises:
        InputError: the URL names such a file.
    """
    file = file_of(url)
    if file is not None and not file.is_file():
        what = f"{str(file)!r} is a folder" if file.is_dir() else f"there is no file {str(file)!r}"
        raise _none_of_ours(url, what)


def open_storage(url: str, *, must_exist: bool = False) -> RDBStorage:
    """The Optuna storage at a database URL; an SQLite file is made in write-ahead mode where there is none.

    Raises:
        InputError: as `check_storage`, or `must_exist` and there is no such file.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if must_exist:
        check_storage_exists(url)
    check_storage(url)
    with errors_in_one_line(url):
        storage = _with_tables(url)
        if file_of(url) is not None:
            with storage.engine.connect() as connection:
                connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
    return storage


def open_to_read(url: str) -> RDBStorage:
    """The Optuna storage at a database URL, to be read: neither it nor its folder is changed, whoever made them.

    Raises:
        InputError: it cannot be opened, or holds no study of this project.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _reading(url):
        tables = tables_of(url)
        if not tables >= OPTUNAS:
            raise _none_of_ours(url, f"it holds the tables {listed(tables)}" if tables else "it is empty")
        return _storage_to_read(url)


def ledger_to_read(url: str) -> Engine:
    """An engine on the database that a ledger is read from: neither it nor its folder is changed.

    Raises:
        InputError: it cannot be opened, or holds tables and none of this project.
    """
    with _reading(url):
        tables = tables_of(url)
        if tables and not tables & OURS:
            raise _none_of_ours(url, f"it holds the tables {listed(tables)}")
        return engine_of(url, to_read=True)


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Says of a file that cannot be read as a database that it holds no study of this project."""
    check_storage_exists(url)
    try:
        with errors_in_one_line(url):
            yield
    except InputError as error:
        cause = error.__cause__
        if cause is None or file_of(url) is None:
            raise
        raise _none_of_ours(url, reason_of(cause)) from error


def _none_of_ours(url: str, reason: str) -> InputError:
    return InputError(f"{shown_url(url)!r} holds no study of this project: {reason}: check --storage")


def _is_half_made(tables: set[str]) -> bool:
    """Whether another process is making the tables now, or was killed as it did: ours come first, Optuna's then."""
    return tables >= set(latency_queue.TABLES) and tables <= OURS | OPTUNA_TABLES


def _has_a_version(url: str) -> bool:
    """Whether Optuna has noted its tables' version, which it does last."""
    engine = engine_of(url, to_read=True)
    try:
        with engine.connect() as connection:
            return bool(connection.execute(sqlalchemy.text("SELECT count(*) FROM alembic_version")).scalar_one())
    finally:
        engine.dispose()


def _storage_to_read(url: str) -> RDBStorage:
    # A copy, for Optuna adds to what it is given.
    options = dict(engine_options(url, to_read=True))
    return RDBStorage(written(url), engine_kwargs=options, skip_table_creation=True)


def _with_tables(url: str) -> RDBStorage:
    """The storage, whose tables and ours are there now, however many processes come at the same time."""
    engine = sqlalchemy.create_engine(written(url), **engine_options(url))
    try:
        with making_tables(engine):
            latency_queue.LatencyQueue(engine)  # first, for agents know a study's database by its tables
            coordinators.make_tables(engine)
            for tables in (ledger.Ledger, evaluations.Evaluations):
                tables(engine)
            return RDBStorage(written(url), engine_kwargs=engine_options(url))
    finally:
        engine.dispose()


def open_study(
    storage: RDBStorage,
    name: str,
    settings: Mapping[str, Any],
    *,
    resume: bool,
    objectives: Sequence[str] = OBJECTIVES,
) -> Study:
    """The study of that name, made with `settings` or, to resume, checked against them.

    On a server whoever comes with the same settings joins it; several may come at once.

    Raises:
        InputError: it exists in a file and is not to be resumed, was made with other settings, or has a name kept for
            what belongs to another study.
    """
    for ending, held in KEPT_ENDINGS.items():
        if name.endswith(ending):
            raise InputError(f"a study's name must not end in {ending!r}, which is kept for {held}; got {name!r}")
    is_new = name not in study_names(storage)
    study = _created(storage, name, objectives)
    if not is_new and not resume and storage.engine.dialect.name == "sqlite":
        raise InputError(
            f"the study {name!r} exists with {len(study.trials)} trials: add --resume to go on with it, "
            "or name a new one with --study"
        )
    kept = settled(study, SETTINGS, dict(settings))
    if differences := "; ".join(_differences(kept, settings)):
        only_data = differences.startswith(f"{DATA} was ") and "; " not in differences
        reason = f": {DATA_CHANGED}" if only_data else ""
        raise InputError(f"the study {name!r} can only be resumed with its own settings: {differences}{reason}")
    settled(study, STUDY_ID, uuid.uuid4().hex)
    _created(storage, name + REFERENCES, objectives)
    return study


def settled(study: Study, name: str, value: Any) -> Any:
    """The study's attribute of that name: `value`, unless it had one already or another process was faster."""
    with at_once(study) as connection:
        hold(study, connection)
        attributes = study.user_attrs
        if name in attributes:
            return attributes[name]
        study.set_user_attr(name, value)
    return value


def _differences(kept: Mapping[str, Any], given: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """What differs in words, and not only in how it is written."""
    same_data = kept.get(DATA) is not None and kept.get(DATA) == given.get(DATA)
    for name in sorted(kept.keys() | given.keys()):
        was, now = (each.get(name, UNSAID.get(name)) for each in (kept, given))
        if _are_equal(name, was, now, same_data=same_data):
            continue
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from _differences(was, now, f"{prefix}{name}.")
        elif was != now:
            yield f"{prefix}{name} was {was!r}, now {now!r}"


def _are_equal(name: str, was: Any, now: Any, *, same_data: bool) -> bool:
    if was == now:
        return True
    if name == "data":  # a folder may be called in many ways, and is known by what it holds
        return same_data
    if name == "image_size":  # None are the data's own
        return same_data and None in (was, now)
    if name == "recipe" and isinstance(was, Mapping) and isinstance(now, Mapping):
        return {**was, "name": ""} == {**now, "name": ""}
    if name == "budget" and was and now:
        with suppress(InputError):
            return Budget.parse(str(was)) == Budget.parse(str(now))
    return False


def _created(storage: RDBStorage, name: str, objectives: Sequence[str] = OBJECTIVES) -> Study:
    """The study of that name, which is there now: made by this process or by another one."""
    study = optuna.create_study(storage=storage, study_name=name, directions=DIRECTIONS, load_if_exists=True)
    with warnings.catch_warnings():
        # Experimental by name since Optuna 3.2 and still there in 5; without it the dashboard shows numbers for names.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if study.metric_names is None:
            study.set_metric_names(list(objectives))
    return study


def load_study(storage: RDBStorage, name: str | None) -> Study:
    """The study of that name; None means the only one there is.

    Raises:
        InputError: there is no such study, or several where none is named, or its trials cannot be read.
    """
    names, others = _studies_in(storage)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        if not names or name in others:
            made = (
                f"{', '.join(map(repr, others[:3]))} is of another program's making"
                if others
                else "there is none in it"
            )
            raise _none_of_ours(storage.url, made)
        asked = "name one with --study" if name is None else f"there is no study {name!r}"
        raise InputError(f"{asked}; this storage holds {', '.join(names) or 'none'}")
    study = optuna.load_study(study_name=name, storage=storage)
    for each in (study, references_of(study, storage)):
        _check_trials(each)
    return study


def _check_trials(study: Study) -> None:
    """Refuses a study with trials that Optuna cannot read, such as one whose value is nothing.

    Raises:
        InputError: it has one.
    """
    try:
        study.get_trials(deepcopy=False)
    except (AssertionError, ValueError) as error:
        raise InputError(
            f"a study's trials must be as Optuna wrote them, and one of {study.study_name!r} is not "
            f"({type(error).__name__}): its search with --resume fails what has no number; else take a copy kept before"
        ) from error


def _studies_in(storage: RDBStorage) -> tuple[list[str], list[str]]:
    """The names of the searches' studies, and those of studies that this project has not made."""
    found = {study.study_name: study.user_attrs for study in storage.get_all_studies()}
    names = [name for name in found if not name.endswith(tuple(KEPT_ENDINGS))]
    ours = [name for name in names if isinstance(found[name].get(SETTINGS), Mapping) and name + REFERENCES in found]
    return ours, [name for name in names if name not in ours]


def references_of(study: Study, storage: RDBStorage) -> Study:
    """The study that holds the references of `study`.

    They stand apart since they are no points of the search space: a sampler must not learn from them.
    """
    return optuna.load_study(study_name=study.study_name + REFERENCES, storage=storage)


def finalists_of(study: Study, storage: RDBStorage) -> Study | None:
    """The study that holds the finalists of `study`; None where it has none."""
    name = study.study_name + FINALISTS
    return optuna.load_study(study_name=name, storage=storage) if name in study_names(storage) else None


def keep_results(storage: RDBStorage, name: str, settings: Mapping[str, Any], trials: Sequence[FrozenTrial]) -> Study:
    """The study `name`, which no search is on: it holds these completed trials now, each once, and no others.

    What is missing is added. Where it holds something else, or was made with other settings, it is made anew.

    Raises:
        InputError: it exists and is a study of another kind: `settings` of the same kind have the same names.
    """
    study = optuna.load_study(study_name=name, storage=storage) if name in study_names(storage) else None
    wanted = [(trial.values, trial.user_attrs) for trial in trials]
    kept = [(trial.values, trial.user_attrs) for trial in study.get_trials(deepcopy=False)] if study else []
    if study is not None:
        was = study.user_attrs.get(SETTINGS, {})
        if (was or kept) and was.keys() != settings.keys():
            raise InputError(f"the study {name!r} is in the way: its name is kept for what belongs to another study")
        if was != settings or any(each not in wanted for each in kept):
            optuna.delete_study(study_name=name, storage=storage)
            study, kept = None, []
    if study is None:
        study = _created(storage, name)
        study.set_user_attr(SETTINGS, dict(settings))
    for trial, content in zip(trials, wanted, strict=True):
        if content not in kept:
            study.add_trial(trial)
    return study


def kept_settings(storage: RDBStorage, name: str) -> Mapping[str, Any]:
    """The settings that a study of that name was made with; none where it is not there, or keeps none."""
    if name not in study_names(storage):
        return {}
    return dict(optuna.load_study(study_name=name, storage=storage).user_attrs.get(SETTINGS, {}))


def study_names(storage: RDBStorage) -> list[str]:
    """The names of the studies in a storage."""
    return list(optuna.get_all_study_names(storage))


def records_of(study: Study) -> list[Record]:
    """The records of the trials that were completed, in the order of their numbers, as they were last timed."""
    found = [record for record in map(record_of, study.get_trials(deepcopy=False)) if record is not None]
    retimed = retimed_in(study.user_attrs)
    return [as_retimed(record, retimed) for record in found]


def flaws_of(*found: Study) -> list[str]:
    """What `records_of` leaves out of these studies, for it cannot be: a line each."""
    flaws = []
    for study in found:
        for trial in study.get_trials(deepcopy=False):
            if flaw := flaw_of_trial(trial):
                flaws.append(f"trial {trial.number} of {study.study_name!r}: {flaw}")
        flaws += flaws_in(study.user_attrs)
    return flaws


def failures_of(study: Study) -> list[tuple[int, str]]:
    """Number and cause of every trial that failed; one that was interrupted is none."""
    failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    causes = [(trial.number, without_secrets(str(trial.user_attrs.get(CAUSE, "unknown")))) for trial in failed]
    return [(number, cause) for number, cause in causes if cause != INTERRUPTED]


def position_of(study: Study) -> int:
    """How many trials were asked for, interrupted ones not counted."""
    return len(_asked_for(study))


def networks_in(study: Study) -> int:
    """How many different networks those trials asked for: what is asked for once more is answered from the first."""
    # A trial that was asked for just now has no key yet.
    return len({trial.user_attrs.get(KEY, trial.number) for trial in _asked_for(study)})


def _asked_for(study: Study) -> list[FrozenTrial]:
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING)
    trials = study.get_trials(deepcopy=False, states=states)
    return [trial for trial in trials if trial.user_attrs.get(CAUSE) != INTERRUPTED]


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Locks the SQLite file of a search for one process; the lock dies with its process.

    Optuna on SQLite hands a queued trial to two askers and loses results without an error.

    Raises:
        InputError: another process holds it, or there is no such place.
    """
    database = file_of(url)
    if database is None:
        yield
        return
    database = database.resolve()  # however it is called, it has one lock
    file = database.with_name(database.name + ".lock")
    lock = FileLock(file)
    try:
        file.parent.stat()  # or the lock would make the folders that are missing
        lock.acquire(blocking=False)
    except Timeout as error:
        raise InputError(
            f"one process at a time searches on an SQLite file, and another is on {str(database)!r}: "
            "wait for it, or use a PostgreSQL storage"
        ) from error
    except OSError as error:
        raise InputError(
            f"a storage in an SQLite file needs a folder to write to, got {shown_url(url)!r}: {error}"
        ) from error
    try:
        yield
    finally:
        lock.release()
