"""Accuracy predicted from an architecture alone, before anything is trained, with how far that may be off.

A Bayesian linear regression (Bishop 2006, sec. 3.3) of the log-odds of fully trained accuracy on a few features that
the literature supports. Its weights begin at what the literature says and move as far as trained networks move them.
Each data set has a level of its own, its intercept: what is predicted here is the distance from that level.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from search_space.architecture import BOTTLENECK, Architecture, Stage
from search_space.bounds import RESOLUTIONS
from search_space.cost import cost_of
from search_space.errors import InputError

Array = NDArray[np.float64]

RESOLUTION, CLASSES = 224, 1000
"""Where the FLOPs count that a prediction is made from, whatever the task: those of the papers' tables.

Those of a network with a resolution of its own count there: it has no feature of its own, for what it costs is what its
FLOPs say. From 224 to 128 pixels published log-odds fall by 0.25 (MobileNetV1 1.0: Howard 2017, table 7) and 0.27
(MobileNetV2 1.0: tensorflow/models, research/slim/nets/mobilenet) per unit of ln FLOPs, in narrower ones by 0.27 to
0.36; by width, from 1.0 to 0.5 at 224 pixels, by 0.23 and 0.26. `FEATURES` expects 0.32 +- 0.05 of either.
"""
UNEXPLAINED = 0.1
"""Log-odds by which networks with the same features differ: standard deviation. Of the 26 networks trained on CIFAR-10
that ship, each left out of the fit, it is 0.10; an accuracy of 86 % is then off by 1.2 points."""
ANY_LEVEL = 100.0
"""A data set's level may lie anywhere."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A number of an architecture and its FLOPs, and the weight that is expected of it: mean and standard deviation.

    `least` bounds the weight from below. `source` says where the expectation is from, `known` over which of the
    number's values.
    """

    of: Callable[[Architecture, int], float]
    expected: float
    deviation: float
    source: str
    known: tuple[float, float] = (0.0, 0.0)
    least: float = -inf


def _mean(of: Callable[[Stage], float]) -> Callable[[Architecture, int], float]:
    """The mean of a stage's number over the units."""
    return lambda architecture, macs: (
        sum(stage.depth * of(stage) for stage in architecture.stages) / _units(architecture)
    )


def _of_unit(unit: str, of: Callable[[Architecture, int], float]) -> Callable[[Architecture, int], float]:
    return lambda architecture, macs: of(architecture, macs) if architecture.unit == unit else 0.0


def _units(architecture: Architecture) -> int:
    return sum(stage.depth for stage in architecture.stages)


def _growth(architecture: Architecture, macs: int) -> float:
    first, *_, last = architecture.stages
    return log(last.width / first.width / 4)


_log_groups = _mean(lambda stage: log(stage.groups))

