"""Convolutions and pools whose channels do not fill the runtime's blocks, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proxies.latency.profile.blocks import Blocks
from proxies.latency.profile.parts import POOLS, Parts
from proxies.latency.profile.take import NodeTime, Profile
from search_space.plan import Layer


@dataclass(frozen=True, slots=True)
class Unfilled:
    """Layers of a stage that are alike in this: channels that do not fill blocks, or that no block takes.

    `kind` is a layer's kind, of a convolution "1x1", "grouped 1x1", "depthwise 3x3" or such. `channels` are those that
    do not fit. `ms` is what the layers take. `filled` are the channels that are computed in place of `channels`, and
    `more` the share of multiply-adds beyond those asked for; both are empty and 0 where the layers run without blocks,
    for `why`. `times` is then how long a multiply-add, or a pool's value, takes beside one of the same kind in blocks,
    None where the network has none.
    """

    units: tuple[str, ...]
    kind: str
    layers: int
    channels: tuple[int, ...]
    filled: tuple[int, ...]
    why: str
    ms: float
    more: float
    times: float | None

    @property
    def lost_ms(self) -> float:
        """About what would be spared, were all channels in whole blocks."""
        if self.filled:
            return self.ms * self.more / (1 + self.more)
        return self.ms * (1 - 1 / self.times) if self.times and self.times > 1 else 0.0

    @property
    def most_ms(self) -> float:
        """The same, or what they take where that is not known."""
        return self.ms if self.why and self.times is None else self.lost_ms


@dataclass(frozen=True, slots=True)
class _Computed:
    """A layer with its unit, the node that computes it, and its multiply-adds, or the values that a pool gives."""

    unit: str
    layer: Layer
    time: NodeTime
    work: int


def in_blocks(profile: Profile) -> bool:
    """Whether the runtime may compute convolutions of the network in blocks: here, and in floats."""
    return profile.blocks.size > 1 and any(each.node.kind in ("Conv", "FusedConv") for each in profile.nodes)


def unfilled(profile: Profile, parts: Parts) -> list[Unfilled]:
    """What does not fill the runtime's blocks, most costly first."""
    if not in_blocks(profile):
        return []
    computed = [
        _Computed(part.unit, part.layer, each, part.macs or part.channels * part.size_px**2)
        for each in profile.nodes
        for part in map(parts.layers.__getitem__, parts.all_of(each))
        if part.layer is not None and (part.layer.kind == "conv" or part.layer.kind in POOLS.values())
    ]
    groups: dict[tuple[object, ...], list[_Computed]] = {}
    for each in computed:
        if key := _key(each, profile.blocks):
            groups.setdefault((each.unit.partition(".")[0], *key), []).append(each)
    rates = _rates(computed)
    found = [_found(group, profile.blocks, rates) for group in groups.values()]
    return sorted(found, key=lambda each: (-each.lost_ms, -each.ms))


def kind_of(layer: Layer) -> str:
    """A convolution's kind by what its speed depends on; of other layers their kind."""
    if layer.kind != "conv":
        return layer.kind
    window = f"{layer.kernel}x{layer.kernel}"
    if layer.is_depthwise:
        return f"depthwise {window}"
    return f"grouped {window}" if layer.groups > 1 else window


def _key(each: _Computed, blocks: Blocks) -> tuple[object, ...]:
    """What layers of a stage that are found together share; () for one in whole blocks."""
    if not each.time.node.is_blocked:
        return (kind_of(each.layer), _why(each.layer, blocks))
    channels = _not_full(each, blocks)
    return (kind_of(each.layer), channels) if channels else ()


def _why(layer: Layer, blocks: Blocks) -> str:
    if layer.kind in POOLS.values():
        return f"{layer.c_in} channels are no multiple of {blocks.size}" if layer.c_in % blocks.size else ""
    return blocks.why_outside(layer)


def _not_full(each: _Computed, blocks: Blocks) -> tuple[int, ...]:
    """The channels of a layer in blocks that do not fill them; an input that is read as it is has none."""
    if each.layer.kind in POOLS.values():
        return ()
    c_in = each.layer.c_in if each.time.node.filter[1] == blocks.filled(each.layer.c_in) else 0
    counts = (each.layer.c_in if each.layer.is_depthwise else c_in, each.layer.c_out)
    return tuple(dict.fromkeys(count for count in counts if count % blocks.size))


def _found(group: Sequence[_Computed], blocks: Blocks, rates: Mapping[str, float]) -> Unfilled:
    first, ms = group[0], sum(each.time.ms for each in group)
    units = tuple(dict.fromkeys(each.unit for each in group))
    kind, layer = kind_of(first.layer), first.layer
    if first.time.node.is_blocked:
        channels = _not_full(first, blocks)
        done = sum(each.work * math.prod(each.time.node.filter) / _weights(each.layer) for each in group)
        more = done / sum(each.work for each in group) - 1
        filled = tuple(map(blocks.filled, channels))
        return Unfilled(units, kind, len(group), channels, filled, "", ms, more, None)
    work = sum(each.work for each in group)
    times = ms / work / rates[kind] if work and kind in rates else None
    channels = tuple(dict.fromkeys((layer.c_in // _parts(layer), layer.c_out // _parts(layer))))
    return Unfilled(units, kind, len(group), channels, (), _why(layer, blocks), ms, 0.0, times)


def _parts(layer: Layer) -> int:
    return 1 if layer.is_depthwise else layer.groups


def _weights(layer: Layer) -> int:
    return layer.kernel**2 * layer.c_in // layer.groups * layer.c_out


def _rates(computed: Iterable[_Computed]) -> dict[str, float]:
    """Kind -> the milliseconds that a multiply-add of the network, or a value of a pool, takes in blocks."""
    sums: dict[str, list[float]] = {}
    for each in computed:
        if each.time.node.is_blocked and each.work:
            both = sums.setdefault(kind_of(each.layer), [0.0, 0.0])
            both[0] += each.time.ms
            both[1] += each.work
    return {kind: ms / work for kind, (ms, work) in sums.items()}
