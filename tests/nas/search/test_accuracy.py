"""Where a study's accuracies come from: the user's own calibration, one that ships, or the short training itself."""

from dataclasses import replace
from math import exp, log, log10
from pathlib import Path

import numpy as np
import pytest
from builders.calibrations import calibration, made
from builders.records import record
from builders.settings import settings_from

from nas.search import accuracy as accuracy_module
from nas.search.accuracy import Accuracy, accuracy_for, beats_chance
from proxies.training.recipes import RECIPES
from search_space import PRESETS, Architecture
from search_space.errors import InputError
from studies.calibration import store as calibrations
from studies.calibration.known_trainings import shipped_fit
from studies.calibration.results import Calibration, calibration_of
from studies.ledger.trainings import Evaluations, Question
from studies.record import Record
from studies.storage.database import engine_of

DATA = "0123456789abcdef"
LATENCY = {"spread": 0.01, "noisy": False, "seconds": 1.0}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def kept(found: Calibration, url: str) -> None:
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    calibrations.keep(engine_of(url), found)


def short(preset: str = "v2-0.5x") -> Record:
    return record(preset, 0.25, training=calibration().networks[3].trainings["short"].plain)


def question(architecture: Architecture, recipe: str, seed: int = 0) -> Question:
    return Question(architecture, RECIPES[recipe].to_dict(), DATA, seed)


def trained(url: str, recipe: str, accuracy: float, *names: str) -> None:
    """Enters such trainings of presets into the database."""
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    evaluations = Evaluations(engine_of(url))
    result = {**calibration().networks[3].trainings["short"].plain, "validation_accuracies": [accuracy]}
    for name in names:
        evaluations.add(question(PRESETS[name], recipe), result, {}, 1e9)


def test_the_fit_that_ships_serves_any_data_and_its_level_is_said_to_be_unknown() -> None:
    found = accuracy_for(settings_from(), DATA)
    assert found.fit == shipped_fit("short")
    assert not found.is_level_known
    assert found.summary.startswith("predicted, in points above or below a reference")
    assert "nas.calibrate --data fashion-mnist-12k" in found.summary


def test_another_recipe_than_was_calibrated_has_the_fit_of_short_and_that_is_said() -> None:
    found = accuracy_for(settings_from("--recipe", "long"), DATA)
    assert found.fit == shipped_fit("short")
    assert "which know recipe 'short' and not 'long'" in found.summary


def test_of_backbones_it_is_said_that_they_are_trained_as_classifiers() -> None:
    usual = accuracy_for(settings_from(), DATA)
    assert "classifier" not in usual.summary
    found = accuracy_for(settings_from("--task", "detection-backbone"), DATA)
    assert usual.fit is not None
    assert found.fit == replace(usual.fit, resolution=320)
    assert found.summary.startswith("backbones are scored as classifiers of whole images")
    assert "no detector is trained" in found.summary
    assert found.summary.endswith(usual.summary)


@pytest.mark.parametrize("where", ["the study's database", "the default one"])
def test_the_users_own_calibration_goes_first_with_its_verdict(where: str) -> None:
    chosen = settings_from()
    kept(calibration(), chosen.storage if where == "the study's database" else accuracy_module.CALIBRATIONS)
    found = accuracy_for(chosen, DATA)
    assert found.fit == calibration().fits["short"]
    assert found.is_level_known
    assert "calibrated on this data (refitted with 24 networks of these data): SHORT ranks" in found.summary


def test_a_calibration_that_ranks_no_better_than_chance_is_told_and_not_used() -> None:
    random = np.random.default_rng(5)
    networks = [replace(each, accuracies=tuple(0.5 + 0.01 * random.normal(size=2))) for each in calibration().networks]
    useless = calibration_of(made(), networks, ["short"])
    assert not beats_chance(useless, "short")
    kept(useless, settings_from().storage)
    found = accuracy_for(settings_from(), DATA)
    assert found.fit == shipped_fit("short")
    assert found.summary.startswith(f"{accuracy_module.NO_BETTER_THAN_CHANCE}: SHORT ranks")


def test_a_calibration_of_other_data_or_of_another_recipe_is_not_the_users_own() -> None:
    kept(calibration(), settings_from().storage)
    assert accuracy_for(settings_from(), "f" * 16).fit == shipped_fit("short")
    assert accuracy_for(settings_from("--recipe", "full"), DATA).fit == shipped_fit("short")
    other = {"short": {**RECIPES["short"].to_dict(), "epochs": 99}}
    stale = calibration_of(made(fingerprint="e" * 16, recipes=other), calibration().networks, ["short"])
    kept(stale, settings_from().storage)
    assert accuracy_for(settings_from(), "e" * 16).fit == shipped_fit("short")


