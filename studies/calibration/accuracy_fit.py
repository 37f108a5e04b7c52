"""Fully trained accuracy predicted from an architecture and its short training, with how far that may be off.

The prior (`accuracy_prior`) says what to expect of the architecture; the short training corrects it by its losses. A
short training alone under-rates large and deep networks, and more seeds of it do not help; the prior alone knows
nothing of what is peculiar to a network. Together they rank best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import expit

from search_space.architecture import Architecture
from studies.calibration.accuracy_prior import (
    RESOLUTION,
    UNEXPLAINED,
    AccuracyPrior,
    Estimate,
    Label,
    as_of_papers,
    fit_prior,
    left_out_twice,
    log_odds,
)
from studies.facts import TrainingFacts

Array = NDArray[np.float64]
LAST_SHARE = 0.25
LEAST_LOSS = 1e-6
"""A loss below this is rounding: of images that tell their classes by one pixel it can be 0."""


@dataclass(frozen=True, slots=True)
class Example:
    """A network trained both ways: its short training, and its full accuracies by seed.

    `data` names the images and the recipe of the full trainings: accuracies of two names are never compared.
    """

    architecture: Architecture
    training: TrainingFacts
    accuracies: tuple[float, ...]
    data: str

    @property
    def label(self) -> Label:
        """What it says to the prior."""
        return Label(self.architecture, float(np.mean(self.accuracies)), self.data)


@dataclass(frozen=True, slots=True)
class KnownTrainings:
    """Full trainings that are known before a user's own: with a short one, by its recipe, and without."""

    examples: Mapping[str, Sequence[Example]] = field(default_factory=dict, hash=False)
    labels: Sequence[Label] = ()


NOTHING_KNOWN = KnownTrainings()


