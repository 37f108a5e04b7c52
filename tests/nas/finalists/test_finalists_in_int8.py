"""`nas.finalists` of a search for int8: each network is quantised after its training, and the front is the int8 one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from builders.finalists import (
    ALL,
    FAST,
    MIDDLE,
    REFERENCE,
    SETTINGS,
    SLOW,
    URL,
    kept,
    ledger_holds,
    long_answer,
    made_study,
    timed_again,
)
from builders.records import enter
from optuna.storages import RDBStorage
from optuna.study import Study

from nas.finalists.__main__ import main, make_parser
from nas.finalists.settings import settings_for
from nas.finalists.training import question
from search_space import Architecture
from studies.accuracy_scale import PERCENT
from studies.dashboard.notes import trial_note
from studies.facts import LatencyFacts
from studies.ledger.trainings import Evaluations
from studies.storage.database import engine_of
from studies.storage.studies import references_of

Captured = pytest.CaptureFixture[str]
IN_INT8 = {**SETTINGS, "precision": "int8"}
FACTS = {"images": 2000, "calibration_images": 256, "runtime_version": "1.32"}


def answer(architecture: Architecture, method: dict[str, Any], seed: int, in_int8: bool = False) -> dict[str, Any]:
    """An answer such as a worker's; in 8 bits the slowest network loses 20 points, and each other one a tenth."""
    found = long_answer(architecture, method, seed)
    if not in_int8:
        return found
    lost = 400 if architecture == SLOW.architecture else 2
    accuracy = found["validation_accuracies"][0] - lost / 2000
    return {**found, "int8": {**FACTS, "accuracy": accuracy, "lost": lost, "gained": 0}}


def timed(architecture: Architecture, anchor_ms: float) -> LatencyFacts:
    return timed_again(architecture, anchor_ms).changed(precision="int8")


@pytest.fixture
def in_int8(storage: RDBStorage, answered_by: Callable[..., None]) -> Study:
    """A search for int8 with its reference; workers answer as above."""
    study = made_study(storage, IN_INT8)
    enter(study, *ALL)
    enter(references_of(study, storage), REFERENCE)
    answered_by(answer, timed=timed)
    return study


def test_accuracies_and_front_are_those_in_8_bits_and_fp32_stands_beside(
    in_int8: Study, storage: RDBStorage, capsys: Captured
) -> None:
    assert main(["--study", "mine"]) == 0
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[2:] for line in printed.splitlines() if line}
    # 85 % in fp32, by far the best; in 8 bits below the network before it, at 75 - 0.1 %.
    assert rows[SLOW.name][4:12] == ["65.0", "±", "1.0", "85.0", "20.0", "±0.5", "80.0", "±2.0"]
    assert rows[SLOW.name][-4:] == ["loses", "much", "in", "int8"]
    assert "front" not in rows[SLOW.name]
    assert rows[MIDDLE.name][4:10] == ["74.9", "±", "1.0", "75.0", "0.1", "±0.0"]
    assert rows[MIDDLE.name][-1] == "front"
    trial = kept(storage)[MIDDLE.architecture.key()]
    assert trial.values[0] == pytest.approx(0.749)
    assert trial.user_attrs["fp32_accuracies"]["9"] == pytest.approx(0.75)
    assert trial.user_attrs["int8"]["9"]["lost"] == 2
    note = trial_note(trial, {}, PERCENT).splitlines()
    assert note[2].startswith("- 74.9 % by recipe 'long', in int8; 75.0 % in fp32, 0.1 ±0.0 points lost;")
    assert note[3].endswith(" in int8")

    assert main(["--study", "mine"]) == 0
    again = capsys.readouterr()
    assert again.out == printed
    assert "18 of 18 trainings are in the ledger" in again.err


def test_a_training_that_was_never_quantised_does_not_stand_for_one_that_was(
    in_int8: Study, storage: RDBStorage, capsys: Captured, answered_by: Callable[..., None]
) -> None:
    answered_by(lambda architecture, method, seed, in_int8: answer(architecture, method, seed), timed=timed)
    assert main(["--study", "mine", "--seeds", "1"]) == 1
    assert "its accuracy in 8 bits is missing" in capsys.readouterr().err
    assert ledger_holds() == 0
    # As a search in float32 on the same data and by the same recipe would have left it:
    settings = settings_for(in_int8, URL, make_parser().parse_args(["--study", "mine"]))
    engine = engine_of(URL)
    asked = question(settings, FAST, 8)
    assert asked.in_int8
    plain = long_answer(FAST.architecture, dict(asked.method), 8)
    Evaluations(engine).add(replace(asked, in_int8=False), plain, {"host": "here"}, 1e9)
    engine.dispose()
    answered_by(answer, timed=timed)
    assert main(["--study", "mine", "--seeds", "1"]) == 0
    assert "0 of 6 trainings are in the ledger" in capsys.readouterr().err
    assert ledger_holds() == 6
    assert kept(storage)[FAST.architecture.key()].values[0] == pytest.approx(0.639)


def test_what_is_predicted_loses_what_the_network_lost_that_was_trained(in_int8: Study, storage: RDBStorage) -> None:
    assert main(["--study", "mine", "--seeds", "1", "--recipe", "short"]) == 0
    trial = kept(storage)[SLOW.architecture.key()]
    fp32 = trial.user_attrs["fp32_accuracies"]["8"]
    assert trial.user_attrs["is_predicted"]
    assert fp32 != pytest.approx(0.85), "a prediction, and not the training's own"
    assert trial.values[0] == pytest.approx(fp32 - 0.2)
