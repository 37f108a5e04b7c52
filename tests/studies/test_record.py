"""Records go to an Optuna trial on SQLite and to JSON, and come back the same."""

import json
from pathlib import Path

import optuna
import pytest
from builders.records import enter, record

from search_space import PRESETS
from studies.record import DIRECTIONS, Record, record_of


def stored(kept: Record, url: str) -> Record | None:
    """The record written to a study in a database, read back through another connection."""
    storage = optuna.storages.RDBStorage(url)
    study = optuna.create_study(study_name="one", storage=storage, directions=DIRECTIONS)
    enter(study, kept)
    storage.engine.dispose()
    again = optuna.storages.RDBStorage(url)
    found = record_of(optuna.load_study(study_name="one", storage=again).trials[0])
    again.engine.dispose()
    return found


@pytest.mark.parametrize("reference", ["", "v2-1.0x"])
def test_a_record_comes_back_from_a_trial_on_sqlite(tmp_path: Path, reference: str) -> None:
    kept = record(reference=reference, number=0)
    assert stored(kept, f"sqlite:///{tmp_path}/studies.db") == kept


@pytest.mark.parametrize("preset", ["v1-1.0x-g3", "v2-se-0.5x"])
def test_a_record_comes_back_from_json(preset: str) -> None:
    kept = record(preset, reference=preset, number=7)
    assert Record.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept


@pytest.mark.parametrize("state", [s for s in optuna.trial.TrialState if s is not optuna.trial.TrialState.COMPLETE])
def test_a_trial_that_did_not_complete_is_no_record(state: optuna.trial.TrialState) -> None:
    assert record_of(optuna.trial.create_trial(state=state)) is None


def test_a_name_is_the_references_own_or_unit_and_key() -> None:
    assert record(reference="v2-1.0x").name == "v2-1.0x"
    assert record().name == f"v2-{PRESETS['v2-1.0x'].key()[:8]}"


def test_seconds_are_those_of_training_and_of_measuring() -> None:
    assert record().seconds == 82.5
    assert record().to_dict()["seconds"] == 82.5


def test_spread_and_noise_are_the_measurements() -> None:
    noisy = record(latency={"spread": 0.05, "noisy": True, "seconds": 1.0})
    assert (record().latency_spread, record().noisy) == (0.012, False)
    assert (noisy.latency_spread, noisy.noisy) == (0.05, True)
