"""Where a network's time goes, by layer and by unit: as it was profiled, as a model shares it out, and beside FLOPs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search_space.architecture import Architecture
from search_space.cost import LayerCost, cost_of
from search_space.plan import unit_of
from studies.latency.model import STEM, ExpectedLatency

NOTICED, TIMES = 0.01, 1.5
"""A part takes much time for its FLOPs where its share of the time is so much more than its share of the FLOPs, and
so many times as much."""


@dataclass(frozen=True, slots=True)
class PartTime:
    """A layer, a unit or what the runtime adds: what it gives out, its multiply-adds, its milliseconds, and shares.

    `fitted_share` is None for what the model gives no time, and channels and pixels of what has none are 0.
    """

    name: str
    channels: int
    size_px: int
    macs: int
    macs_share: float
    ms: float
    ms_share: float
    fitted_share: float | None

    @property
    def takes_much(self) -> bool:
        """Whether it takes much time for its FLOPs, where it has any."""
        more = self.ms_share - self.macs_share
        return self.macs > 0 and more >= NOTICED and self.ms_share >= TIMES * self.macs_share


def layer_times(
    architecture: Architecture, ms_by_part: Mapping[str, float], model: ExpectedLatency
) -> tuple[PartTime, ...]:
    """The parts, named as the layers in `search_space.cost` are or otherwise, with what is known of them.

    Layers that cost something or have a fitted time and are not among the parts come last. What the model gives every
    network is fitted to the first layer.
    """
    cost = cost_of(architecture, model.resolution, model.classes)
    fitted, total_ms = model.ms_by_layer(architecture), sum(ms_by_part.values())
    fitted[cost.layers[0].name] = fitted.pop(STEM)
    fitted_ms = sum(fitted.values())
    known = {layer.name: layer for layer in cost.layers}
    missing = [name for name, layer in known.items() if (layer.macs or fitted.get(name)) and name not in ms_by_part]
    times = []
    for name in (*ms_by_part, *missing):
        layer, ms = known.get(name), ms_by_part.get(name, 0.0)
        channels, size_px, macs = (layer.channels, layer.size, layer.macs) if layer else (0, 0, 0)
        share = fitted[name] / fitted_ms if name in fitted else None
        times.append(PartTime(name, channels, size_px, macs, macs / cost.macs, ms, ms / total_ms, share))
    return tuple(times)


def unit_times(
    architecture: Architecture, ms_by_part: Mapping[str, float], model: ExpectedLatency
) -> tuple[PartTime, ...]:
    """The same by unit of the plan, in its order; what is in none of them stays as it is and comes last."""
    layers = layer_times(architecture, ms_by_part, model)
    costs = cost_of(architecture, model.resolution, model.classes).layers
    outputs = {unit_of(layer.name): layer for layer in costs}  # the last of each unit
    units = (
        _sum_of(output, [each for each in layers if unit_of(each.name) == unit]) for unit, output in outputs.items()
    )
    return (*units, *(each for each in layers if unit_of(each.name) not in outputs))


def _sum_of(output: LayerCost, parts: Sequence[PartTime]) -> PartTime:
    macs, ms = sum(part.macs for part in parts), sum(part.ms for part in parts)
    shares = sum(part.macs_share for part in parts), ms, sum(part.ms_share for part in parts)
    fitted = sum(part.fitted_share or 0.0 for part in parts)
    return PartTime(unit_of(output.name), output.channels, output.size, macs, *shares, fitted)
