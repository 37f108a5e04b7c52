"""Regressions of an expensive objective on what is known of a point: ridge, Gaussian process, trees; the best of them.

Each says how far it is off on points that it did not see, so that the three can be compared: ridge and Gaussian process
in closed form (Rasmussen & Williams 2006, sec. 5.4.2), trees out of bag (Breiman 2001).

The Gaussian process is ours, since it is fitted anew for every proposal: scikit-learn's with the same kernel takes 5.9,
3.5 and 32 times as long for 50, 150 and 400 points, and is as far off (`python tests/benchmarks/gaussian_process.py`,
medians of five rounds in turn on one core).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

Array = NDArray[np.float64]

RIDGES = np.logspace(-3, 3, 25)
HYPERPARAMETER_POINTS = 100
"""A Gaussian process's length scales are fitted to so many points at most: enough for few numbers, and quick."""
MOST_POINTS = 600
"""Of more points than this a Gaussian process is too slow, and the other two serve."""
TREES = 100
CHOICE_EVERY = 10
LEAST_SPREAD = 1e-9
"""A feature that varies by less is the same in all points: that of ten times 0.1 is 1.4e-17, for rounding."""
_JITTER = 1e-8


class Surrogate(Protocol):
    """A regression fitted to points; `error` is its root mean squared error on points that it was not fitted to."""

    error: float

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of what a measurement of each point would average to; shapes (n,)."""
        ...


class Constant:
    """The same for all points, with no more doubt than is had of them elsewhere: for too few points to fit to."""

    error = 0.0

    def __init__(self, value: float) -> None:
        self._value = value

    def predict(self, points: Array) -> tuple[Array, Array]:
        """As `Surrogate.predict`."""
        return np.full(len(points), self._value), np.zeros(len(points))


class Ridge:
    """Linear in the features; how much its weights are shrunk is what predicts best on left-out points."""

    def __init__(self, points: Array, values: Array, seed: int = 0) -> None:
        self._centre, self._mean = points.mean(axis=0), float(values.mean())
        centred = points - self._centre
        left, scales, right = np.linalg.svd(centred, full_matrices=False)
        projected = left.T @ (values - self._mean)
        best: tuple[float, float] | None = None
        for ridge in RIDGES:
            shrink = scales**2 / (scales**2 + ridge)
            leverage = np.minimum(1 / len(values) + (left**2) @ shrink, 1 - 1e-9)
            left_out = (values - self._mean - left @ (shrink * projected)) / (1 - leverage)
            error = float(np.sqrt(np.mean(left_out**2)))
            if best is None or error < best[0]:
                best = error, float(ridge)
        assert best is not None
        self.error, ridge = best
        self._weights = right.T @ (scales / (scales**2 + ridge) * projected)
        self._right, self._shares = right, 1 / (scales**2 + ridge)
        self._rest = 1 / ridge

    def predict(self, points: Array) -> tuple[Array, Array]:
        """As `Surrogate.predict`."""
        centred = points - self._centre
        along = centred @ self._right.T
        beside = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0)
        share = (along**2) @ self._shares + beside * self._rest
        return self._mean + centred @ self._weights, self.error * np.sqrt(np.minimum(share, 1.0))


class GaussianProcess:
    """A linear and a squared-exponential part and noise; their sizes and the length scale by marginal likelihood."""

    def __init__(self, points: Array, values: Array, seed: int = 0) -> None:
        self._points = points
        self._mean, self._scale = float(values.mean()), float(values.std()) or 1.0
        scaled = (values - self._mean) / self._scale
        few = np.unique(np.linspace(0, len(points) - 1, min(len(points), HYPERPARAMETER_POINTS)).astype(int))
        self._sizes = _fitted_sizes(points[few], scaled[few])
        kernel = _kernel(points, points, self._sizes) + _noise(self._sizes) * np.eye(len(points))
        self._factor = cho_factor(kernel, lower=True)
        self._weights = cho_solve(self._factor, scaled)
        inverse = cho_solve(self._factor, np.eye(len(points)))
        self.error = self._scale * float(np.sqrt(np.mean((self._weights / np.diag(inverse)) ** 2)))

    def predict(self, points: Array) -> tuple[Array, Array]:
        """As `Surrogate.predict`."""
        cross = _kernel(points, self._points, self._sizes)
        linear, bent, _, _ = np.exp(self._sizes)
        prior = linear * (points**2).sum(axis=1) / points.shape[1] + bent
        explained = np.einsum("ij,ji->i", cross, cho_solve(self._factor, cross.T))
        variance = np.maximum(prior - explained, _JITTER)
        return self._mean + self._scale * (cross @ self._weights), self._scale * np.sqrt(variance)


def _kernel(left: Array, right: Array, sizes: Array) -> Array:
    linear, bent, length, _ = np.exp(sizes)
    dots = left @ right.T
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * dots
    count = left.shape[1]
    result: Array = linear * dots / count + bent * np.exp(-np.maximum(squares, 0) / (2 * count * length**2))
    return result


def _noise(sizes: Array) -> float:
    return float(np.exp(sizes[3])) + _JITTER


def _fitted_sizes(points: Array, values: Array) -> Array:
    """The logarithms of linear size, bent size, length scale and noise that make the values likeliest."""
    count, dimensions = points.shape
    dots = points @ points.T / dimensions
    squares = np.maximum((points**2).sum(axis=1)[:, None] + (points**2).sum(axis=1)[None] - 2 * points @ points.T, 0)
    squares /= dimensions

    def loss(sizes: Array) -> tuple[float, Array]:
        linear, bent, length, noise = np.exp(sizes)
        shape = np.exp(-squares / (2 * length**2))
        kernel = linear * dots + bent * shape + (noise + _JITTER) * np.eye(count)
        factor = cho_factor(kernel, lower=True)
        weights = cho_solve(factor, values)
        inverse = cho_solve(factor, np.eye(count))
        outer = np.outer(weights, weights) - inverse
        slopes = (linear * dots, bent * shape, bent * shape * squares / length**2, noise * np.eye(count))
        value = 0.5 * values @ weights + np.log(np.diag(factor[0])).sum()
        # A weak pull to plain sizes keeps few points from saying more than they know.
        pull = sizes - START
        gradient = np.array([-0.5 * np.sum(outer * slope) for slope in slopes]) + pull / PULL**2
        return float(value + 0.5 * np.sum((pull / PULL) ** 2)), gradient

    found = minimize(loss, START, jac=True, method="L-BFGS-B", bounds=BOUNDS, options={"maxiter": 40})
    result: Array = found.x
    return result


START = np.log(np.array([0.5, 0.5, 1.0, 0.1]))
PULL = 2.0
BOUNDS = [
    (np.log(1e-4), np.log(1e2)),
    (np.log(1e-4), np.log(1e2)),
    (np.log(0.05), np.log(20)),
    (np.log(1e-5), np.log(2)),
]


class Trees:
    """The mean of extremely randomised trees (Geurts 2006), grown on bootstrap samples."""

    def __init__(self, points: Array, values: Array, seed: int = 0) -> None:
        from sklearn.ensemble import ExtraTreesRegressor  # slow to import, and --help needs none

        self._forest: Any = ExtraTreesRegressor(
            TREES, bootstrap=True, oob_score=True, max_features=0.5, min_samples_leaf=2, random_state=seed
        )
        self._forest.fit(points, values)
        self.error = float(np.sqrt(np.mean((self._forest.oob_prediction_ - values) ** 2)))

    def predict(self, points: Array) -> tuple[Array, Array]:
        """As `Surrogate.predict`."""
        each = np.stack([tree.predict(points) for tree in self._forest.estimators_])
        return each.mean(axis=0), each.std(axis=0)


SURROGATES: dict[str, Callable[[Array, Array, int], Surrogate]] = {
    "ridge": Ridge,
    "gp": GaussianProcess,
    "trees": Trees,
}


class Scaled:
    """A surrogate of points whose features were brought to mean 0 and spread 1; `name` says which one."""

    def __init__(self, name: str, points: Array, values: Array, seed: int) -> None:
        spread = points.std(axis=0)
        self.name = name
        self._centre, self._spread = points.mean(axis=0), np.where(spread > LEAST_SPREAD, spread, 1.0)
        self._surrogate = SURROGATES[name]((points - self._centre) / self._spread, values, seed)
        self.error = self._surrogate.error

    def predict(self, points: Array) -> tuple[Array, Array]:
        """As `Surrogate.predict`."""
        return self._surrogate.predict((points - self._centre) / self._spread)


def best_surrogate(points: Array, values: Array, seed: int) -> Scaled:
    """The surrogate of these points, shape (n, features), and values, shape (n,), that is least off on unseen ones.

    Which one that is was decided when the points were last a multiple of `CHOICE_EVERY`: it seldom changes.
    """
    count = max(len(points) - len(points) % CHOICE_EVERY, min(len(points), CHOICE_EVERY))
    return Scaled(_least_off(points[:count].tobytes(), values[:count].tobytes(), count, seed), points, values, seed)


@lru_cache(maxsize=8)
def _least_off(points: bytes, values: bytes, count: int, seed: int) -> str:
    """The name of the surrogate that is least off; asked for every proposal, so the answer is kept."""
    matrix, target = np.frombuffer(points).reshape(count, -1), np.frombuffer(values)
    names = [name for name in SURROGATES if name != "gp" or count <= MOST_POINTS]
    return min(names, key=lambda name: Scaled(name, matrix, target, seed).error)
