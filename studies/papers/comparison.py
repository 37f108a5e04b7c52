"""Networks trained and timed alike, and how their order agrees with what the papers printed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from studies.facts import LatencyFacts, QuantisedFacts
from studies.front import undominated
from studies.int8_loss import Int8Loss
from studies.papers.published_accuracies import PublishedAccuracies, PublishedNetwork
from studies.ranking import Interval, ranking_of

LEAST_SHOWN, LEAST_IN_ORDER = 3, 5
"""A table is shown from so many of its networks on; of fewer than five an order says nothing, nor does its interval."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One network: its counts and latency at deployment, its accuracies in [0, 1] by the training's seed.

    What failed has its cause in `causes`, and what is not known is None or missing, never zero. Where networks are
    compared in int8 the accuracies are those in 8 bits; `fp32` are those of the same weights in float32, and `int8`
    says how each was had. Else both are empty.
    """

    name: str
    family: str
    macs: int | None
    params: int | None
    accuracies: Mapping[int, float] = field(hash=False)
    latency: LatencyFacts | None
    causes: tuple[str, ...] = ()
    fp32: Mapping[int, float] = field(default_factory=dict, hash=False)
    int8: Mapping[int, QuantisedFacts] = field(default_factory=dict, hash=False)

    @property
    def accuracy(self) -> float | None:
        """The mean over the seeds."""
        return fmean(self.accuracies.values()) if self.accuracies else None

    @property
    def accuracy_error(self) -> float | None:
        """The standard error of that mean; None for a single seed, of which nobody knows it."""
        seeds = len(self.accuracies)
        return stdev(self.accuracies.values()) / sqrt(seeds) if seeds > 1 else None

    @property
    def loss(self) -> Int8Loss | None:
        """What the 8 bits cost it; None where it was not quantised."""
        return Int8Loss.of(self.fp32, self.accuracies, self.int8)

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds a batch of one."""
        return self.latency.latency_ms if self.latency else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The networks of one comparison, and `made`: data, recipe, seeds and devices as plain JSON."""

    networks: tuple[Compared, ...]
    made: Mapping[str, Any] = field(hash=False)

    @property
    def by_name(self) -> dict[str, Compared]:
        """The networks by name."""
        return {network.name: network for network in self.networks}

    @property
    def front(self) -> frozenset[str]:
        """The names of those that no other beats by latency and accuracy; of equal ones all."""
        known = {
            network.name: (network.latency_ms, network.accuracy)
            for network in self.networks
            if network.latency_ms is not None and network.accuracy is not None
        }
        front = undominated(known.values(), lambda point: point[0], lambda point: point[1])
        return frozenset(name for name, point in known.items() if point in front)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kendall's tau between a table's order and ours, over how many networks; None where they are too few."""

    networks: int
    tau: Interval | None


def rows_beside(table: PublishedAccuracies, comparison: Comparison) -> list[tuple[PublishedNetwork, Compared | None]]:
    """Each row of a published table with the network that was compared, None where it was not."""
    found = comparison.by_name
    return [(row, found.get(row.network) if row.network else None) for row in table.rows]


def accuracy_agreement(table: PublishedAccuracies, comparison: Comparison) -> Agreement:
    """How the errors that were published order the table's networks as their trainings here do, seed by seed."""
    pairs = [(row, ours) for row, ours in rows_beside(table, comparison) if ours and ours.accuracies]
    seeds = set.intersection(*(set(ours.accuracies) for _, ours in pairs)) if pairs else set()
    by_seed = [[ours.accuracies[seed] for _, ours in pairs] for seed in sorted(seeds)]
    return _agreement([-row.error_percent for row, _ in pairs], by_seed)


def speed_agreement(table: PublishedAccuracies, comparison: Comparison) -> Agreement:
    """How the speeds that were published order the table's networks as their latencies here do."""
    pairs = [
        (row.images_per_second, 1 / ours.latency_ms)
        for row, ours in rows_beside(table, comparison)
        if ours and ours.latency_ms and row.images_per_second is not None
    ]
    return _agreement([theirs for theirs, _ in pairs], [[ours for _, ours in pairs]])


def tables_of(comparison: Comparison, published: Mapping[str, PublishedAccuracies]) -> dict[str, PublishedAccuracies]:
    """The published tables of which enough networks were compared."""
    names = set(comparison.by_name)
    return {name: table for name, table in published.items() if len(names & set(table.networks)) >= LEAST_SHOWN}


def to_dict(comparison: Comparison, published: Mapping[str, PublishedAccuracies]) -> dict[str, Any]:
    """The comparison as plain JSON, with the published numbers beside."""
    return {
        "schema": 1,
        "made": dict(comparison.made),
        "networks": [_network_json(network, comparison.front) for network in comparison.networks],
        "published": {
            name: {
                "title": table.title,
                "source": table.source,
                "rows": [_row_json(row, ours) for row, ours in rows_beside(table, comparison)],
                "accuracy_order": _agreement_json(accuracy_agreement(table, comparison)),
                "speed_order": _agreement_json(speed_agreement(table, comparison)),
            }
            for name, table in tables_of(comparison, published).items()
        },
    }


def _agreement(theirs: Sequence[float], ours: Sequence[Sequence[float]]) -> Agreement:
    if len(theirs) < LEAST_IN_ORDER or not ours:
        return Agreement(len(theirs), None)
    return Agreement(len(theirs), ranking_of(theirs, ours).tau)


def _network_json(network: Compared, front: frozenset[str]) -> dict[str, Any]:
    return {
        "name": network.name,
        "family": network.family,
        "macs": network.macs,
        "params": network.params,
        "accuracy": network.accuracy,
        "accuracy_error": network.accuracy_error,
        "accuracies": {str(seed): accuracy for seed, accuracy in network.accuracies.items()},
        **_int8_json(network),
        "latency": dict(network.latency.plain) if network.latency else None,
        "on_front": network.name in front,
        "failures": list(network.causes),
    }


def _int8_json(network: Compared) -> dict[str, Any]:
    """What 8 bits cost the network; nothing where it was not quantised."""
    loss = network.loss
    if loss is None:
        return {}
    return {
        **loss.to_dict(),
        "fp32_accuracies": {str(seed): accuracy for seed, accuracy in network.fp32.items()},
        "int8": {str(seed): dict(facts.plain) for seed, facts in network.int8.items()},
    }


def _row_json(row: PublishedNetwork, ours: Compared | None) -> dict[str, Any]:
    accuracy = ours.accuracy if ours else None
    return {
        "label": row.label,
        "network": row.network,
        "published_mflops": row.mflops,
        "published_error_percent": row.error_percent,
        "published_images_per_second": row.images_per_second,
        "error_percent": None if accuracy is None else 100 * (1 - accuracy),
        "latency_ms": ours.latency_ms if ours else None,
    }


def _agreement_json(agreement: Agreement) -> dict[str, Any]:
    return {"networks": agreement.networks, "tau": agreement.tau and agreement.tau.to_dict()}
