"""A regression over all records: what an architecture's choices say of its score, learnt from all the others too.

One training is noisy; what many networks with the same choices have in common is less so. It takes out noise, not bias.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from search_space.architecture import UNITS, Architecture
from studies.calibration.accuracy_prior import RESOLUTION

Network = tuple[Architecture, int, int]
"""An architecture with its multiply-adds and its parameters."""


def pooled(networks: Sequence[Network], scores: Sequence[float]) -> list[float]:
    """For each network what a Gaussian process over all of them expects its score to be, noise left out."""
    # Imported here, for it takes longer than all else that a command's --help waits for.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

    x, y = features(networks), np.asarray(scores, float)
    spread = y.std()
    if not x.shape[1] or spread <= 1e-12 * np.abs(y).max():
        return [float(each) for each in y]
    # Two networks are sqrt(2 features) apart; a kernel that reached less far would take noise for a network's own.
    reach = sqrt(x.shape[1])
    kernel = (
        ConstantKernel(1.0, (1e-3, 1e2)) * RBF(2 * reach, (reach, 10 * reach))
        + ConstantKernel(0.1, (1e-4, 1e2)) * DotProduct(1.0, "fixed")
        + WhiteKernel(0.3, (1e-2, 2.0))
    )
    process = GaussianProcessRegressor(kernel, random_state=0, n_restarts_optimizer=1)
    with warnings.catch_warnings():
        # It warns of a parameter that ends at its bound, which is an answer too: no noise, or no bend.
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = process.fit(x, (y - y.mean()) / spread).predict(x)
    return [float(each) for each in y.mean() + spread * expected]


def features(networks: Sequence[Network]) -> NDArray[np.float64]:
    """One row a network, standardised: its choices (kinds as 0 and 1, sizes as logarithms), log FLOPs, log params."""
    rows = np.array([_row(*network) for network in networks])
    scales = rows.std(axis=0)
    varies = scales > 1e-9
    standard: NDArray[np.float64] = (rows[:, varies] - rows[:, varies].mean(axis=0)) / scales[varies]
    return standard


def _row(architecture: Architecture, macs: int, params: int) -> list[float]:
    row = [log(macs), log(params), log(1 + architecture.head), float(architecture.activation == "relu")]
    row += [float(architecture.unit == unit) for unit in UNITS[1:]]
    row += [log(architecture.stem), log(architecture.bottleneck), log(architecture.pixels(RESOLUTION))]
    row += [float(has) for has in (architecture.shuffle, architecture.residual, architecture.pre_depthwise)]
    for stage in architecture.stages:
        split = float(stage.split) if stage.split is not None else 0.0
        row += [log(stage.depth), log(stage.width), log(stage.groups), split, float(stage.kernel)]
        row += [float(stage.se), float(stage.xception)]
    return row
