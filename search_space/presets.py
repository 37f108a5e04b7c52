"""The published ShuffleNets as architectures, by name.

V1: widths of Zhang 2017, table 1, times the scale; stems as in the authors' code (12 at 0.5x, 16 there for g = 8, 24 up
to 1.5x, 48 at 2x), and 12 or 8 at 0.25x, which reproduce the published counts. V2: widths of Ma 2018, table 5, with
torchvision's stride-2 unit (both branches half as wide as the output), which counts up to 1.3 % fewer multiply-adds
than the authors' (their shortcut branch keeps its width). V1 at 0.25x and 0.5x with g = 2 and 4 does not exist: the
quarter-wide bottleneck does not divide into groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from search_space.architecture import Architecture, Stage

_DEPTHS = (4, 8, 4)
_HALF = Fraction(1, 2)


def _v1(groups: int, stem: int, first_width: int) -> Architecture:
    widths = (first_width, 2 * first_width, 4 * first_width)
    stages = tuple(Stage(depth, width, groups) for depth, width in zip(_DEPTHS, widths, strict=True))
    return Architecture("v1", stem, 0, stages)


def _v2(first_width: int, head: int, stem: int = 24, depths: tuple[int, ...] = _DEPTHS) -> Architecture:
    widths = (first_width, 2 * first_width, 4 * first_width)
    stages = tuple(Stage(depth, width, split=_HALF) for depth, width in zip(depths, widths, strict=True))
    return Architecture("v2", stem, head, stages)


def _with_se(architecture: Architecture) -> Architecture:
    return replace(architecture, stages=tuple(replace(stage, se=True) for stage in architecture.stages))


_V1 = {
    "v1-1.0x-g1": _v1(1, 24, 144),
    "v1-1.0x-g2": _v1(2, 24, 200),
    "v1-1.0x-g3": _v1(3, 24, 240),
    "v1-1.0x-g4": _v1(4, 24, 272),
    "v1-1.0x-g8": _v1(8, 24, 384),
    "v1-0.25x-g1": _v1(1, 12, 36),
    "v1-0.25x-g3": _v1(3, 12, 60),
    "v1-0.25x-g8": _v1(8, 8, 96),
    "v1-0.5x-g1": _v1(1, 12, 72),
    "v1-0.5x-g3": _v1(3, 12, 120),
    "v1-0.5x-g8": _v1(8, 16, 192),
    "v1-1.5x-g3": _v1(3, 24, 360),
    "v1-1.5x-g8": _v1(8, 24, 576),
    "v1-2.0x-g3": _v1(3, 48, 480),
    "v1-2.0x-g8": _v1(8, 48, 768),
}
_V2 = {
    "v2-0.5x": _v2(48, 1024),
    "v2-1.0x": _v2(116, 1024),
    "v2-1.5x": _v2(176, 1024),
    "v2-2.0x": _v2(244, 2048),
}
_V2_VARIANTS = {
    **{name.replace("v2", "v2-star"): replace(preset, pre_depthwise=True) for name, preset in _V2.items()},
    **{name.replace("v2", "v2-se"): _with_se(preset) for name, preset in _V2.items()},
}

PRESETS: Mapping[str, Architecture] = MappingProxyType({**_V1, **_V2, **_V2_VARIANTS})
"""Name -> architecture. "v2-star" is V2* of Ma 2018, table 7, "v2-se" that of table 8's last rows."""
ANCHOR = "v2-1.0x"
"""The network timed beside every other: latencies are scaled by it, so that a busy machine cancels out."""