@dataclass(frozen=True, slots=True)
class AccuracyFit:
    """A prediction of fully trained accuracy, in [0, 1], from an architecture and its short training.

    Log-odds are `level` + `of_prior` x the prior + `of_progress` x (`progress_of` the training - `usual_progress`).
    Both weights are 0 or more: more FLOPs at equal losses never lower it, nor does a lower loss. `deviation` is the
    root mean square of the errors in log-odds on networks left out of the fit; `level` is that of the data, and nominal
    where it is not `is_level_known`: then differences alone mean something. `networks` were fitted to, of accuracies
    from `low` to `high`; `source` says which. `resolution` is that of the task whose networks are predicted.
    """

    prior: AccuracyPrior
    of_prior: float
    of_progress: float
    usual_progress: float
    deviation: float
    level: float
    is_level_known: bool
    networks: int
    low: float
    high: float
    source: str = ""
    resolution: int = RESOLUTION

    @property
    def error(self) -> float:
        """How far predictions are off at the data's level, in [0, 1]: one standard deviation."""
        return self.as_error(Estimate(0.0, self.deviation))

    def expect(self, architecture: Architecture, macs: int | None = None) -> Estimate:
        """What the architecture alone lets expect; `macs` are those at 224 pixels and 1000 classes."""
        return self.prior.predict(as_of_papers(architecture, self.resolution), macs)

    def score(self, architecture: Architecture, training: TrainingFacts) -> Estimate:
        """The prior corrected by the short training, in log-odds above the level."""
        expected = self.expect(architecture)
        corrected = self.of_prior * expected.log_odds + self.of_progress * (progress_of(training) - self.usual_progress)
        unfamiliar = max(0.0, expected.deviation**2 - UNEXPLAINED**2)
        return Estimate(corrected, sqrt(self.deviation**2 + self.of_prior**2 * unfamiliar))

    def as_accuracy(self, estimate: Estimate) -> float:
        """The accuracy in [0, 1] that an estimate means at the data's level."""
        return float(expit(self.level + estimate.log_odds))

    def as_error(self, estimate: Estimate) -> float:
        """The standard deviation of that accuracy."""
        accuracy = self.as_accuracy(estimate)
        return accuracy * (1 - accuracy) * estimate.deviation

    def predict(self, architecture: Architecture, training: TrainingFacts) -> float:
        """The accuracy, in [0, 1], that the network would reach when it is fully trained."""
        return self.as_accuracy(self.score(architecture, training))

    def at_level(self, examples: Sequence[Example]) -> AccuracyFit:
        """The fit for the data that these networks were fully trained on; itself where there are none."""
        if not examples:
            return self
        above = [log_odds(e.label.accuracy) - self.score(e.architecture, e.training).log_odds for e in examples]
        return replace(self, level=float(np.mean(above)), is_level_known=True)

    def to_dict(self) -> dict[str, Any]:
        """The fit as plain JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.resolution == RESOLUTION:
            del values["resolution"]
        return {**values, "prior": self.prior.to_dict(), "error": self.error}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AccuracyFit:
        """The fit that `to_dict` wrote."""
        values = {name: data[name] for name in cls.__dataclass_fields__ if name != "resolution"}
        values["resolution"] = data.get("resolution", RESOLUTION)
        return cls(**{**values, "prior": AccuracyPrior.from_dict(data["prior"])})


def progress_of(training: TrainingFacts) -> float:
    """How far a training came: 0 where it still guesses, and the more the lower its losses are.

    Half from the mean training loss (Ru et al. 2021, TSE) without the first epoch's, which says how a network begins
    and not how it learns; half from the last validation loss. Both are shares of ln(classes), what guessing loses.
    """
    chance = log(training.num_classes)
    losses = training.training_losses
    learned = losses[1:] or losses
    mean, last = sum(learned) / len(learned), training.loss
    return -0.5 * (log(max(mean, LEAST_LOSS) / chance) + log(max(last, LEAST_LOSS) / chance))


def last_epochs(epochs: int) -> int:
    """How many epochs count as the last ones."""
    return max(1, round(LAST_SHARE * epochs))


def best_fit(own: Sequence[Example], known: KnownTrainings, recipe: str) -> tuple[AccuracyFit, list[float]]:
    """The fit for the user's own data, and for each of their networks the accuracy by a fit that had not seen it.

    Of the fit to what is known already and the one to that and the user's own networks, the one that predicts these
    better where they are left out of it. The level is that of their data with either.
    """
    before = list(known.examples.get(recipe, ()))
    refitted, left_out = fit_accuracy([*before, *own], known.labels)
    refitted, left_out = (
        replace(refitted, source=f"refitted with {len(own)} networks of these data"),
        left_out[len(before) :],
    )
    if not before:
        return refitted, left_out
    shipped = replace(fit_accuracy(before, known.labels)[0].at_level(own), source="as it ships")
    unseen = [shipped.predict(example.architecture, example.training) for example in own]
    if _distance(unseen, own) < _distance(left_out, own):
        return shipped, unseen
    return refitted, left_out


def _distance(predicted: Sequence[float], examples: Sequence[Example]) -> float:
    """How far predictions are off in log-odds once their mean is right: standard deviation."""
    return float(np.std([log_odds(p) - log_odds(e.label.accuracy) for p, e in zip(predicted, examples, strict=True)]))


def fit_accuracy(examples: Sequence[Example], labels: Sequence[Label] = ()) -> tuple[AccuracyFit, list[float]]:
    """The fit to the examples, and for each example the accuracy predicted by a fit that had not seen it.

    `labels` are full trainings of networks without a short one: they say something of the prior alone. The level is
    that of the last example's data.
    """
    known = [*(example.label for example in examples), *labels]
    twice = left_out_twice(known, len(examples))
    expected = twice.diagonal()
    progress = np.array([progress_of(example.training) for example in examples])
    y = np.array([log_odds(example.label.accuracy) for example in examples])
    data = np.array([example.data for example in examples])
    weights = _weights(expected, progress, y, data)
    left_out = np.array([_left_out(twice[row], progress, y, data, row) for row in range(len(y))])
    errors = left_out - y
    usual = float(np.mean(progress - (1 - weights[0]) / max(weights[1], 1e-9) * expected)) if weights[1] else 0.0
    accuracies = [example.label.accuracy for example in examples]
    fit = AccuracyFit(
        prior=fit_prior(known),
        of_prior=float(weights[0]),
        of_progress=float(weights[1]),
        usual_progress=usual,
        deviation=float(np.sqrt(np.mean(errors**2))),
        level=0.0,
        is_level_known=False,
        networks=len(examples),
        low=min(accuracies),
        high=max(accuracies),
    )
    here = [example for example in examples if example.data == examples[-1].data]
    return fit.at_level(here), expit(left_out).tolist()


def _weights(expected: Array, progress: Array, y: Array, data: NDArray[Any]) -> Array:
    """Least squares with weights of 0 or more; each data set has a level of its own."""
    x = np.stack([_centred(expected, data), _centred(progress, data)], axis=1)
    return np.asarray(nnls(x, _centred(y, data))[0])


def _left_out(expected: Array, progress: Array, y: Array, data: NDArray[Any], row: int) -> float:
    """What a fit to all other rows predicts for this one."""
    others = np.arange(len(y)) != row
    weights = _weights(expected[others], progress[others], y[others], data[others])
    same = others & (data == data[row])
    rest = same if same.any() else others
    beyond = (expected[row] - expected[rest].mean(), progress[row] - progress[rest].mean())
    return float(y[rest].mean() + weights @ beyond)


def _centred(values: Array, data: NDArray[Any]) -> Array:
    """The values less the mean of those of the same data."""
    means = {name: values[data == name].mean() for name in np.unique(data)}
    return np.asarray([value - means[name] for value, name in zip(values, data, strict=True)])
