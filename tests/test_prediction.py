"""The fit of full accuracy: against scikit-learn's ridge, and closed forms."""

import json
from dataclasses import replace
from math import exp, log, log10
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from studies.prediction import (
    FEATURES,
    LEAST_DECADES,
    RIDGES,
    AccuracyFit,
    Example,
    features_of,
    fit_accuracy,
    last_epochs,
)


def training(losses: list[float], validation: float, classes: int = 10) -> dict[str, Any]:
    return {"training_losses": losses, "validation_losses": [9.0, validation], "num_classes": classes}


def examples(count: int = 20, noise: float = 0.02, seed: int = 0) -> list[Example]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        quality, macs = random.uniform(0.2, 0.8), int(random.uniform(1e7, 1e8))
        losses = [2.3 - quality * epoch + 0.1 * float(random.normal()) for epoch in range(1, 5)]
        mean = 0.4 + 0.4 * quality + 0.1 * log10(macs / 1e8) + noise * float(random.normal())
        found.append(Example(training(losses, losses[-1] + 0.1), macs, (mean - 0.01, mean + 0.01)))
    return found


def matrix(of: list[Example]) -> np.ndarray:
    rows = np.array([features_of(each.training, each.macs) for each in of])
    scales = rows.std(axis=0)
    scales[-1] = max(scales[-1], LEAST_DECADES)
    return (rows - rows.mean(axis=0)) / scales


# Features


def test_features_are_losses_as_shares_of_chance_and_the_logarithm_of_flops() -> None:
    chance = log(10)
    found = features_of(training([2.0, 1.0, 0.8, 0.4], 0.7), 10_000_000)
    assert dict(zip(FEATURES, found, strict=True)) == pytest.approx(
        {
            "summed_loss": 4.2 / 4 / chance,
            "last_losses": 0.4 / chance,
            "validation_loss": 0.7 / chance,
            "log10_macs": 7.0,
        }
    )


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("epochs", [1, 4, 12])
def test_a_network_that_guesses_has_losses_of_one_whatever_the_classes_and_epochs(classes: int, epochs: int) -> None:
    chance = log(classes)
    assert features_of(training([chance] * epochs, chance, classes), 1000) == pytest.approx((1, 1, 1, 3))


@pytest.mark.parametrize(("epochs", "last"), [(1, 1), (2, 1), (4, 1), (8, 2), (12, 3), (100, 25)])
def test_a_quarter_of_the_epochs_are_the_last_ones_and_at_least_one(epochs: int, last: int) -> None:
    assert last_epochs(epochs) == last


# The fit


def test_the_fit_is_sklearns_ridge_on_standardised_features() -> None:
    given = examples()
    x, y = matrix(given), np.array([np.mean(each.accuracies) for each in given])
    fit, _ = fit_accuracy(given)
    theirs = Ridge(alpha=fit.ridge).fit(x, np.log(y / (1 - y)))
    assert fit.weights == pytest.approx(theirs.coef_)
    assert fit.intercept == pytest.approx(theirs.intercept_)
    expected = 1 / (1 + np.exp(-theirs.predict(x)))
    assert [fit.predict(each.training, each.macs) for each in given] == pytest.approx(expected)
    assert (fit.networks, fit.low, fit.high) == (20, y.min(), y.max())


@pytest.mark.parametrize("noise", [0.001, 0.02, 0.2])
def test_left_out_predictions_and_the_ridge_are_those_of_sklearns_leave_one_out(noise: float) -> None:
    given = examples(noise=noise)
    x, y = matrix(given), np.array([np.mean(each.accuracies) for each in given])
    odds = np.log(np.clip(y, 0.001, 0.999) / (1 - np.clip(y, 0.001, 0.999)))
    log_odds = {ridge: cross_val_predict(Ridge(alpha=ridge), x, odds, cv=LeaveOneOut()) for ridge in RIDGES}
    theirs = {ridge: 1 / (1 + np.exp(-found)) for ridge, found in log_odds.items()}
    errors = {ridge: np.sqrt(np.mean((found - y) ** 2)) for ridge, found in theirs.items()}
    fit, left_out = fit_accuracy(given)
    assert fit.ridge == min(errors, key=lambda ridge: errors[ridge])
    assert left_out == pytest.approx(theirs[fit.ridge])
    assert fit.error == pytest.approx(errors[fit.ridge])


def test_what_is_linear_is_found_and_foretold() -> None:
    fit, left_out = fit_accuracy(examples(40, noise=0.0))
    assert fit.error < 0.02
    unseen = examples(10, noise=0.0, seed=1)
    for each in unseen:
        assert fit.predict(each.training, each.macs) == pytest.approx(np.mean(each.accuracies), abs=0.05)
    assert len(left_out) == 40


def test_with_a_strong_ridge_one_feature_gets_the_closed_forms_weight() -> None:
    # One feature varies: its weight is sum(x y) / (n + ridge), x being standardised; the others' are 0.
    odds = [-0.4, 0.0, 0.4, 0.8]
    given = [
        Example(training([1.0], 1.0), 10**power, (1 / (1 + exp(-each)),))
        for power, each in zip((4, 5, 6, 7), odds, strict=True)
    ]
    fit, _ = fit_accuracy(given)
    x = np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25)
    assert fit.weights == pytest.approx((0, 0, 0, x @ odds / (4 + fit.ridge)))
    assert fit.ridge == 0.01, "there is no noise to hold back from"
    assert fit.predict(training([1.0], 1.0), 10**6) == pytest.approx(1 / (1 + exp(-0.4)), abs=1e-3)


def test_alike_networks_are_predicted_their_mean() -> None:
    given = [Example(training([1.0, 0.5], 0.6), 1000, (accuracy,)) for accuracy in (0.4, 0.5, 0.6, 0.7)]
    fit, left_out = fit_accuracy(given)
    odds = [log(each / (1 - each)) for each in (0.4, 0.5, 0.6, 0.7)]
    assert fit.predict(training([1.0, 0.5], 0.6), 1000) == pytest.approx(1 / (1 + exp(-sum(odds) / 4)))
    assert left_out == pytest.approx([1 / (1 + exp(-(sum(odds) - each) / 3)) for each in odds])


def test_predictions_stay_between_0_and_1_and_in_order_far_from_the_fit() -> None:
    given = [Example(training([1.0], 1.0), 10**power, (0.1 * power - 0.3,)) for power in (4, 5, 6, 7)]
    fit, _ = fit_accuracy(given)
    found = [fit.predict(training([1.0], 1.0), 10**power) for power in range(20)]
    assert found == sorted(set(found))
    assert 0 < found[0] < found[-1] < 1


def test_networks_that_learn_nothing_or_everything_are_fitted_too() -> None:
    given = [
        Example(training([1.0], 1.0), 10**power, (accuracy,)) for power, accuracy in ((4, 0.0), (5, 0.5), (6, 1.0))
    ]
    assert 0 < fit_accuracy(given)[0].predict(training([1.0], 1.0), 10**5) < 1


def test_a_fit_comes_back_from_strict_json() -> None:
    fit, _ = fit_accuracy(examples())
    data = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert AccuracyFit.from_dict(data) == fit


def test_networks_of_one_cost_leave_others_cost_out_of_the_prediction() -> None:
    alike = [replace(each, macs=20_000_000 + number) for number, each in enumerate(examples())]
    fit, _ = fit_accuracy(alike)
    near, far = (fit.predict(alike[0].training, macs) for macs in (20_000_000, 140_000_000))
    assert abs(near - far) < 0.01
