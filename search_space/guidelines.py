"""How an architecture stands to the four guidelines for fast networks of Ma 2018, sec. 2: read off its plan."""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_space.architecture import Architecture
from search_space.cost import LayerCost, cost_of
from search_space.plan import Layer, plan_of
from search_space.precision import BYTES_PER_ELEMENT, FP32

FOLDED = ("batchnorm", "relu", "hardswish")
"""At inference these are part of the layer before them."""


@dataclass(frozen=True, slots=True)
class Guidelines:
    """One number for each guideline; smaller is faster, all else being equal.

    `channel_imbalance` (G1): memory access of the 1x1 convolutions over what they would need with as many channels in
    as out, for the same multiply-adds and groups: 1 at best. `grouped_share` (G2): share of the multiply-adds that
    stands in grouped 1x1 convolutions. `kernels` (G3): layers and joins that are run one after the other.
    `element_wise_share` (G4): share of the memory access of what computes little on what it reads: depthwise
    convolutions, which the paper counts among these, squeeze-and-excitation, shuffles, poolings and joins.
    """

    channel_imbalance: float
    grouped_share: float
    kernels: int
    element_wise_share: float


def guidelines_of(architecture: Architecture, resolution: int = 224, num_classes: int = 1000) -> Guidelines:
    """The architecture's numbers for images of `resolution` pixels.

    Raises:
        InputError: as `search_space.cost.cost_of`.
    """
    layers = dict(plan_of(architecture, num_classes).layers())
    cost = cost_of(architecture, resolution, num_classes)
    rows = [(layers.get(row.name), row) for row in cost.layers]
    pointwise = [(layer, row) for layer, row in rows if layer and layer.kind == "conv" and layer.kernel == 1]
    accessed = sum(row.memory_access_bytes for _, row in pointwise) / BYTES_PER_ELEMENT[FP32]
    grouped = sum(row.macs for layer, row in pointwise if layer.groups > 1)
    element_wise = sum(row.memory_access_bytes for layer, row in rows if _is_element_wise(layer))
    return Guidelines(
        channel_imbalance=accessed / sum(_balanced_access(layer, row) for layer, row in pointwise),
        grouped_share=grouped / cost.macs,
        kernels=sum(row.kind not in FOLDED for _, row in rows),
        element_wise_share=element_wise / cost.memory_access_bytes,
    )


def _balanced_access(layer: Layer, row: LayerCost) -> float:
    """The elements that it would access at least: Ma 2018, sec. 2, G1's bound, for the groups it has (G2's formula)."""
    pixels = row.size * row.size
    return 2 * pixels * math.sqrt(layer.c_in * layer.c_out) + layer.c_in * layer.c_out / layer.groups


def _is_element_wise(layer: Layer | None) -> bool:
    return layer is None or layer.is_depthwise or layer.kind not in ("conv", "linear")
