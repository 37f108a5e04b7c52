"""How accuracies were predicted before there was a prior: read, so that studies of that time open and go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, log10
from typing import Any

import numpy as np
from scipy.special import expit

from search_space.architecture import Architecture
from search_space.cost import cost_of
from studies.calibration.accuracy_fit import last_epochs
from studies.facts import TrainingFacts


@dataclass(frozen=True, slots=True)
class FourFeatureFit:
    """Log-odds linear in three losses of the short training, as shares of ln(classes), and the logarithm of FLOPs.

    FLOPs are those at `resolution` and `classes`.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    intercept: float
    error: float
    resolution: int
    classes: int
    is_level_known: bool = True

    def predict(self, architecture: Architecture, training: TrainingFacts) -> float:
        """The accuracy, in [0, 1], as the study's others were predicted."""
        chance, losses = log(training.num_classes), training.training_losses
        last = losses[-last_epochs(len(losses)) :]
        macs = cost_of(architecture, self.resolution, self.classes).macs
        means = sum(losses) / len(losses), sum(last) / len(last), training.loss
        features = [*(mean / chance for mean in means), log10(macs)]
        standard = (np.array(features) - self.means) / self.scales
        return float(expit(self.intercept + standard @ np.array(self.weights)))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], resolution: int, classes: int) -> FourFeatureFit:
        """The fit as a study kept it."""
        weights, means, scales = (tuple(data[name]) for name in ("weights", "means", "scales"))
        return cls(weights, means, scales, data["intercept"], data["error"], resolution, classes)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        names = ("weights", "means", "scales", "intercept", "error")
        return {name: getattr(self, name) for name in names}
