"""What a study's measured points say of others: their known objectives, and the modelled one with its uncertainty."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution

from search_space.choosers import Params
from studies.sampling.encoding import matrix_of
from studies.sampling.regressions import Constant, Ridge, Surrogate, best_surrogate

Array = NDArray[np.float64]
LEAST = 1e-9
"""Logarithms are taken of this where there is less."""
LEAST_TO_MODEL = 5
"""So many measured points say what others are beyond their mean."""


@dataclass(frozen=True, slots=True)
class KnownObjectives:
    """What is known of a point before it is evaluated.

    `objectives` are all but the modelled one, in the study's order; None where they have to be learned from what was
    measured. `features` are further numbers that the modelled objective may depend on. Points of one `identity` are
    the same; None stands for the parameters themselves. A point that is not `allowed` is not proposed, unless none
    is that could be found; the less of the first objective it has, the nearer it is to that. `expected` is
    what the modelled objective is expected to be before anything is measured, with its standard deviation; None where
    nothing is: all points of a problem have it, or none has. `price` is what its evaluation costs, in any unit.
    """

    objectives: tuple[float, ...] | None
    features: tuple[float, ...] = ()
    identity: Hashable | None = None
    allowed: bool = True
    expected: tuple[float, float] | None = None
    price: float = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """Parameters, what is known of them, and what tells them from other points."""

    params: Params
    known: KnownObjectives
    identity: Hashable


class ObjectiveModel:
    """Fitted to measured points: `values` of the modelled objective, shape (n,), and `known` ones, shape (n, k).

    All are to be minimised; `signs` are -1 for those of `Known.objectives` that the study maximises. `ideal` is a value
    that none can fall below, such as an error of 0: then the logarithm of the distance to it is modelled, and
    halving an error is as much among the good as among the bad. Without one, values far beyond the middle are cut.
    `sign` is -1 where the study maximises the modelled objective. Where points have `Known.expected`, what the measured
    values say beyond it is modelled; until there are `LEAST_TO_MODEL` of them, that is their mean alone.
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
        sign: float = 1.0,
    ) -> None:
        self._space, self._signs, self._ideal, self._sign = space, signs, ideal, sign
        self.known = known
        self._learned = self._learn(points, known) if any(point.known.objectives is None for point in points) else ()
        self.surrogate = self._fitted(points, values, seed)
        self.smoothed, self.deviations = self.predict(points)

    def predict(self, points: Sequence[Point]) -> tuple[Array, Array]:
        """Mean and standard deviation of the modelled objective; shapes (n,)."""
        if not points:
            return np.zeros(0), np.zeros(0)
        mean, deviation = self.surrogate.predict(self._features(points))
        if (expected := self._expected(points)) is not None:
            mean, deviation = mean + expected[0], self._doubt(deviation, expected[1])
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

    def _fitted(self, points: Sequence[Point], values: Array, seed: int) -> Surrogate:
        expected = self._expected(points)
        if expected is None:
            return best_surrogate(self._features(points), self._bent(values), seed) if points else Constant(0.0)
        beyond = self._bent(values) - expected[0]
        if len(points) < LEAST_TO_MODEL:
            return Constant(float(beyond.mean()))
        return best_surrogate(self._features(points), beyond, seed)

    def _expected(self, points: Sequence[Point]) -> tuple[Array, Array] | None:
        """What was expected of the points, as the regression has it, and its standard deviation; shapes (n,)."""
        expected = [point.known.expected for point in points if point.known.expected is not None]
        if len(expected) < len(points) or not points:
            return None
        values, deviations = np.array(expected).T
        values = self._sign * values
        if self._ideal is None:
            return values, deviations
        return _logarithms(values - self._ideal), deviations / np.maximum(values - self._ideal, LEAST)

    def _doubt(self, fitted: Array, expected: Array) -> Array:
        """A prediction's standard deviation: that of the expectation, and no more than that once a fit does better."""
        return expected if isinstance(self.surrogate, Constant) else np.minimum(fitted, expected)

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
