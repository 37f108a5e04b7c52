"""A study and its ledger that were poisoned: each command leaves out what cannot be and says so, a search heals it."""

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from builders.places import TESTS
from optuna.trial import TrialState

from nas.export.__main__ import main as export
from nas.latency.__main__ import main as latency
from nas.ledger.__main__ import main as ledger
from nas.report.__main__ import main as report
from studies.dashboard.annotated_storage import AnnotatedStorage
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations
from studies.storage.healing import heal
from studies.storage.studies import flaws_of, load_study, open_storage, records_of, references_of

URL = "sqlite:///runs/tiny/study.db"
STORAGE = ("--storage", URL)
POISONS = (
    *(("latency", "spread", "NaN"), ("latency", "latency_ms", "0"), ("latency", "latency_ms", "-1")),
    *(("latency", "noisy", '"x"'), ("training", "validation_losses", "[NaN]"), ("training", "seconds", "Infinity")),
)
LATENCIES = (("spread", "NaN"), ("latency_ms", "0"), ("ratio", "-Infinity"), ("taken_at", "1e300"), ("runtime", "7"))
TRAININGS = (("validation_losses", "[NaN]"), ("seconds", '"x"'), ("validation_accuracies", "[2.0]"))


def with_field(text: str, name: str, value: str) -> str:
    return json.dumps({**json.loads(text), name: "@"}).replace('"@"', value)


@pytest.fixture(autouse=True)
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study of version 0.1.0 with each poison in a trial, a latency or a training of its own."""
    monkeypatch.chdir(tmp_path)
    Path("runs/tiny").mkdir(parents=True)
    with closing(sqlite3.connect("runs/tiny/study.db")) as connection:
        connection.executescript(gzip.decompress((TESTS / "data/made_by_0_1_0/tiny.sql.gz").read_bytes()).decode())
        where = "JOIN studies USING (study_id) WHERE state = 'COMPLETE' AND study_name IN ('tiny', 'tiny-references')"
        trials = [row[0] for row in connection.execute(f"SELECT trial_id FROM trials {where}")]
        assert len(trials) == 7
        for trial, (fact, name, value) in zip(trials, POISONS, strict=False):
            here = f"FROM trial_user_attributes WHERE trial_id = {trial} AND key = '{fact}'"
            (text,) = connection.execute(f"SELECT value_json {here}").fetchone()
            update = f"UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = {trial} AND key = '{fact}'"
            connection.execute(update, (with_field(text, name, value),))
        for table, column, poisons in (
            ("latency_measurements", "measurement", LATENCIES),
            ("evaluations", "result", TRAININGS),
        ):
            rows = connection.execute(f"SELECT digest, {column} FROM {table}").fetchall()
            texts = [with_field(text, *poison) for (_, text), poison in zip(rows, poisons, strict=False)]
            for (digest, _), text in zip(rows, [*texts, "{", "[]", "null", "x" * 100_000], strict=False):
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE digest = ?", (text, digest))
        connection.commit()


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE trial_values SET value = NULL",
        "UPDATE trial_user_attributes SET value_json = '{broken' WHERE key = 'training'",
    ],
)
@pytest.mark.parametrize("command", [report, export])
def test_trials_that_optuna_cannot_read_are_said_in_one_line(
    command: Callable[..., int], spoil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect("runs/tiny/study.db")) as connection:
        connection.execute(spoil)
        connection.commit()
    assert command(["--study", "tiny", "--out", "out"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a study's trials must be as Optuna wrote them" in line


def test_a_search_heals_values_that_are_nothing() -> None:
    with closing(sqlite3.connect("runs/tiny/study.db")) as connection:
        connection.execute("UPDATE trial_values SET value = NULL WHERE objective = 1")
        connection.commit()
    storage = open_storage(URL)
    study = optuna.load_study(study_name="tiny", storage=storage)
    lines = heal(study)
    assert len([line for line in lines if line.endswith("of 'tiny': a value is no number")]) > 0
    assert {trial.state for trial in study.get_trials()} <= {TrialState.FAIL, TrialState.WAITING}
    storage.engine.dispose()


@pytest.mark.parametrize("command", ["list", "export"])
def test_the_ledger_goes_on(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ledger([command, *(["all.csv"] if command == "export" else []), *STORAGE]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("left out, for they cannot be: 16 entries: ")
    assert len(line) < 1500
    assert ledger([command, *(["all.csv"] if command == "export" else []), "--device", "cpu", *STORAGE]) == 0


def test_latencies_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert latency(["list", *STORAGE]) == 0
    assert capsys.readouterr().err.startswith("left out, for they cannot be: 9 latencies: ")


def test_a_report_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(["--study", "tiny", "--out", "report.html"]) == 0
    assert "left out, for they cannot be: 6 trials" in capsys.readouterr().err
    export(["--study", "tiny", "--out", "exported"])
    assert "left out, for they cannot be: 6 trials" in capsys.readouterr().err


def test_the_dashboard_goes_on() -> None:
    storage = AnnotatedStorage(URL)
    for study in storage.get_all_studies():
        storage.get_study_system_attrs(study._study_id)
    storage.engine.dispose()


def test_a_search_heals_its_study_once() -> None:
    storage = open_storage(URL)
    study = load_study(storage, "tiny")
    references = references_of(study, storage)
    known = len(records_of(study)) + len(records_of(references))
    assert len([*heal(study), *heal(references)]) == 6
    assert heal(study) == heal(references) == flaws_of(study, references) == []
    assert len(records_of(study)) + len(records_of(references)) == known == 1
    causes = [trial.user_attrs["cause"] for each in (study, references) for trial in each.trials if not trial.values]
    assert sum("must be" in cause for cause in causes) == 6
    assert len(Ledger(storage.engine).flaws()) == 9
    assert len(Evaluations(storage.engine).flaws()) == 7
    storage.engine.dispose()