def test_networks_trained_on_these_data_by_a_longer_recipe_tell_the_level() -> None:
    trained(settings_from().storage, "short", 0.7, "v2-0.5x", "v2-1.0x")
    assert not accuracy_for(settings_from(), DATA).is_level_known
    trained(settings_from().storage, "long", 0.91, "v2-0.5x", "v2-1.0x", "v1-1.0x-g3")
    found = accuracy_for(settings_from(), DATA)
    assert found.is_level_known
    assert "predicted for training by recipe 'long'" in found.summary
    predicted = [found.predicted(short(name)) for name in ("v2-0.5x", "v2-1.0x")]
    assert predicted[0].accuracy < 0.91 < predicted[1].accuracy
    assert not accuracy_for(settings_from(), "f" * 16).is_level_known


def test_from_four_such_networks_on_they_speak_for_the_fit_too() -> None:
    names = ("v2-0.5x", "v2-1.0x", "v1-1.0x-g3", "v1-0.5x-g3")
    for name, accuracy in zip(names, (0.80, 0.84, 0.82, 0.79), strict=True):
        trained(settings_from().storage, "short", accuracy - 0.1, name)
        trained(settings_from().storage, "long", accuracy, name)
    found = accuracy_for(settings_from(), DATA)
    assert found.is_level_known
    assert found.prior is not None
    assert found.prior.source in ("as it ships", "refitted with 4 networks of these data")


def test_a_record_is_given_the_accuracy_that_the_fit_expects_and_its_error() -> None:
    fit = calibration().fits["short"]
    predicted = Accuracy(fit, "").predicted(short())
    assert predicted.accuracy == fit.predict(PRESETS["v2-0.5x"], short().training)
    assert predicted.accuracy_error == fit.as_error(fit.score(PRESETS["v2-0.5x"], short().training))
    assert predicted.proxy_accuracy == short().proxy_accuracy
    assert replace(predicted, accuracy=0.25, accuracy_error=None) == short()


def test_a_study_from_before_there_was_a_prior_goes_on_as_it_began() -> None:
    """Log-odds of 0.5, less the mean training loss as a share of chance's, and 0.1 more at ten times the FLOPs."""
    old = {
        "fit": {
            "weights": [-1.0, 0.0, 0.0, 0.1],
            "means": [0.0, 0.0, 0.0, 7.0],
            "scales": [1.0, 1.0, 1.0, 1.0],
            **{"intercept": 0.5, "ridge": 1.0, "error": 0.02, "networks": 20, "low": 0.4, "high": 0.9},
        },
        **{"told": "calibrated on this data", "resolution": 224, "classes": 1000},
    }
    found = Accuracy.from_dict(old)
    losses = short().training.training_losses
    share = sum(losses) / len(losses) / log(10)
    odds = 0.5 - share + 0.1 * (log10(40_476_448) - 7)
    assert found.predicted(short()).accuracy == pytest.approx(1 / (1 + exp(-odds)))
    assert found.prior is None
    assert Accuracy.from_dict(found.to_dict()) == found


def test_it_is_plain_json_and_comes_back() -> None:
    for found in (Accuracy(None, "why"), Accuracy(calibration().fits["short"], "why")):
        assert Accuracy.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("name", calibrations.SHIPPED)
def test_what_ships_is_of_the_recipe_that_studies_use_by_default(name: str) -> None:
    found = calibrations.shipped(name)
    assert found.made.recipes["short"] == RECIPES["short"].to_dict()
    assert found.fits["short"].networks >= 20
    assert found.made.data == name


def test_what_ships_ranks_as_is_claimed() -> None:
    """Each of the 26 networks by a fit that had not seen it: Kendall tau over all, and above every single score."""
    found = calibrations.shipped("cifar10")
    tau = {(row.score, row.recipe): row.rankings["stratified"].tau.value for row in found.rows}
    assert tau["prediction", "short"] > 0.7
    assert tau["prediction", "short"] > max(tau["accuracy", "short"], tau["prior", ""], tau["flops", ""]) + 0.1
    macs_first = [network.macs for network in found.networks]
    assert (min(macs_first), max(macs_first)) == (40_476_448, 144_907_992)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"made": {}}', "not json"])
def test_a_damaged_calibration_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"the file x must be a calibration that this version reads"):
        calibrations.parsed(text, "the file x")
