"""Latency from an architecture alone: a model fitted to latencies that were measured, for ranking and for plots.

Each kind of work costs its own time, never less than none: the latency is a sum over the plan's layers, fitted by
non-negative least squares on relative errors. It knows groups: runtimes compute channels in blocks, and a grouped
convolution whose groups do not fill blocks takes another, slower path, as does a depthwise one of 58 channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import kendalltau

from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.plan import Layer, Unit, plan_of

BLOCKS = (4, 8, 16)
"""How many channels a runtime may compute at a time; the fit takes the one that predicts best."""
SHRINKAGE = 0.1
LEAST_MEASUREMENTS = 12
FLOPS_ALONE = 0
"""In place of a block: the model of a constant and FLOPs, to be held against."""
EVERY_NETWORK = "every network"
"""The constant: the call itself, and the stem where it is the same in all of them."""
BLOCKS_FROM = 4
"""Channels that are no multiple of this run outside the blocks in depthwise convolutions, many times as slow."""
STEM_WORK = "stem, elements"
"""Counts where stems differ, by their widths or by the networks' own resolutions."""
OUTSIDE = "depthwise outside blocks, multiply-adds"

STEM = "stem"
"""Under what name, among layers, stands what every network takes."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Errors:
    """How predictions of networks that a fit did not see compare with what was measured."""

    median: float
    within_5_percent: float
    within_10_percent: float
    worst: float
    tau: float


@dataclass(frozen=True, slots=True)
class ExpectedLatency:
    """Milliseconds by kind of work, for networks of one task on one device."""

    ms_by_work: Mapping[str, float] = field(hash=False)
    block: int
    resolution: int
    classes: int

    def predict_ms(self, architecture: Architecture) -> float:
        """The latency that the architecture is expected to have."""
        return sum(self.ms_by_kind(architecture).values())

    def ms_by_kind(self, architecture: Architecture) -> dict[str, float]:
        """The same by kind of work."""
        work = work_of(architecture, self.block, self.resolution, self.classes)
        return {kind: self.ms_by_work.get(kind, 0.0) * amount for kind, amount in work.items()}

    def ms_by_layer(self, architecture: Architecture) -> dict[str, float]:
        """The same by layer, named as in `Cost.layers`; what every network takes, the stem included, under `STEM`."""
        layers = {STEM: self.ms_by_work.get(EVERY_NETWORK, 0.0)}
        for name, kind, amount in _work(architecture, self.block, self.resolution, self.classes):
            layers[name] = layers.get(name, 0.0) + self.ms_by_work.get(kind, 0.0) * amount / 1e6
        return layers


@dataclass(frozen=True, slots=True)
class LatencyModel(ExpectedLatency):
    """The same fitted to so many measurements; `errors` are leave-one-out."""

    measurements: int
    errors: Errors


def fit(
    architectures: Sequence[Architecture], latencies_ms: Sequence[float], resolution: int, classes: int
) -> LatencyModel:
    """The model that predicts best, by leave-one-out, among the blocks.

    Raises:
        ValueError: fewer than `LEAST_MEASUREMENTS` networks.
    """
    if len(architectures) < LEAST_MEASUREMENTS:
        raise ValueError(f"a model needs {LEAST_MEASUREMENTS} networks or more, got {len(architectures)}: measure more")
    measured = np.asarray(latencies_ms, dtype=np.float64)
    works = {block: matrix_of(architectures, block, resolution, classes) for block in BLOCKS}
    block = best_block({block: work for block, (_, work) in works.items()}, measured)
    kinds, work = works[block]
    rates = dict(zip(kinds, rates_of(work, measured).tolist(), strict=True))
    errors = errors_of(leave_one_out(work, measured), measured)
    return LatencyModel(rates, block, resolution, classes, len(measured), errors)


def best_block(works: Mapping[int, Array], measured_ms: Array) -> int:
    """The block whose work, a matrix each, predicts networks that were left out best."""
    if len(works) == 1:
        return next(iter(works))
    return min(works, key=lambda block: errors_of(leave_one_out(works[block], measured_ms), measured_ms).median)


def matrix_of(
    architectures: Sequence[Architecture], block: int, resolution: int, classes: int
) -> tuple[list[str], Array]:
    """The kinds of work, and how much of each a network takes: a row each."""
    works = [work_of(architecture, block, resolution, classes) for architecture in architectures]
    kinds = sorted({kind for work in works for kind in work})
    if len({work.get(STEM_WORK) for work in works}) == 1:
        kinds = [kind for kind in kinds if kind != STEM_WORK]
    return kinds, np.array([[work.get(kind, 0.0) for kind in kinds] for work in works])


def rates_of(work: Array, measured_ms: Array, weights: Array | None = None) -> Array:
    """Milliseconds for a unit of each kind of work, none below 0, that fit the latencies' relative errors best.

    A network of weight 2 counts as two; without weights each counts as one. Kinds are scaled to their mean and shrunk a
    little: of two kinds that always come together both get their share.
    """
    scale = np.maximum(work.mean(axis=0), 1e-12)
    roots = np.ones(len(measured_ms)) if weights is None else np.sqrt(weights)
    relative = roots[:, None] * work / scale / measured_ms[:, None]
    shrunk = np.vstack([relative, SHRINKAGE * np.eye(work.shape[1])])
    rates, _ = nnls(shrunk, np.concatenate([roots, np.zeros(work.shape[1])]))
    return np.asarray(rates / scale)


def leave_one_out(work: Array, measured_ms: Array, weights: Array | None = None, begin: int = 0) -> Array:
    """For each network from the one in row `begin` on what a fit to all others predicts, in milliseconds."""
    rows = np.arange(len(measured_ms))
    weights = np.ones(len(rows)) if weights is None else weights

    def without(row: int) -> Array:
        others = rows != row
        return rates_of(work[others], measured_ms[others], weights[others])

    return np.array([work[row] @ without(row) for row in rows[begin:]])


def errors_of(predicted_ms: Array, measured_ms: Array) -> Errors:
    """The errors of predictions, relative to what was measured."""
    relative = np.abs(predicted_ms / measured_ms - 1)
    tau = float(kendalltau(predicted_ms, measured_ms).statistic)
    within_5, within_10 = (float(np.mean(relative <= limit)) for limit in (0.05, 0.10))
    return Errors(float(np.median(relative)), within_5, within_10, float(relative.max()), tau)


def unseen_errors(works: Mapping[int, Array], measured_ms: Array, count: int, draws: int, seed: int) -> Errors:
    """The mean errors on all other networks of fits to `count` networks, over random draws of those.

    `works` holds the work by block, of which each fit takes the one that does best on what it has seen.
    """
    random = np.random.default_rng(seed)
    errors = []
    for _ in range(draws):
        order = random.permutation(len(measured_ms))
        seen, unseen = order[:count], order[count:]
        work = works[best_block({block: work[seen] for block, work in works.items()}, measured_ms[seen])]
        errors.append(errors_of(work[unseen] @ rates_of(work[seen], measured_ms[seen]), measured_ms[unseen]))
    median, within_5, within_10, worst, tau = np.mean([astuple(error) for error in errors], axis=0).tolist()
    return Errors(median, within_5, within_10, worst, tau)


@lru_cache(maxsize=4096)
def work_of(architecture: Architecture, block: int, resolution: int, classes: int) -> Mapping[str, float]:
    """How much of each kind of work the architecture takes for one image, in millions; `FLOPS_ALONE` knows but one."""
    work = {EVERY_NETWORK: 1.0}
    if block == FLOPS_ALONE:
        return {**work, "FLOPs": cost_of(architecture, resolution, classes).macs / 1e6}
    for _, kind, amount in _work(architecture, block, resolution, classes):
        work[kind] = work.get(kind, 0.0) + amount / 1e6
    return work


def _work(architecture: Architecture, block: int, resolution: int, classes: int) -> Iterator[tuple[str, str, float]]:
    """What each layer has to do: its name, the kind of work and how much of it."""
    size = architecture.pixels(resolution)
    for name, unit in plan_of(architecture, classes).units():
        if name == "stem":
            after = _size_of(unit.branches[0].layers[0], size)
            yield name, STEM_WORK, unit.branches[0].layers[0].c_out * after**2
            size = _size_after(unit, size)
            continue
        size_out = _size_after(unit, size)
        for number, branch in enumerate(unit.branches):
            yield from _chain_work(f"{name}.branches.{number}", branch.layers, size, block)
        if len(unit.branches) > 1:
            yield f"{name}.join.0", f"{unit.join}, elements", _joined(unit) * size_out**2
            yield f"{name}.join.0", "layers", 1e6
        yield from _chain_work(f"{name}.tail", unit.tail, size_out, block)
        size = size_out


def _chain_work(place: str, layers: Sequence[Layer], size: int, block: int) -> Iterator[tuple[str, str, float]]:
    for position, layer in enumerate(layers):
        name = f"{place}.{position}"
        for kind, amount in _layer_work(layer, size, block):
            yield name, kind, amount
        size = _size_of(layer, size)


def _layer_work(layer: Layer, size: int, block: int) -> Iterator[tuple[str, float]]:
    pixels_in, pixels = size**2, _size_of(layer, size) ** 2
    if layer.kind == "conv":
        yield "layers", 1e6
        yield from _convolution_work(layer, pixels_in, pixels, block)
    elif layer.kind == "linear":
        yield "linear, weights", layer.c_in * layer.c_out
    elif layer.kind == "se":
        yield "squeeze-and-excitation, elements", layer.c_in * pixels
        yield "squeeze-and-excitations", 1e6
    elif layer.kind in ("shuffle", "hardswish", "avgpool"):
        yield f"{layer.kind}, elements", layer.c_in * pixels_in


def _convolution_work(layer: Layer, pixels_in: int, pixels: int, block: int) -> Iterator[tuple[str, float]]:
    c_in, c_out = layer.c_in // layer.groups, layer.c_out // layer.groups
    if layer.kernel > 1:
        yield f"depthwise {layer.kernel}x{layer.kernel}, elements", _filled(layer.c_out, block) * pixels
        if layer.c_out % BLOCKS_FROM:
            yield OUTSIDE, layer.kernel**2 * layer.c_out * pixels
        return
    yield "1x1, weights", layer.c_in * c_out
    yield "1x1, elements in and out", layer.c_in * pixels_in + layer.c_out * pixels
    if layer.groups == 1:
        yield "1x1, multiply-adds in whole blocks", c_in * _filled(c_out, block) * pixels
        if c_in % block or c_out % block:
            yield "1x1 with part blocks, multiply-adds", c_in * c_out * pixels
    elif c_in % block or c_out % block:
        yield "grouped 1x1 with part blocks, multiply-adds", layer.c_in * c_out * pixels
        yield "grouped 1x1 with part blocks, groups x pixels", layer.groups * pixels
    else:
        yield "grouped 1x1 in whole blocks, multiply-adds", layer.c_in * c_out * pixels


def _filled(channels: int, block: int) -> int:
    return -(-channels // block) * block


def _size_of(layer: Layer, size: int) -> int:
    return 1 if layer.kind == "globalpool" else -(-size // layer.stride)


def _size_after(unit: Unit, size: int) -> int:
    layers = next((branch.layers for branch in unit.branches if branch.layers), ())
    for layer in layers:
        size = _size_of(layer, size)
    return size


def _joined(unit: Unit) -> int:
    if unit.join == "add":
        return unit.c_in
    return sum(branch.layers[-1].c_out if branch.layers else branch.stop - branch.start for branch in unit.branches)