FEATURES: Mapping[str, Feature] = {
    "log FLOPs": Feature(
        lambda architecture, macs: log(macs / 1e8), 0.32, 0.05, "19 rows of Zhang 2017 and Ma 2018", least=0.0
    ),
    "unit v1": Feature(lambda architecture, macs: float(architecture.unit == "v1"), -0.14, 0.06, "the same"),
    "log groups, v1": Feature(_of_unit("v1", _log_groups), 0.034, 0.03, "Zhang 2017, table 2"),
    "log groups, v2": Feature(_of_unit("v2", _log_groups), 0.0, 0.03, "nothing is published"),
    "no shuffle": Feature(
        lambda architecture, macs: 0.0 if architecture.shuffle else _log_groups(architecture, macs),
        *(-0.1, 0.05),
        "Zhang 2017, table 3: times log groups",
    ),
    "squeeze-and-excitation": Feature(
        _mean(lambda stage: float(stage.se)), 0.05, 0.03, "Zhang 2017, table 5; Ma 2018, table 8", (0, 1), 0.0
    ),
    "kernel": Feature(_mean(lambda stage: (stage.kernel - 3) / 2), 0.03, 0.03, "Tan 2019, MnasNet: many 5x5", (0, 1)),
    "log depth": Feature(
        lambda architecture, macs: log(_units(architecture) / 16), 0.0, 0.05, "at equal FLOPs deeper is narrower"
    ),
    "growth": Feature(_growth, 0.0, 0.05, "the last stage's width over the first one's"),
    "log split": Feature(
        _of_unit("v2", _mean(lambda stage: log(2 * float(stage.split or 0.5)))), 0.0, 0.05, "Ma 2018 tries 1/2 alone"
    ),
    "hard swish": Feature(
        lambda architecture, macs: float(architecture.activation == "hardswish"),
        0.02,
        0.03,
        "Howard 2019, sec. 5.2",
        (0, 1),
    ),
    "residual": Feature(lambda architecture, macs: float(architecture.residual), 0.0, 0.03, "Ma 2018: if deep", (0, 1)),
    "pre-depthwise": Feature(
        lambda architecture, macs: float(architecture.pre_depthwise), 0.02, 0.03, "Ma 2018, V2*", (0, 1)
    ),
    "xception": Feature(
        _mean(lambda stage: float(stage.xception)),
        0.0,
        0.05,
        "Guo 2019: in 4 of 20 units, beside other blocks",
        (0, 0.2),
    ),
    "log bottleneck, v1": Feature(
        lambda architecture, macs: log(architecture.bottleneck / BOTTLENECK), 0.0, 0.05, "Zhang 2017 tries 1/4 alone"
    ),
}
"""Name -> feature. V2 1.0x stands near 0 in each, so that what a network lacks changes nothing.

Depth counts units, as the papers' tables do, also where a unit's main branch is three depthwise-separable
convolutions: what that is worth is a feature of its own. The stem's width is none: where it differed so far, FLOPs did.
"""


@dataclass(frozen=True, slots=True)
class Label:
    """A fully trained network: its accuracy in [0, 1] and the data and recipe that it was trained on, by some name."""

    architecture: Architecture
    accuracy: float
    data: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """Log-odds of accuracy, above the level of the data, and their standard deviation."""

    log_odds: float
    deviation: float


