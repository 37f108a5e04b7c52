"""Is the surrogate's Gaussian process worth having beside scikit-learn's?

    python tests/benchmarks/gaussian_process.py --rounds 5

fits both to random points of the default space, whose value is the accuracy prior's log-odds with noise, and predicts
2,000 other points, as a proposal does. The kernel is the same: linear, squared exponential and noise. They take turns
in one process; the ratio is that of the medians of fit and prediction together, the error the root mean squared one on
the other points.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from nas.search.known_ahead import distributions_of
from search_space import Budget, SearchSpace
from search_space.choosers import RandomChooser
from studies.calibration.accuracy_prior import fit_prior
from studies.sampling.encoding import matrix_of
from studies.sampling.regressions import GaussianProcess

Array = NDArray[np.float64]
Predict = Callable[[Array], Any]
UNSEEN = 2000
NOISE = 0.05


def points_of(count: int) -> tuple[Array, Array]:
    """Points of the space, brought to mean 0 and spread 1, and their values without noise."""
    space, prior = SearchSpace.default(Budget.parse("140mflops")), fit_prior([])
    choosers = [RandomChooser(number) for number in range(count)]
    found = [space.suggest(chooser) for chooser in choosers]
    points = matrix_of([chooser.params for chooser in choosers], distributions_of(space))
    spread = points.std(axis=0)
    values = np.array([prior.predict(each).log_odds for each in found])
    return (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0), values


def ours(points: Array, values: Array) -> Predict:
    """Our process, fitted."""
    return GaussianProcess(points, values).predict


def theirs(points: Array, values: Array) -> Predict:
    """Scikit-learn's with the same kernel, fitted: one start, as ours."""
    size = float(np.sqrt(points.shape[1]))
    kernel = ConstantKernel(0.5) * DotProduct(0.0, "fixed") + ConstantKernel(0.5) * RBF(size) + WhiteKernel(0.1)
    process = GaussianProcessRegressor(kernel, normalize_y=True).fit(points, values)
    return lambda unseen: process.predict(unseen, return_std=True)


def main() -> int:
    """Prints a line for each number of points."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    warnings.simplefilter("ignore")  # a size at its bound is no matter
    for count in (50, 150, 400):
        points, values = points_of(count + UNSEEN)
        seen, unseen = points[:count], points[count:]
        noisy = values[:count] + NOISE * np.random.default_rng(0).standard_normal(count)
        seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
        errors: dict[str, float] = {}
        for _ in range(rounds):
            for name, fit in (("ours", ours), ("theirs", theirs)):
                started = time.perf_counter()
                mean, _ = fit(seen, noisy)(unseen)
                seconds[name].append(time.perf_counter() - started)
                errors[name] = float(np.sqrt(np.mean((mean - values[count:]) ** 2)))
        mine, other = (statistics.median(each) for each in seconds.values())
        print(
            f"{count} points: {1000 * mine:.0f} ms, scikit-learn {1000 * other:.0f} ms, {other / mine:.1f} times as "
            f"long; error {errors['ours']:.4f} and {errors['theirs']:.4f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
