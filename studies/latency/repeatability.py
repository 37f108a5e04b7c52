"""How well a measurement repeats: the spread of several of one thing, and how often two come in the right order."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from studies.facts import LatencyFacts

ESTIMATES: Mapping[str, Callable[[LatencyFacts], float]] = {
    "p10 / reference": lambda latency: latency.ratio,
    "median / reference": lambda latency: latency.median_ms / latency.reference_median_ms,
    "mean / reference": lambda latency: latency.mean_ms / latency.reference_mean_ms,
    "p10": lambda latency: latency.p10_ms,
    "median": lambda latency: latency.median_ms,
    "mean": lambda latency: latency.mean_ms,
}
"""Name -> a latency's estimate from all that its measurement says. The first is the protocol's; others show why."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """Measurements of one network, each in processes of its own.

    `condition` is what ran beside, `depth` how long was measured.
    """

    network: str
    condition: str
    depth: str
    latencies: tuple[LatencyFacts, ...]

    def values(self, estimate: str) -> list[float]:
        """One value a measurement of the estimate of that name."""
        return [ESTIMATES[estimate](latency) for latency in self.latencies]

    @property
    def median_ms(self) -> float:
        """The median of the latencies."""
        return statistics.median(latency.latency_ms for latency in self.latencies)

    def to_dict(self) -> dict[str, Any]:
        """The measurements as plain JSON."""
        latencies = [dict(latency.plain) for latency in self.latencies]
        return {"network": self.network, "condition": self.condition, "depth": self.depth, "latencies": latencies}


@dataclass(frozen=True, slots=True)
class Spread:
    """How far values that should be equal differ, relative to their median: their standard deviation, and the worst."""

    deviation: float
    worst: float


def spread_between(values: Sequence[float]) -> Spread:
    """The spread of two values or more."""
    middle = statistics.median(values)
    return Spread(statistics.stdev(values) / middle, max(abs(value / middle - 1) for value in values))


def share_in_order(fast: Sequence[float], slow: Sequence[float]) -> float:
    """Of all pairs of one value each, the share in which `fast` has the smaller one."""
    return statistics.fmean(one < other for one, other in product(fast, slow))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of pairs of measurements of the same network, how many differ by no more than their errors, once and twice.

    Errors are standard errors; of a normal distribution `within` would be 68 % of the pairs, `within_twice` 95 %.
    """

    pairs: int
    within: int
    within_twice: int


def coverage_of(repeated: Sequence[Repeated]) -> Coverage:
    """The coverage over all pairs of one network, whatever the conditions: an error holds for any later repeat."""
    pairs = within = within_twice = 0
    for network in {one.network for one in repeated}:
        latencies = [latency for one in repeated if one.network == network for latency in one.latencies]
        for one, other in combinations(latencies, 2):
            apart = abs(math.log(one.ratio / other.ratio))
            error = math.hypot(one.spread, other.spread) / 2
            pairs += 1
            within += apart <= error
            within_twice += apart <= 2 * error
    return Coverage(pairs, within, within_twice)


def reference_drift(latencies: Sequence[LatencyFacts]) -> tuple[float, float]:
    """How far the reference's own time has wandered, largest over smallest less 1, and over how many hours.

    What slows reference and candidate alike is divided out; the drift says how much there was to divide out.
    """
    known = [each for each in latencies if each.has("reference_p10_ms") and each.has("taken_at")]
    if not known:
        return 0.0, 0.0
    times = [latency.reference_p10_ms for latency in known]
    taken_at = [latency.taken_at for latency in known]
    return max(times) / min(times) - 1, (max(taken_at) - min(taken_at)) / 3600
