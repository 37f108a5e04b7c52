"""What each layer of a network costs, as rows: multiply-adds, parameters, and the share of the latency it is given.

A stage's units after the first are alike, so they share rows, each worth as many units as there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from search_space.architecture import Architecture
from search_space.cost import LayerCost, cost_of
from search_space.plan import Layer, Plan, plan_of, unit_of
from studies.latency.model import STEM, LatencyModel

KINDS = {
    "dense": "1x1 convolution",
    "grouped": "grouped 1x1 convolution",
    "depthwise": "depthwise convolution",
    "spatial": "other convolution",
    "linear": "linear",
    "shuffle": "shuffle",
    "attention": "squeeze-and-excitation",
    "pool": "pooling",
    "join": "join of branches",
    "norm": "norm and activation",
}
"""The kinds of layers, as people call them."""
LEAST_DRAWN = 0.002
"""Smaller shares of a bar are not drawn."""
_KINDS_OF = {
    **{"linear": "linear", "shuffle": "shuffle", "se": "attention", "concat": "join", "add": "join"},
    **{"maxpool": "pool", "avgpool": "pool", "globalpool": "pool"},
    **{"batchnorm": "norm", "relu": "norm", "hardswish": "norm"},
}
_WORDS = {
    **{"se": "SE", "concat": "concatenate", "batchnorm": "batch norm"},
    **{"maxpool": "max pool", "avgpool": "average pool", "globalpool": "global pool"},
}


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer, or one join, of `times` units that are alike; sums are over all of them.

    `place` names the units, `text` the layer; `channels` and `size_px` are those of one unit's output. `latency_ms` is
    None where no model gave the layer a time.
    """

    place: str
    times: int
    text: str
    kind: str
    channels: int
    size_px: int
    macs: int
    params: int
    latency_ms: float | None


def layer_rows(
    architecture: Architecture,
    resolution: int,
    classes: int,
    model: LatencyModel | None = None,
    latency_ms: float | None = None,
) -> list[LayerRow]:
    """The rows of a network in order.

    `model`'s latencies by layer are scaled so that they sum to `latency_ms`, what was measured.
    """
    plan = plan_of(architecture, classes)
    predicted_ms = model.ms_by_layer(architecture) if model else {}
    scale = latency_ms / sum(predicted_ms.values()) if latency_ms and any(predicted_ms.values()) else 1.0
    places, layers = dict(places_of(plan)), dict(plan.layers())
    rows = []
    for cost in cost_of(architecture, resolution, classes).layers:
        unit = unit_of(cost.name)
        if unit in places:
            place, times = places[unit]
            ms = scale * predicted_ms[cost.name] * times if cost.name in predicted_ms else None
            rows.append(_row(place, times, layers.get(cost.name), cost, ms))
    if STEM in predicted_ms:
        ms = scale * predicted_ms[STEM]
        rows.insert(0, LayerRow(STEM, 1, "stem as a whole, and what every call takes", "spatial", 0, 0, 0, 0, ms))
    return rows


def places_of(plan: Plan) -> Iterator[tuple[str, tuple[str, int]]]:
    """For each unit that differs from the one before it: its name, what people call it, and how many are like it."""
    for name, _ in plan.units():
        stage, _, position = name.partition(".")
        number = stage.removeprefix("stage")
        if not position:
            yield name, (name, 1)
        elif position == "0":
            yield name, (f"stage {number}, first unit", 1)
        elif position == "1":
            others = len(plan.stages[int(number) - 2]) - 1
            yield name, (f"stage {number}, other {others}" if others > 1 else f"stage {number}, other unit", others)


def kind_of(layer: Layer) -> str:
    """The row of `KINDS` that a layer belongs to."""
    if layer.kind != "conv":
        return _KINDS_OF[layer.kind]
    if layer.is_depthwise:
        return "depthwise"
    if layer.kernel > 1:
        return "spatial"
    return "grouped" if layer.groups > 1 else "dense"


def text_of(layer: Layer) -> str:
    """A layer in a few words: "1x1, 3 groups", "depthwise 3x3, stride 2", "SE"."""
    words = _WORDS.get(layer.kind, layer.kind)
    if layer.kind == "conv":
        words = f"{layer.kernel}x{layer.kernel}"
        words = f"depthwise {words}" if kind_of(layer) == "depthwise" else words
    groups = f", {layer.groups} groups" if kind_of(layer) in ("grouped", "shuffle") else ""
    return words + groups + (f", stride {layer.stride}" if layer.stride > 1 else "")


def _row(place: str, times: int, layer: Layer | None, cost: LayerCost, latency_ms: float | None) -> LayerRow:
    kind, text = (kind_of(layer), text_of(layer)) if layer else (_KINDS_OF[cost.kind], _WORDS.get(cost.kind, cost.kind))
    sums = times * cost.macs, times * cost.params
    return LayerRow(place, times, text, kind, cost.channels, cost.size, *sums, latency_ms)
