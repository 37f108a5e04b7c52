"""How well scores rank: rank correlations with bootstrap intervals, and what picking by a score costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
CONFIDENCE = 0.9
UNKNOWN = "-"

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its bootstrap interval (percentiles, over architectures, of level `CONFIDENCE`).

    All three are nan where there is no order to correlate, as with a score that is the same for every architecture.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return UNKNOWN if isnan(self.value) else f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def estimate(self) -> str:
        """The estimate alone, as text."""
        return UNKNOWN if isnan(self.value) else f"{self.value:.2f}"

    @property
    def order(self) -> float:
        """What to sort by: the estimate, below all others where there is none."""
        return -np.inf if isnan(self.value) else self.value

    def to_dict(self) -> dict[str, float | None]:
        """The interval as plain JSON, which has no nan: null stands for it."""
        return {name: None if isnan(value) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, float | None]) -> Interval:
        """The interval that `to_dict` wrote."""
        return cls(**{name: nan if value is None else value for name, value in data.items()})


@dataclass(frozen=True, slots=True)
class Ranking:
    """How a score ranks `architectures` against full trainings, each correlation the mean over the trainings' seeds.

    `regret` is what picking by the score loses: the best mean accuracy in [0, 1] minus that of the score's pick; where
    the score has several picks, their mean.
    """

    architectures: int
    tau: Interval
    spearman: Interval
    regret: float

    def to_dict(self) -> dict[str, Any]:
        """The ranking as plain JSON."""
        return {**asdict(self), "tau": self.tau.to_dict(), "spearman": self.spearman.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Ranking:
        """The ranking that `to_dict` wrote."""
        intervals = {name: Interval.from_dict(data[name]) for name in ("tau", "spearman")}
        return cls(data["architectures"], **intervals, regret=data["regret"])


def ranking_of(scores: Sequence[float], accuracies: Sequence[Sequence[float]], seed: int = 0) -> Ranking:
    """How `scores` rank against `accuracies`: for each seed of full training one row, in the scores' order.

    Correlated with each seed's accuracies by itself, so that it can be held against `ceiling_of`.
    """
    x, ys = np.asarray(scores, float), np.asarray(accuracies, float)
    means = ys.mean(axis=0)
    counts = _resamples(len(x), seed)
    return Ranking(
        len(x),
        _interval(_taus(x, ys, counts)),
        _interval(_spearmans(x, ys, counts)),
        float(means.max() - means[x == x.max()].mean()),
    )


def ceiling_of(accuracies: Sequence[Sequence[float]], seed: int = 0) -> Interval | None:
    """Kendall tau of full trainings of one seed against those of another: no score can be asked for more.

    The mean over all pairs of seeds; None where there is but one seed.
    """
    ys = np.asarray(accuracies, float)
    if len(ys) < 2:
        return None
    counts = _resamples(ys.shape[1], seed)
    pairs = [_taus(ys[a], ys[b : b + 1], counts) for a, b in combinations(range(len(ys)), 2)]
    return _interval(np.mean(pairs, axis=0))


def advantage_of(
    scores: Sequence[float], other: Sequence[float], accuracies: Sequence[Sequence[float]], seed: int = 0
) -> Interval:
    """How much higher the tau of `scores` is than that of `other`, on the same architectures."""
    x, z, ys = (np.asarray(values, float) for values in (scores, other, accuracies))
    counts = _resamples(len(x), seed)
    return _interval(_taus(x, ys, counts) - _taus(z, ys, counts))


def _resamples(count: int, seed: int) -> Array:
    """How often each architecture is in a sample, (1 + RESAMPLES, count): once in the first, then by chance."""
    drawn = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    places = drawn + count * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(places.ravel(), minlength=RESAMPLES * count).reshape(RESAMPLES, count)
    return np.concatenate([np.ones((1, count)), counts])


def _interval(values: Array) -> Interval:
    """The first value, with the percentiles of the others; a resample without any order to find counts for nothing."""
    others = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or not len(others):
        return Interval(nan, nan, nan)
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(others, [tail, 100 - tail])
    return Interval(float(values[0]), float(low), float(high))


def _taus(x: Array, ys: Array, counts: Array) -> Array:
    """Kendall's tau-b of x with each row of ys, on average, in each sample of `counts`.

    By the signs of all pairs, which are the same in every sample: a thousand times as fast as scipy's on each.
    """

    def sums(of_pairs: Array) -> Array:
        return np.asarray(((counts @ of_pairs) * counts).sum(axis=1))

    of_x = np.sign(x[:, None] - x)
    taus = []
    for y in ys:
        of_y = np.sign(y[:, None] - y)
        with np.errstate(invalid="ignore"):
            taus.append(sums(of_x * of_y) / np.sqrt(sums(of_x**2) * sums(of_y**2)))
    return np.asarray(np.mean(taus, axis=0))


def _spearmans(x: Array, ys: Array, counts: Array) -> Array:
    """Spearman's rho of x with each row of ys, on average, in each sample of `counts`."""

    def ranks(values: Array) -> Array:
        before = (values[:, None] < values) + 0.5 * (values[:, None] == values)
        return np.asarray(counts @ before - len(values) / 2)

    of_x = ranks(x)
    rhos = []
    for of_y in map(ranks, ys):
        with np.errstate(invalid="ignore"):
            products = (counts * of_x * of_y).sum(axis=1)
            rhos.append(products / np.sqrt((counts * of_x**2).sum(axis=1) * (counts * of_y**2).sum(axis=1)))
    return np.asarray(np.mean(rhos, axis=0))
