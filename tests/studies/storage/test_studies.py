"""Studies on an SQLite file: opened, resumed, refused, and mended after a kill."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from builders.records import record
from builders.stopped_search import requeue_running
from optuna.storages import RDBStorage
from optuna.study import Study, StudyDirection
from optuna.trial import TrialState

from search_space import Architecture, Budget, InputError, SearchSpace
from studies.record import KEY, attributes_of
from studies.storage import studies as store
from studies.storage import trials
from studies.storage.studies import (
    CAUSE,
    INTERRUPTED,
    OPTUNAS,
    check_storage,
    failures_of,
    load_study,
    networks_in,
    open_storage,
    open_study,
    position_of,
    records_of,
    references_of,
    study_names,
)

SPACE = SearchSpace.default(Budget.parse("140mflops"))
SETTINGS = {"budget": "140mflops", "seed": 0, "image_size": None, "recipe": {"name": "short", "epochs": 2}}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def connect() -> Iterator[Callable[..., RDBStorage]]:
    """Opens storages and closes their connections at the end, as the end of a process would."""
    opened: list[RDBStorage] = []

    def open_one(url: str, **options: Any) -> RDBStorage:
        opened.append(open_storage(url, **options))
        return opened[-1]

    yield open_one
    for storage in opened:
        storage.engine.dispose()


@pytest.fixture
def storage(url: str, connect: Callable[..., RDBStorage]) -> RDBStorage:
    return connect(url)


@pytest.fixture
def study(storage: RDBStorage) -> Study:
    return open_study(storage, "one", SETTINGS, resume=False)


def started(study: Study) -> tuple[dict[str, Any], Architecture]:
    """The parameters and the architecture of a trial that runs when its process is killed."""
    trial = study.ask()
    architecture = SPACE.suggest(trial)
    return trial.params, architecture


def ended(study: Study, state: TrialState, cause: str | None = None) -> int:
    """The number of a trial that ended without a result."""
    trial = study.ask()
    if cause is not None:
        trial.set_user_attr(CAUSE, cause)
    study.tell(trial, state=state)
    return trial.number


def evaluated(study: Study, accuracy: float) -> int:
    """The number of a trial that was completed."""
    trial = study.ask()
    for name, value in attributes_of(record(SPACE.suggest(trial), accuracy, 5.0)).items():
        trial.set_user_attr(name, value)
    study.tell(trial, [accuracy, 5.0])
    return trial.number


# A study is made, resumed, refused


def test_a_study_has_both_objectives_by_name_and_direction(study: Study) -> None:
    assert study.metric_names == ["accuracy", "latency_ms"]
    assert study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]


def test_a_study_is_resumed_with_the_settings_it_was_made_with(
    study: Study, url: str, connect: Callable[..., RDBStorage]
) -> None:
    number = ended(study, TrialState.FAIL)
    again = open_study(connect(url), "one", SETTINGS, resume=True)
    assert [trial.number for trial in again.trials] == [number]
    assert again.user_attrs["settings"] == SETTINGS


def test_a_study_that_does_not_exist_is_made_even_when_resuming(storage: RDBStorage) -> None:
    assert open_study(storage, "new", SETTINGS, resume=True).trials == []


def test_a_study_that_exists_is_refused_without_resume(study: Study, storage: RDBStorage) -> None:
    ended(study, TrialState.FAIL)
    with pytest.raises(InputError, match=r"'one' exists with 1 trials: add --resume .*--study"):
        open_study(storage, "one", SETTINGS, resume=False)


def test_other_settings_are_refused_with_each_field_and_both_values(study: Study, storage: RDBStorage) -> None:
    other = {**SETTINGS, "budget": "90mflops", "recipe": {"name": "short", "epochs": 8}}
    with pytest.raises(InputError) as refused:
        open_study(storage, "one", other, resume=True)
    differences = str(refused.value).partition("its own settings: ")[2].split("; ")
    assert differences == ["budget was '140mflops', now '90mflops'", "recipe.epochs was 2, now 8"]
    assert study.user_attrs["settings"] == SETTINGS


@pytest.mark.parametrize(
    "spelling",
    [
        {"data": "folder:/abs/plain/"},
        {"image_size": 28},
        {"budget": "0.14gflops"},
        {"recipe": {"name": "of mine", "epochs": 2}},
    ],
)
def test_settings_that_are_only_written_differently_are_the_same(spelling: dict, storage: RDBStorage) -> None:
    settings = {**SETTINGS, "data": "folder:plain", "data_fingerprint": "0123"}
    open_study(storage, "spelt", settings, resume=False)
    open_study(storage, "spelt", {**settings, **spelling}, resume=True)
    with pytest.raises(InputError, match="data_fingerprint was '0123', now '4567'"):
        open_study(storage, "spelt", {**settings, **spelling, "data_fingerprint": "4567"}, resume=True)


def test_a_setting_that_one_side_lacks_is_a_difference(study: Study, storage: RDBStorage) -> None:
    fewer = {name: value for name, value in SETTINGS.items() if name != "seed"}
    with pytest.raises(InputError, match="seed was 0, now None"):
        open_study(storage, "one", fewer, resume=True)
    with pytest.raises(InputError, match="data was None, now 'cifar10'"):
        open_study(storage, "one", {**SETTINGS, "data": "cifar10"}, resume=True)


def test_data_of_the_same_name_that_are_others_now_are_explained(storage: RDBStorage) -> None:
    open_study(storage, "two", {**SETTINGS, "data_fingerprint": "a"}, resume=False)
    with pytest.raises(InputError, match="data_fingerprint was 'a', now 'b': the images changed, or were read "):
        open_study(storage, "two", {**SETTINGS, "data_fingerprint": "b"}, resume=True)
    with pytest.raises(InputError, match=r"now 'b'$"):
        open_study(storage, "two", {**SETTINGS, "data_fingerprint": "b", "data": "cifar10"}, resume=True)


def test_a_study_killed_before_its_settings_were_kept_is_resumed(storage: RDBStorage) -> None:
    store._created(storage, "one")
    study = open_study(storage, "one", SETTINGS, resume=True)
    assert study.user_attrs["settings"] == SETTINGS
    assert references_of(study, storage).metric_names == ["accuracy", "latency_ms"]


def test_references_stand_in_a_study_of_their_own(study: Study, storage: RDBStorage) -> None:
    references = references_of(study, storage)
    evaluated(references, 0.5)
    assert len(references.trials) == 1
    assert study.trials == []
    assert sorted(study_names(storage)) == ["one", "one-references"]


def test_the_references_of_a_study_are_no_study_to_resume(study: Study, storage: RDBStorage) -> None:
    evaluated(references_of(study, storage), 0.5)
    with pytest.raises(InputError):
        open_study(storage, "one-references", SETTINGS, resume=True)


# Storages that do not open


def test_a_storage_is_in_write_ahead_mode(study: Study, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "study.db")
    mode = connection.execute("PRAGMA journal_mode").fetchone()
    connection.close()
    assert mode == ("wal",)


@pytest.mark.parametrize(
    ("storage_url", "reason"),
    [
        ("nonsense", "nonsense"),
        ("", "database"),
        ("nosuchdb://host/name", "nosuchdb"),
        ("sqlite:////no/such/folder/study.db", "unable to open database file"),
    ],
)
def test_what_is_no_database_url_is_said_in_one_line(storage_url: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^a storage is the URL [^\n]*{reason}[^\n]*$"):
        open_storage(storage_url)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database, " * 100)
    with pytest.raises(InputError, match=r"^a storage is the URL [^\n]*not a database$"):
        open_storage(f"sqlite:///{file}")
    assert file.read_text() == "no database, " * 100


def test_a_database_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE customers (name TEXT)")
    connection.commit()
    with pytest.raises(InputError, match=r"must be empty or hold studies.*the tables customers"):
        open_storage(f"sqlite:///{file}")
    tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert tables == [("customers",)]


@pytest.mark.parametrize("lacking", [["alembic_version"], ["trial_values", "version_info"], [*OPTUNAS]])
def test_a_database_that_another_process_is_making_is_none_of_something_else(
    storage: RDBStorage, url: str, connect: Callable[..., RDBStorage], lacking: list[str]
) -> None:
    storage.engine.dispose()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for table in lacking:
            connection.execute(f"DROP TABLE {table}")
        connection.commit()
    check_storage(url)
    assert open_study(connect(url), "one", SETTINGS, resume=False).trials == []


def test_a_database_whose_version_is_not_noted_yet_is_none_of_something_else(storage: RDBStorage, url: str) -> None:
    with storage.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    check_storage(url)


def test_a_storage_that_must_exist_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    with pytest.raises(InputError, match=r"there is no file '[^\n]*study.db': check --storage"):
        open_storage(f"sqlite:///{file}", must_exist=True)
    assert not file.exists()


def test_a_storage_that_exists_opens_where_it_must_exist(
    study: Study, url: str, connect: Callable[..., RDBStorage]
) -> None:
    assert "one" in study_names(connect(url, must_exist=True))


# A study is found by name


def test_the_only_study_needs_no_name(study: Study, storage: RDBStorage) -> None:
    assert load_study(storage, None).study_name == "one"
    assert load_study(storage, "one").study_name == "one"


def test_of_several_studies_one_must_be_named(study: Study, storage: RDBStorage) -> None:
    open_study(storage, "two", SETTINGS, resume=False)
    with pytest.raises(InputError, match=r"--study; this storage holds one, two$"):
        load_study(storage, None)
    assert load_study(storage, "two").study_name == "two"


@pytest.mark.parametrize("name", ["three", "one-references", ""])
def test_an_unknown_study_gets_the_list_of_those_there_are(study: Study, storage: RDBStorage, name: str) -> None:
    with pytest.raises(InputError, match=rf"there is no study '{name}'; this storage holds one$"):
        load_study(storage, name)


def test_an_empty_storage_holds_no_study(storage: RDBStorage) -> None:
    with pytest.raises(InputError, match="holds no study of this project"):
        load_study(storage, None)


# Trials that were killed


def test_a_killed_trial_is_queued_again(study: Study, url: str, connect: Callable[..., RDBStorage]) -> None:
    params, architecture = started(study)
    resumed = open_study(connect(url), "one", SETTINGS, resume=True)
    assert requeue_running(resumed) == 1
    killed = resumed.trials[0]
    assert (killed.state, killed.user_attrs, killed.values) == (TrialState.FAIL, {CAUSE: INTERRUPTED}, None)
    trial = resumed.ask()
    assert SPACE.suggest(trial) == architecture
    assert trial.params == params


def test_killed_trials_are_queued_in_their_order_and_once(study: Study) -> None:
    first, second = (started(study)[0] for _ in range(2))
    assert first != second
    assert requeue_running(study) == 2
    assert requeue_running(study) == 0
    assert [started(study)[0] for _ in range(2)] == [first, second]
    assert study.get_trials(states=(TrialState.WAITING,)) == []


def test_a_trial_killed_twice_keeps_its_parameters(study: Study) -> None:
    params, _ = started(study)
    for _ in range(2):
        requeue_running(study)
        assert started(study)[0] == params
    assert position_of(study) == 1


def test_a_kill_while_queueing_queues_no_trial_twice(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    params, _ = started(study)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trials, "fail", killed)
        with pytest.raises(KeyboardInterrupt):
            requeue_running(study)
    requeue_running(study)
    waiting = study.get_trials(states=(TrialState.WAITING,))
    assert [trial.system_attrs["fixed_params"] for trial in waiting] == [params]


def test_a_trial_killed_before_its_first_parameter_is_ended_and_not_queued(study: Study) -> None:
    study.ask()
    assert requeue_running(study) == 1
    assert [trial.state for trial in study.trials] == [TrialState.FAIL]


def test_a_trial_killed_amid_its_parameters_keeps_those_it_had(study: Study) -> None:
    unit = study.ask().suggest_categorical("unit", ("v1", "v2"))
    requeue_running(study)
    trial = study.ask()
    assert SPACE.suggest(trial).unit == unit
    assert len(trial.params) == 21  # unit, activation, 3 x 5 by stage, head, 2 growths, fill


def test_trials_that_ended_are_not_queued(study: Study) -> None:
    evaluated(study, 0.5)
    ended(study, TrialState.PRUNED)
    ended(study, TrialState.FAIL, "a cause")
    states = [trial.state for trial in study.trials]
    assert requeue_running(study) == 0
    assert [trial.state for trial in study.trials] == states


# What a study holds, by hand


def test_records_failures_and_position_by_hand(study: Study) -> None:
    evaluated(study, 0.25)  # 0
    ended(study, TrialState.FAIL, "ValueError: no")  # 1
    ended(study, TrialState.PRUNED, "over the latency budget")  # 2
    started(study)  # 3, which is interrupted and queued as 4
    requeue_running(study)
    started(study)  # 4, which runs
    ended(study, TrialState.FAIL)  # 5
    evaluated(study, 0.75)  # 6
    assert [(record.number, record.accuracy, record.latency_ms) for record in records_of(study)] == [
        (0, 0.25, 5.0),
        (6, 0.75, 5.0),
    ]
    assert failures_of(study) == [(1, "ValueError: no"), (5, "unknown")]
    assert position_of(study) == 6  # all but 3


def test_a_trial_that_waits_is_at_no_position(study: Study) -> None:
    study.enqueue_trial({"unit": "v1"})
    assert position_of(study) == networks_in(study) == 0


def test_a_network_counts_once_however_often_it_was_asked_for(study: Study) -> None:
    for key in ("a", "b", "a"):
        study.ask().set_user_attr(KEY, key)
    study.ask()  # whose network is not known yet
    assert (networks_in(study), position_of(study)) == (3, 4)
