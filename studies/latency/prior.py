"""Latency before anything was measured on a device: ratios to V2 1.0x that ship, corrected by its own latencies."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.precision import FP32, INT8
from search_space.presets import PRESETS
from studies.checked_facts import LEAST_MS
from studies.latency.model import ExpectedLatency, fit, leave_one_out, matrix_of, rates_of

SCHEMA = 1
FOLDER = "shipped"
FILES: Mapping[str, str] = MappingProxyType({FP32: "onnxruntime-amd-epyc.json", INT8: "onnxruntime-int8-amd-epyc.json"})
"""What ships for each precision."""
ANCHOR = "v2-1.0x"
"""The network that ratios are to."""
COUNTS_AS = (12.0, 3.0, 1.0, 0.3)
"""The shipped networks together weigh as much as so many of the device's own: whatever predicts those best."""
LEAST_TO_WEIGH = 5
"""Of fewer of its own nothing can be said of that, and they weigh the most."""
ENOUGH = 48
"""From so many of its own on, a device needs no others."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LatencyPrior:
    """Networks with their latencies as ratios to `ANCHOR`'s; `made` says how, when and on what they were measured.

    `block` is how many channels that device computes at a time, as far as it predicts its latencies.
    """

    architectures: tuple[Architecture, ...]
    ratios: tuple[float, ...]
    resolution: int
    classes: int
    block: int
    made: Mapping[str, Any] = field(hash=False)

    def ratios_at(self, resolution: int, classes: int) -> Array:
        """The ratios as they are expected to be for another task: what each layer does there, by what it takes here."""
        kinds, work = matrix_of(self.architectures, self.block, self.resolution, self.classes)
        rates = dict(zip(kinds, rates_of(work, np.asarray(self.ratios)).tolist(), strict=True))

        here = ExpectedLatency(rates, self.block, self.resolution, self.classes)
        there = replace(here, resolution=resolution, classes=classes)

        def grows(architecture: Architecture) -> float:
            return there.predict_ms(architecture) / here.predict_ms(architecture)

        anchors = grows(PRESETS[ANCHOR])
        growths = [grows(architecture) / anchors for architecture in self.architectures]
        return np.asarray(np.multiply(self.ratios, growths))


def expected_latency(
    architectures: Sequence[Architecture],
    latencies_ms: Sequence[float],
    anchor_ms: float,
    resolution: int,
    classes: int,
    prior: LatencyPrior,
) -> ExpectedLatency:
    """What latencies are to be expected on a device where these networks took so long, none at first.

    `anchor_ms` is the latency of `ANCHOR` there. The device's own latencies correct the prior's, and replace it from
    `ENOUGH` on.
    """
    if len(architectures) >= ENOUGH:
        own = fit(architectures, latencies_ms, resolution, classes)
        return ExpectedLatency(own.ms_by_work, own.block, resolution, classes)
    ratios = _ratios_at(prior, resolution, classes)
    kinds, matrix = matrix_of((*prior.architectures, *architectures), prior.block, resolution, classes)
    measured_ms = np.concatenate([anchor_ms * ratios, np.asarray(latencies_ms, dtype=np.float64)])
    rates = rates_of(matrix, measured_ms, _best_weights(matrix, measured_ms, len(ratios)))
    return ExpectedLatency(dict(zip(kinds, rates.tolist(), strict=True)), prior.block, resolution, classes)


def _best_weights(work: Array, measured_ms: Array, shipped: int) -> Array:
    """What each network weighs, the shipped ones first: what predicts the device's own best, each left out in turn."""
    own = len(measured_ms) - shipped

    def weights(counts_as: float) -> Array:
        return np.concatenate([np.full(shipped, counts_as / shipped), np.ones(own)])

    def error(counts_as: float) -> float:
        predicted_ms = leave_one_out(work, measured_ms, weights(counts_as), begin=shipped)
        return float(np.mean(np.log(np.maximum(predicted_ms, LEAST_MS) / measured_ms[shipped:]) ** 2))

    return weights(min(COUNTS_AS, key=error) if own >= LEAST_TO_WEIGH else COUNTS_AS[0])


@cache
def shipped_prior(precision: str) -> LatencyPrior:
    """The prior that ships for networks that run in this precision.

    Raises:
        InputError: its file is damaged, or of another schema.
    """
    name = FILES[precision]
    return prior_from(files("studies.latency").joinpath(FOLDER, name).read_text(encoding="utf-8"), name)


def prior_from(text: str, name: str) -> LatencyPrior:
    """The prior that the text of a file of this name holds.

    Raises:
        InputError: it is damaged, or of another schema.
    """
    again = "install the project anew"
    try:
        content = json.loads(text)
        if content["schema"] != SCHEMA:
            raise InputError(
                f"shipped latencies must be of schema {SCHEMA}, got {content['schema']} in {name}: {again}"
            )
        rows = [(Architecture.from_dict(row["architecture"]), float(row["ratio"])) for row in content["networks"]]
        if not rows or not all(0 < ratio < math.inf for _, ratio in rows):
            raise ValueError("a ratio is no number above 0")
        architectures, ratios = zip(*rows, strict=True)
        task = int(content["resolution"]), int(content["classes"])
        return LatencyPrior(architectures, ratios, *task, int(content["block"]), content["made"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"shipped latencies cannot be read from {name}, {error!r}: {again}") from error


@lru_cache(maxsize=8)
def _ratios_at(prior: LatencyPrior, resolution: int, classes: int) -> Array:
    return prior.ratios_at(resolution, classes)
