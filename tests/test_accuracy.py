"""Where a study's accuracies come from: the user's own calibration, one that ships, or the short training itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_calibration import calibration, made

from nas import accuracy as accuracy_module
from nas.accuracy import Accuracy, accuracy_for
from nas.command import Parser
from nas.settings import Settings, add_flags, settings_of
from proxies.recipes import RECIPES
from search_space import PRESETS, cost_of
from studies import calibrations
from studies.calibration import Calibration, calibration_of
from studies.database import engine_of
from studies.record import Record

DATA = "0123456789abcdef"
LATENCY = {"spread": 0.01, "noisy": False, "seconds": 1.0}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ships(monkeypatch: pytest.MonkeyPatch) -> Any:
    def say(*found: Calibration) -> None:
        monkeypatch.setattr(calibrations, "SHIPPED", tuple(map(str, range(len(found)))))
        monkeypatch.setattr(calibrations, "shipped", lambda name: found[int(name)])

    say()
    return say


def settings(*flags: str) -> Settings:
    parser = Parser(prog="test")
    add_flags(parser)
    return settings_of(parser.parse_args(["--budget", "41mflops", *flags]))


def kept(found: Calibration, url: str) -> None:
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    calibrations.keep(engine_of(url), found)


def record(**changes: Any) -> Record:
    training = dict(calibration().networks[3].trainings["short"])
    usual = Record(PRESETS["v2-0.5x"], 1, 2, 3, 4, 0.25, 2.5, LATENCY, training)
    return replace(usual, **changes)


def test_without_any_calibration_accuracies_are_the_trainings_own_and_that_is_said(ships: Any) -> None:
    found = accuracy_for(settings(), DATA)
    assert found.fit is None
    assert "unknown" in found.told
    assert "nas.calibrate --data fashion-mnist-12k" in found.told
    assert found.predicted(record()) == record()


def test_of_backbones_it_is_said_that_they_are_trained_as_classifiers(ships: Any) -> None:
    usual = accuracy_for(settings(), DATA)
    ships(calibration())
    with_a_fit = accuracy_for(settings(), DATA)
    assert "classifier" not in usual.told + with_a_fit.told
    found = accuracy_for(settings("--task", "detection-backbone"), DATA)
    assert found.fit == with_a_fit.fit
    assert found.told.startswith("backbones are scored as classifiers of whole images")
    assert "no detector is trained" in found.told
    assert found.told.endswith(with_a_fit.told)


@pytest.mark.parametrize("where", ["the study's database", "the default one"])
def test_the_users_own_calibration_goes_first_with_its_verdict(ships: Any, where: str) -> None:
    ships(calibration())
    chosen = settings()
    kept(calibration(), chosen.storage if where == "the study's database" else accuracy_module.CALIBRATIONS)
    found = accuracy_for(chosen, DATA)
    assert found.fit == calibration().fits["short"]
    assert found.told.startswith("calibrated on this data: SHORT ranks")


def test_a_calibration_of_other_data_or_of_another_recipe_is_not_the_users_own(ships: Any) -> None:
    kept(calibration(), settings().storage)
    assert accuracy_for(settings(), "f" * 16).fit is None
    assert accuracy_for(settings("--recipe", "full"), DATA).fit is None
    other = {"short": {**RECIPES["short"].to_dict(), "epochs": 99}}
    stale = calibration_of(made(fingerprint="e" * 16, recipes=other), calibration().networks, ["short"])
    kept(stale, settings().storage)
    assert accuracy_for(settings(), "e" * 16).fit is None


def test_one_that_ships_for_this_data_speaks_for_it(ships: Any) -> None:
    ships(calibration())
    found = accuracy_for(settings(), DATA)
    assert found.fit == calibration().fits["short"]
    assert found.told.startswith("by the calibration on photos that ships: SHORT ranks")


def test_on_other_data_the_fit_that_ships_is_used_and_its_limits_are_said(ships: Any) -> None:
    ships(calibration())
    found = accuracy_for(settings(), "f" * 16)
    assert found.fit == calibration().fits["short"]
    assert "no calibration was made on this data" in found.told
    assert "the fit to photos that ships" in found.told


def test_a_record_is_given_the_accuracy_that_the_fit_expects_at_the_calibrations_resolution() -> None:
    fit = calibration().fits["short"]
    macs = cost_of(PRESETS["v2-0.5x"], 128, 10).macs
    predicted = Accuracy(fit, "", 128, 10).predicted(record())
    assert predicted.accuracy == fit.predict(record().training, macs)
    assert predicted.proxy_accuracy == record().proxy_accuracy
    assert replace(predicted, accuracy=0.25) == record()


def test_it_is_plain_json_and_comes_back() -> None:
    for found in (Accuracy(None, "why"), Accuracy(calibration().fits["short"], "why", 128, 10)):
        assert Accuracy.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("name", calibrations.SHIPPED)
def test_what_ships_is_of_the_recipe_that_studies_use_by_default(name: str) -> None:
    found = calibrations.shipped(name)
    assert found.made.recipes["short"] == RECIPES["short"].to_dict()
    assert found.fits["short"].networks >= 20
    assert found.made.data == name
