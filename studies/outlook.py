"""What a study's measured points say of others: their known objectives, and the modelled one with its uncertainty."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from studies.points import Params, matrix_of
from studies.surrogate import Ridge, best_surrogate

Array = NDArray[np.float64]
LEAST = 1e-9
"""Logarithms are taken of this where there is less."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a point before it is evaluated.

    `objectives` are all but the modelled one, in the study's order; None where they have to be learned from what was
    measured. `features` are further numbers that the modelled objective may depend on. Points of one `identity` are
    the same; None stands for the parameters themselves. A point that is not `allowed` is not proposed.
    """

    objectives: tuple[float, ...] | None
    features: tuple[float, ...] = ()
    identity: Hashable | None = None
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Point:
    """Parameters, what is known of them, and what tells them from other points."""

    params: Params
    known: Known
    identity: Hashable


class Outlook:
    """Fitted to measured points: `values` of the modelled objective, shape (n,), and `known` ones, shape (n, k).

    All are to be minimised; `signs` are -1 for those of `Known.objectives` that the study maximises. `ideal` is a value
    that none can fall below, such as an error of 0: then the logarithm of the distance to it is modelled, and
    halving an error is as much among the good as among the bad. Without one, values far beyond the middle are cut.
    """

    def __init__(
        self,
        points: Sequence[Point],
        values: Array,
        known: Array,
        signs: Array,
        space: Mapping[str, BaseDistribution],
        ideal: float | None,
        seed: int,
    ) -> None:
        self._space, self._signs, self._ideal = space, signs, ideal
        self.known = known
        self._learned = self._learn(points, known) if any(point.known.objectives is None for point in points) else ()
        self.surrogate = best_surrogate(self._features(points), self._bent(values), seed)
        self.smoothed, self.deviations = self.predict(points)

    def predict(self, points: Sequence[Point]) -> tuple[Array, Array]:
        """Mean and standard deviation of the modelled objective; shapes (n,)."""
        mean, deviation = self.surrogate.predict(self._features(points))
        if self._ideal is None:
            return mean, deviation
        return self._ideal + np.exp(mean), np.exp(mean) * deviation

    def known_of(self, points: Sequence[Point]) -> Array:
        """The known objectives, or what they are expected to be; shape (n, k)."""
        if not self._learned:
            given = [point.known.objectives or () for point in points]
            return np.array(given, dtype=np.float64).reshape(len(points), -1) * self._signs
        matrix = matrix_of([point.params for point in points], self._space)
        return np.stack([model.predict(matrix)[0] for model in self._learned], axis=1)

    def _bent(self, values: Array) -> Array:
        if self._ideal is None:
            return np.minimum(values, worst_that_matters(values))
        return _logarithms(values - self._ideal)

    def _learn(self, points: Sequence[Point], known: Array) -> tuple[Ridge, ...]:
        matrix = matrix_of([point.params for point in points], self._space)
        return tuple(Ridge(matrix, known[:, axis]) for axis in range(known.shape[1]))

    def _features(self, points: Sequence[Point]) -> Array:
        matrix = matrix_of([point.params for point in points], self._space)
        features = np.array([point.known.features for point in points], dtype=np.float64).reshape(len(points), -1)
        return np.hstack([matrix, _logarithms(self.known_of(points)), features])


def worst_that_matters(values: Array) -> float:
    """What the worst values are cut to: those far beyond the middle would draw a regression away from the front."""
    middle = float(np.median(values))
    return middle + 3 * 1.4826 * float(np.median(np.abs(values - middle)))


def _logarithms(values: Array) -> Array:
    return np.log(np.maximum(np.abs(values), LEAST))
