"""Expected hypervolume improvement where all objectives but one are known in advance: exact, in any number of them.

The known objectives cut the space below the reference point into cells. Over each cell the front so far reaches some
level of the modelled objective; a point adds, over every cell that it dominates, what it lies below that level. With a
normal prediction the expectation of that is the expected improvement of Jones et al. 1998, cell by cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Array = NDArray[np.float64]


def expected_improvement(
    known: Array, mean: Array, deviation: Array, front_known: Array, front_values: Array, reference: Sequence[float]
) -> Array:
    """By how much each point is expected to enlarge the hypervolume, shape (n,); all objectives are minimised.

    Args:
        known: the points' known objectives, shape (n, k); k may be 0.
        mean, deviation: their predicted objective, shape (n,); a deviation of 0 is a certain prediction.
        front_known, front_values: those of the points so far, shapes (m, k) and (m,).
        reference: the reference point: k known objectives, then the predicted one.
    """
    *known_reference, value_reference = reference
    edges = [_edges(front_known[:, axis], bound) for axis, bound in enumerate(known_reference)]
    levels = _levels(front_known, front_values, edges, value_reference)
    # How much of each cell a point dominates, axis by axis: the product of the axes' lengths.
    lengths = [
        np.clip(upper[None] - np.maximum(lower[None], known[:, axis, None]), 0, None)
        for axis, (lower, upper) in enumerate((edge[:-1], edge[1:]) for edge in edges)
    ]
    overlap = reduce(_outer, lengths, np.ones((len(known), 1)))
    return np.asarray((overlap * _below(levels.ravel()[None], mean[:, None], deviation[:, None])).sum(axis=1))


def hypervolume(known: Array, values: Array, reference: Sequence[float]) -> float:
    """The volume that the points dominate below the reference point; shapes as `expected_improvement`."""
    nothing = np.zeros((0, known.shape[1]))
    total, front, reached = 0.0, nothing, np.zeros(0)
    for point, value in zip(known, values, strict=True):
        gain = expected_improvement(point[None], value[None], np.zeros(1), front, reached, reference)
        if gain[0] > 0:
            total += float(gain[0])
            front, reached = np.vstack([front, point]), np.append(reached, value)
    return total


def _edges(values: Array, bound: float) -> Array:
    inside = np.unique(values[values < bound])
    return np.concatenate([[-np.inf], inside, [bound]])


def _levels(front_known: Array, front_values: Array, edges: Sequence[Array], bound: float) -> Array:
    """The least value that the front reaches in each cell, the bound at most; one axis for each known objective."""
    levels = np.full([len(edge) - 1 for edge in edges], bound)
    for point, value in zip(front_known, front_values, strict=True):
        dominated = tuple(slice(int(np.searchsorted(edge[:-1], x)), None) for edge, x in zip(edges, point, strict=True))
        levels[dominated] = np.minimum(levels[dominated], value)
    return levels


def _outer(left: Array, right: Array) -> Array:
    return (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)


def _below(level: Array, mean: Array, deviation: Array) -> Array:
    """The expectation of max(0, level - value) for a normal value."""
    gap = level - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(deviation > 0, gap / deviation, 0)
    return np.where(deviation > 0, gap * norm.cdf(z) + deviation * norm.pdf(z), np.maximum(gap, 0))
