"""How far FLOPs and parameters mislead about latency: rank correlations, pairs in the wrong order, spread of speeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from studies.display import TIE
from studies.facts import LatencyFacts

ALIKE = 0.9
"""FLOPs are alike where the smaller is at least this share of the larger."""


@dataclass(frozen=True, slots=True)
class TimedNetwork:
    """A network that was counted and timed; `latency` says how.

    `macs` and `params` are for one image at the resolution and with the classes that it was timed at.
    """

    name: str
    family: str
    macs: int
    params: int
    latency_ms: float
    latency: LatencyFacts

    @property
    def macs_per_ms(self) -> float:
        """The multiply-adds done in a millisecond: how well the network suits the device."""
        return self.macs / self.latency_ms


@dataclass(frozen=True, slots=True)
class FailedNetwork:
    """A network without a latency, and why; its counts are None where it failed before it was counted."""

    name: str
    family: str
    cause: str
    macs: int | None = None
    params: int | None = None


@dataclass(frozen=True, slots=True)
class MisleadingPair:
    """Two networks, of which the one with fewer FLOPs takes longer."""

    fewer: TimedNetwork
    more: TimedNetwork

    @property
    def macs_ratio(self) -> float:
        """The multiply-adds of the smaller network as a share of the other's: below 1."""
        return self.fewer.macs / self.more.macs

    @property
    def latency_ratio(self) -> float:
        """How many times as long the smaller network takes: above 1."""
        return self.fewer.latency_ms / self.more.latency_ms

    @property
    def error(self) -> float:
        """The factor by which a latency predicted from the other's by FLOPs is too short."""
        return self.latency_ratio / self.macs_ratio


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far FLOPs mislead among `networks`.

    The taus are Kendall's tau-b with latency: 1 is the same order, 0 no relation, -1 the reverse; None where there is
    no order to compare: one network, or all alike. `pairs` counts pairs of different FLOPs; in those of `misled` the
    smaller network is the slower by more than a tie. `worst` is the pair of them with the largest error. `alike` is the
    pair of alike FLOPs (`ALIKE`) whose latencies are furthest apart, the faster first; None where no FLOPs are alike.
    """

    networks: int
    tau_macs: float | None
    tau_params: float | None
    pairs: int
    misled: int
    worst: MisleadingPair | None
    alike: tuple[TimedNetwork, TimedNetwork] | None
    fastest: TimedNetwork
    slowest: TimedNetwork

    @property
    def speed_spread(self) -> float:
        """How many times as long a FLOP takes in `slowest` as in `fastest`, the two ends of multiply-adds per ms."""
        return self.fastest.macs_per_ms / self.slowest.macs_per_ms


def verdict_of(networks: Sequence[TimedNetwork]) -> Verdict | None:
    """The verdict on these networks; None for fewer than two, which have no order."""
    if len(networks) < 2:
        return None
    latencies_ms = [network.latency_ms for network in networks]
    wrong = misleading_pairs(networks)
    by_speed = sorted(networks, key=lambda network: network.macs_per_ms)
    return Verdict(
        networks=len(networks),
        tau_macs=kendall_tau([network.macs for network in networks], latencies_ms),
        tau_params=kendall_tau([network.params for network in networks], latencies_ms),
        pairs=sum(one.macs != other.macs for one, other in combinations(networks, 2)),
        misled=len(wrong),
        worst=wrong[0] if wrong else None,
        alike=furthest_apart(networks),
        fastest=by_speed[-1],
        slowest=by_speed[0],
    )


def misleading_pairs(networks: Sequence[TimedNetwork]) -> list[MisleadingPair]:
    """The pairs in which fewer FLOPs take longer, by more than a tie (`display.TIE`); the largest error first."""
    ordered = sorted(networks, key=lambda network: network.macs)
    pairs = [MisleadingPair(fewer, more) for fewer, more in combinations(ordered, 2) if fewer.macs < more.macs]
    return sorted((pair for pair in pairs if pair.latency_ratio > TIE), key=lambda pair: -pair.error)


def furthest_apart(networks: Sequence[TimedNetwork]) -> tuple[TimedNetwork, TimedNetwork] | None:
    """Of the pairs of alike FLOPs the one with the largest ratio of latencies, the faster first; None without any."""
    ordered = sorted(networks, key=lambda network: network.latency_ms)
    pairs = [pair for pair in combinations(ordered, 2) if _are_alike(*pair)]
    return max(pairs, key=lambda pair: pair[1].latency_ms / pair[0].latency_ms, default=None)


def kendall_tau(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Kendall's tau-b of two series; None where either has fewer than two different values."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(values, others).statistic) if len(values) > 1 else math.nan
    return None if math.isnan(tau) else tau


def ranks(values: Sequence[float]) -> list[int]:
    """The place of each value, the smallest's being 1; equal values share the better place."""
    ordered = sorted(values)
    return [1 + ordered.index(value) for value in values]


def _are_alike(one: TimedNetwork, other: TimedNetwork) -> bool:
    return min(one.macs, other.macs) >= ALIKE * max(one.macs, other.macs)
