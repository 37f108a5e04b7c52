"""Points of any Optuna search space: drawn, mutated, and as the numbers that a regression is fitted to."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_space.choosers import Params

Array = NDArray[np.float64]
Space = Mapping[str, BaseDistribution]

MOST_LEVELS = 8
"""A number with at most so many values is given to a regression value by value too, for it may act like a category."""


def identity_of(params: Params) -> Hashable:
    """What tells two points apart."""
    return tuple(sorted(params.items()))


def draw(space: Space, rng: np.random.Generator) -> Params:
    """A point evenly at random; a logarithmic number evenly over its logarithm."""
    return {name: _value(distribution, rng) for name, distribution in space.items()}


def mutated(params: Params, space: Space, rng: np.random.Generator, changes: int) -> Params:
    """The point with so many of its parameters changed to other values."""
    open_names = [name for name, distribution in space.items() if not distribution.single()]
    result = dict(params)
    for name in rng.permutation(open_names)[:changes]:
        result[str(name)] = _another(space[str(name)], params[str(name)], rng)
    return result


def matrix_of(points: Sequence[Params], space: Space) -> Array:
    """The points as numbers from 0 to 1, shape (n, columns): categories a column each, numbers in one, or in both."""
    columns = [column for name, distribution in space.items() for column in _columns(name, distribution, points)]
    return np.array(columns, dtype=np.float64).T.reshape(len(points), len(columns))


def _value(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(rng.integers(len(distribution.choices)))]
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return distribution.low + distribution.step * int(rng.integers(_levels(distribution)))
    return _from_share(distribution, float(rng.random()))


def _another(distribution: BaseDistribution, value: Any, rng: np.random.Generator) -> Any:
    """Another value than this one; of a number, as often a near one as any."""
    if isinstance(distribution, FloatDistribution):
        share = _share(distribution, value) + 0.1 * rng.standard_normal()
        return _from_share(distribution, float(np.clip(share, 0, 1)))
    if isinstance(distribution, IntDistribution) and not distribution.log and rng.random() < 0.5:
        near = [value + sign * distribution.step for sign in (-1, 1)]
        near = [each for each in near if distribution.low <= each <= distribution.high]
        return near[int(rng.integers(len(near)))]
    for _ in range(100):
        if (other := _value(distribution, rng)) != value:
            return other
    return value


def _columns(name: str, distribution: BaseDistribution, points: Sequence[Params]) -> Iterator[list[float]]:
    values = [point[name] for point in points]
    if distribution.single():
        return
    if isinstance(distribution, CategoricalDistribution):
        choices: Sequence[Any] = distribution.choices
        choices = choices[1:] if len(choices) == 2 else choices
        yield from ([float(value == choice) for value in values] for choice in choices)
        return
    yield [_share(distribution, value) for value in values]
    if isinstance(distribution, IntDistribution) and not distribution.log and 2 < _levels(distribution) <= MOST_LEVELS:
        for level in range(distribution.low, distribution.high + 1, distribution.step):
            yield [float(value == level) for value in values]


def _levels(distribution: IntDistribution) -> int:
    return (distribution.high - distribution.low) // distribution.step + 1


def _share(distribution: Any, value: float) -> float:
    low, high, x = (distribution.low, distribution.high, value)
    if distribution.log:
        low, high, x = math.log(low), math.log(high), math.log(x)
    return float((x - low) / (high - low))


def _from_share(distribution: Any, share: float) -> Any:
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    else:
        value = low + share * (high - low)
    if distribution.step is not None:
        value = low + distribution.step * round((value - low) / distribution.step)
    value = min(max(value, low), high)
    return round(value) if isinstance(distribution, IntDistribution) else value