@dataclass(frozen=True, slots=True)
class AccuracyPrior:
    """Weights of `FEATURES` and their covariance, with the range of each feature that is known of."""

    weights: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]

    def predict(self, architecture: Architecture, macs: int | None = None) -> Estimate:
        """How far above its data's level the network is expected; `macs` are those at 224 pixels and 1000 classes.

        Outside the range that is known of, a weight is known no better than it was before the fit: the deviation grows
        by that doubt, and the prediction is lower by it, for nobody has seen such a network do well. Of a feature whose
        weight is bounded from below, such as FLOPs, more never lowers a prediction, so it lowers none there either.
        """
        x = np.array(features_of(architecture, reference_macs(architecture) if macs is None else macs))
        beyond = np.maximum(0, np.maximum(x - self.highest, np.array(self.lowest) - x))
        doubts = beyond * [feature.deviation for feature in FEATURES.values()]
        variance = float(x @ np.array(self.covariance) @ x + doubts @ doubts) + UNEXPLAINED**2
        lowering = doubts[[feature.least == -inf for feature in FEATURES.values()]]
        return Estimate(float(x @ np.array(self.weights)) - sqrt(float(lowering @ lowering)), sqrt(variance))

    def to_dict(self) -> dict[str, Any]:
        """The prior as plain JSON."""
        return {
            "features": list(FEATURES),
            "weights": list(self.weights),
            "covariance": [list(row) for row in self.covariance],
            "lowest": list(self.lowest),
            "highest": list(self.highest),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AccuracyPrior:
        """The prior that `to_dict` wrote.

        A feature that came later is known as well as before any fit, for none of what was fitted had it.

        Raises:
            InputError: it has features that are none here.
        """
        names = data["features"]
        if unknown := [name for name in names if name not in FEATURES]:
            raise InputError(f"a prior of accuracy has no feature {unknown[0]!r}: a newer version has written it")
        features, places = list(FEATURES.values()), [list(FEATURES).index(name) for name in names]
        covariance = np.diag([feature.deviation**2 for feature in features])
        covariance[np.ix_(places, places)] = data["covariance"]
        before = {
            "weights": [feature.expected for feature in features],
            "lowest": [feature.known[0] for feature in features],
            "highest": [feature.known[1] for feature in features],
        }
        for key, values in before.items():
            for place, value in zip(places, data[key], strict=True):
                values[place] = value
        tuples = {key: tuple(values) for key, values in before.items()}
        return cls(**tuples, covariance=tuple(map(tuple, covariance.tolist())))


def fit_prior(labels: Sequence[Label]) -> AccuracyPrior:
    """The prior that these trained networks make of what the literature expects; without labels that itself."""
    return _Regression(labels).prior()


def left_out_estimates(labels: Sequence[Label], which: Sequence[int]) -> list[Estimate]:
    """For each of these places among the labels what a prior that was not fitted to it predicts."""
    regression = _Regression(labels)
    return [regression.prior({place}).predict(labels[place].architecture) for place in which]


def left_out_twice(labels: Sequence[Label], count: int) -> Array:
    """Log-odds of the first labels, shape (count, count): in row i, column j that of j by a prior fitted to neither."""
    regression = _Regression(labels)
    found = np.zeros((count, count))
    for one in range(count):
        for other in range(one, count):
            weights = np.array(regression.prior({one, other}).weights)
            found[one, other] = regression.x[other] @ weights
            found[other, one] = regression.x[one] @ weights
    return found


class _Regression:
    """The weighted least squares that the posterior mean solves: labels, and expectations as further rows."""

    def __init__(self, labels: Sequence[Label]) -> None:
        rows = [features_of(each.architecture, reference_macs(each.architecture)) for each in labels]
        self.x = np.array(rows).reshape(len(labels), len(FEATURES))
        self._data = np.array([label.data for label in labels])
        self._y = np.array([log_odds(label.accuracy) for label in labels])

    def prior(self, without: Collection[int] = ()) -> AccuracyPrior:
        """Its solution without these labels: weights within their bounds, the covariance as if there were none."""
        kept = [place for place in range(len(self._y)) if place not in without]
        x, y, data = self.x[kept], self._y[kept], self._data[kept]
        levels = (data[:, None] == np.unique(data)).astype(np.float64)
        features = list(FEATURES.values())
        deviations = np.array([ANY_LEVEL] * levels.shape[1] + [feature.deviation for feature in features])
        expected = np.array([0.0] * levels.shape[1] + [feature.expected for feature in features])
        rows = np.vstack([np.hstack([levels, x]) / UNEXPLAINED, np.diag(1 / deviations)])
        targets = np.concatenate([y / UNEXPLAINED, expected / deviations])
        least = np.array([-inf] * levels.shape[1] + [feature.least for feature in features])
        weights = lsq_linear(rows, targets, (least, np.full(len(least), inf))).x
        covariance = np.linalg.inv(rows.T @ rows)
        own = slice(levels.shape[1], None)
        seen = np.vstack([x, np.array([feature.known for feature in features]).T])
        return AccuracyPrior(
            weights=tuple(weights[own].tolist()),
            covariance=tuple(map(tuple, covariance[own, own].tolist())),
            lowest=tuple(seen.min(axis=0).tolist()),
            highest=tuple(seen.max(axis=0).tolist()),
        )


def features_of(architecture: Architecture, macs: int) -> tuple[float, ...]:
    """The values of `FEATURES`."""
    return tuple(feature.of(architecture, macs) for feature in FEATURES.values())


def reference_macs(architecture: Architecture) -> int:
    """Its FLOPs at 224 pixels, or at its own resolution, and 1000 classes."""
    return cost_of(architecture, RESOLUTION, CLASSES).macs


def as_of_papers(architecture: Architecture, resolution: int) -> Architecture:
    """The architecture of a task at `resolution` as one of the papers': its own is the same share of 224 pixels."""
    if architecture.resolution is None or resolution == RESOLUTION:
        return architecture
    share = architecture.resolution / resolution
    return replace(architecture, resolution=max(int(RESOLUTIONS.least), round(share * RESOLUTION)))


SMALLEST_ODDS = 0.001
"""Log-odds of 0 and 1 are infinite: an accuracy counts as at least this, and as this far from 1."""


def log_odds(accuracy: float) -> float:
    """The log-odds of an accuracy in [0, 1]."""
    share = min(max(accuracy, SMALLEST_ODDS), 1 - SMALLEST_ODDS)
    return log(share / (1 - share))
