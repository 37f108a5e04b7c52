"""Full-recipe accuracy predicted from a short training: a small linear fit, with how far it is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

FEATURES = ("summed_loss", "last_losses", "validation_loss", "log10_macs")
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""How strongly coefficients of standardised features are drawn to 0; which one, leaving one out decides."""
LAST_SHARE = 0.25
SMALLEST_ODDS = 0.001
"""Log-odds of 0 and 1 are infinite: an accuracy counts as at least this, and as this far from 1."""
LEAST_DECADES = 0.3
"""Networks whose FLOPs spread less than this (a factor of two) say little of FLOPs: the ridge then holds that slope."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """A network trained both ways: its short training as plain JSON, its cost, and its full accuracies by seed."""

    training: Mapping[str, Any]
    macs: int
    accuracies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AccuracyFit:
    """A prediction of full-recipe accuracy, in [0, 1], from a short training and the network's FLOPs.

    Its log-odds are linear in `FEATURES`, so that it stays between 0 and 1, and in order, on data that are easier or
    harder than those of the fit. A short training alone under-rates large and deep networks, however long its curve;
    the summed loss (Ru et al. 2021, TSE) and the size covariate take most of that back.

    Losses are divided by ln(classes), so that 1 is chance, whatever the data. `error` is the root mean square of the
    errors on networks left out of the fit, `low` and `high` the accuracies that it was fitted to.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    intercept: float
    ridge: float
    error: float
    networks: int
    low: float
    high: float

    def predict(self, training: Mapping[str, Any], macs: int) -> float:
        """The accuracy, in [0, 1], that the network would reach by the full recipe."""
        standard = (np.array(features_of(training, macs)) - self.means) / self.scales
        return float(expit(self.intercept + standard @ np.array(self.weights)))

    def to_dict(self) -> dict[str, Any]:
        """The fit as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AccuracyFit:
        """The fit that `to_dict` wrote."""
        tuples = {name: tuple(data[name]) for name in ("weights", "means", "scales")}
        return cls(**{**data, **tuples})


def features_of(training: Mapping[str, Any], macs: int) -> tuple[float, ...]:
    """The `FEATURES` of a training as plain JSON; losses as shares of what guessing loses."""
    chance = log(training["num_classes"])
    losses = training["training_losses"]
    last = losses[-last_epochs(len(losses)) :]
    return (
        sum(losses) / len(losses) / chance,
        sum(last) / len(last) / chance,
        training["validation_losses"][-1] / chance,
        log10(macs),
    )


def last_epochs(epochs: int) -> int:
    """How many epochs count as the last ones."""
    return max(1, round(LAST_SHARE * epochs))


def fit_accuracy(examples: Sequence[Example]) -> tuple[AccuracyFit, list[float]]:
    """The fit to the examples, and for each example the prediction of a fit that had not seen it."""
    x = np.array([features_of(example.training, example.macs) for example in examples])
    accuracies = np.array([float(np.mean(example.accuracies)) for example in examples])
    y = logit(np.clip(accuracies, SMALLEST_ODDS, 1 - SMALLEST_ODDS))
    means, scales = x.mean(axis=0), x.std(axis=0)
    scales[scales < 1e-9] = 1.0
    scales[-1] = max(scales[-1], LEAST_DECADES)
    standard = (x - means) / scales
    left_out = {ridge: expit(_left_out(standard, y, ridge)) for ridge in RIDGES}
    errors = {ridge: float(np.sqrt(np.mean((predicted - accuracies) ** 2))) for ridge, predicted in left_out.items()}
    ridge = min(RIDGES, key=lambda each: errors[each])
    fit = AccuracyFit(
        weights=tuple(_weights(standard, y - y.mean(), ridge).tolist()),
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        intercept=float(y.mean()),
        ridge=ridge,
        error=errors[ridge],
        networks=len(y),
        low=float(accuracies.min()),
        high=float(accuracies.max()),
    )
    return fit, left_out[ridge].tolist()


def _weights(x: Array, y: Array, ridge: float) -> Array:
    return np.asarray(np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y))


def _left_out(x: Array, y: Array, ridge: float) -> Array:
    """For each row what a fit to all others gives it."""
    predicted = np.empty(len(y))
    for row in range(len(y)):
        others = np.arange(len(y)) != row
        mean_x, mean_y = x[others].mean(axis=0), y[others].mean()
        weights = _weights(x[others] - mean_x, y[others] - mean_y, ridge)
        predicted[row] = mean_y + (x[row] - mean_x) @ weights
    return predicted
