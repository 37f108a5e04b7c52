"""The units that Zhang 2017, table 4, holds ShuffleNet's against, in its skeleton: plans, and widths of equal cost.

Stem, depths and classifier are those of ShuffleNet V1, and widths double from stage to stage (sec. 4.2). VGG-like: two
3x3 convolutions. ResNet-like: a bottleneck of a quarter of the width. ResNeXt-like: one of half the width, whose 3x3
has 16 groups. The paper's fourth, Xception-like, is V1 with one group: a preset. What it leaves open is chosen here: a
first unit of stride 2 has it in its first 3x3 and a 1x1 as its shortcut, and where 16 groups do not divide a
bottleneck, the largest divisor of 16 does. Of the widths of stage 4 that are printed, 50, 192 and 192 at 38 MFLOPs,
`width_for` finds every one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import gcd
from types import MappingProxyType

from search_space.bounds import plain
from search_space.budget import Budget
from search_space.cost import unit_sums
from search_space.errors import InputError
from search_space.plan import Branch, Layer, Plan, Unit, chain, classifier_unit, conv_layers, stem_unit

DEPTHS = (4, 8, 4)
CARDINALITY = 16
STEM, NARROW_STEM, NARROW_BELOW_MACS = 24, 12, 70_000_000
"""V1's stems: 24 channels at 1x, 12 at 0.5x and below, half of the way to which in FLOPs they change here."""
_RESOLUTION, _CLASSES, _RELU = 224, 1000, "relu"
_MOST_WIDTH = 4096


@dataclass(frozen=True, slots=True)
class OtherUnit:
    """A unit by what builds it from channels in and out and a stride, and the step of stage 4's widths."""

    units: Callable[[int, int, int], Unit]
    step: int


def _vgg(c_in: int, c_out: int, stride: int) -> Unit:
    first = conv_layers(c_in, c_out, kernel=3, stride=stride, act=_RELU)
    return chain(c_in, *first, *conv_layers(c_out, c_out, kernel=3, act=_RELU))


def _resnet(c_in: int, c_out: int, stride: int) -> Unit:
    return _bottleneck(c_in, c_out, stride, c_out // 4, 1)


def _resnext(c_in: int, c_out: int, stride: int) -> Unit:
    return _bottleneck(c_in, c_out, stride, c_out // 2, CARDINALITY)


OTHER_UNITS: Mapping[str, OtherUnit] = MappingProxyType(
    {
        "vgg-like": OtherUnit(_vgg, 2),
        "resnet-like": OtherUnit(_resnet, 16),
        "resnext-like": OtherUnit(_resnext, 32),  # so that stage 2's bottlenecks have 4 groups or more
    }
)
"""One row for each unit."""


def other_plan(unit: str, macs: int, num_classes: int = _CLASSES, in_channels: int = 3, stem_stride: int = 4) -> Plan:
    """The plan of a network of that unit of as nearly as can be `macs` at 224 pixels and 1000 classes, for a task.

    Raises:
        InputError: there is no such unit, or none that comes near.
    """
    return _plan(unit, width_for(unit, macs), _stem_for(macs), num_classes, in_channels, stem_stride)


def unit_and_macs(name: str) -> tuple[str, int]:
    """The unit and the multiply-adds that a name such as "resnet-like@38mflops" stands for.

    Raises:
        InputError: it is no such name.
    """
    unit, _, budget = name.partition("@")
    if unit not in OTHER_UNITS or not budget:
        raise InputError(
            f"such a network is one of {', '.join(OTHER_UNITS)} at its FLOPs, as vgg-like@38mflops; got {name!r}"
        )
    macs = Budget.parse(budget).macs
    if macs is None:
        raise InputError(f"the width of a network follows from FLOPs, as in {unit}@38mflops; got {name!r}")
    return unit, macs


@cache
def width_for(unit: str, macs: int) -> int:
    """The width of stage 4 at which the network's multiply-adds come nearest to `macs`.

    Raises:
        InputError: there is no such unit, or its networks cost more than twice as much, or less than half.
    """
    if unit not in OTHER_UNITS:
        raise InputError(f"a unit must be one of {', '.join(OTHER_UNITS)}; got {unit!r}")
    step = OTHER_UNITS[unit].step
    best, least = 0, float("inf")
    for width in range(max(step, 4), _MOST_WIDTH, step):
        found = macs_of(_plan(unit, width, _stem_for(macs), _CLASSES, 3, 4), _RESOLUTION)
        if abs(found - macs) < least:
            best, least = width, abs(found - macs)
        elif found > 2 * macs:
            break
    if least > macs:
        raise InputError(
            f"{unit} networks of {plain(macs / 1e6)} MFLOPs must exist, and the narrowest has twice that: ask for more"
        )
    if best + step >= _MOST_WIDTH and 2 * least > macs:
        raise InputError(
            f"{unit} networks of {plain(macs / 1e6)} MFLOPs must exist, and the widest has less than half that: "
            "ask for less"
        )
    return best


def macs_of(plan: Plan, resolution: int) -> int:
    """The multiply-adds of a plan for one image."""
    total, size = 0, resolution
    for _, unit in plan.units():
        macs, _, size = unit_sums(unit, size)
        total += macs
    return total


def _plan(unit: str, width: int, stem: int, num_classes: int, in_channels: int, stem_stride: int) -> Plan:
    row = OTHER_UNITS[unit]
    stages, c_in = [], stem
    for depth, c_out in zip(DEPTHS, (width // 4, width // 2, width), strict=True):
        stages.append((row.units(c_in, c_out, 2), *(row.units(c_out, c_out, 1),) * (depth - 1)))
        c_in = c_out
    stem_of_images = stem_unit(stem, _RELU, in_channels, stem_stride)
    return Plan(stem_of_images, tuple(stages), None, classifier_unit(width, num_classes))


def _stem_for(macs: int) -> int:
    return NARROW_STEM if macs < NARROW_BELOW_MACS else STEM


def _bottleneck(c_in: int, c_out: int, stride: int, inner: int, most_groups: int) -> Unit:
    main = (
        *conv_layers(c_in, inner, act=_RELU),
        *conv_layers(inner, inner, kernel=3, stride=stride, groups=gcd(inner, most_groups), act=_RELU),
        *conv_layers(inner, c_out),
    )
    shortcut = conv_layers(c_in, c_out, stride=stride) if stride == 2 else ()
    return Unit(c_in, (Branch(main, 0, c_in), Branch(shortcut, 0, c_in)), "add", (Layer(_RELU, c_out, c_out),))
