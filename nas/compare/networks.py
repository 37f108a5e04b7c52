"""Which networks a comparison means: presets and what is changed in them, hand-designed networks, files, sets of those.

V1's widths at 0.5x and 0.25x divide into neither 2 nor 4 groups, and the paper does not say which it took, but for 576
in stage 4 at 0.5x with 4 (Zhang 2017, sec. 4.2). The others are here rounded to what counts nearest to the table's
MFLOPs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from nas.cli.architectures import read_architecture
from proxies.references.names import (
    MOBILENET,
    MOBILENET_V2_WIDTHS,
    REFERENCE_FAMILIES,
    SHUFFLENET_V1,
    SHUFFLENET_V2,
)
from search_space.architecture import Architecture, Stage
from search_space.baseline_units import OTHER_UNITS, unit_and_macs, width_for
from search_space.errors import InputError
from search_space.presets import PRESETS
from studies.ledger.trainings import HandDesigned
from studies.papers.published_accuracies import PUBLISHED

FOUND, UNITS = "found", "unit of V1's table 4"
ROUNDED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "v1-0.5x-g2-rounded": (2, 96),
        "v1-0.5x-g4-rounded": (4, 144),
        "v1-0.25x-g2-rounded": (2, 48),
        "v1-0.25x-g4-rounded": (4, 64),
    }
)
"""Name -> groups and width of stage 2 of a V1 whose published width its groups do not divide."""
_ROUNDED_STEM = 12


def _with_se(architecture: Architecture) -> Architecture:
    return replace(architecture, stages=tuple(replace(stage, se=True) for stage in architecture.stages))


CHANGES: Mapping[str, Callable[[Architecture], Architecture]] = MappingProxyType(
    {
        "no-shuffle": lambda architecture: replace(architecture, shuffle=False),
        "residual": lambda architecture: replace(architecture, residual=True),
        "se": _with_se,
        "pre-depthwise": lambda architecture: replace(architecture, pre_depthwise=True),
    }
)
"""What may be changed in a preset, as in "v2-1.0x+residual+se"."""


@dataclass(frozen=True, slots=True)
class ComparedNetwork:
    """A network to compare, by the name and the family that it is shown under."""

    name: str
    family: str
    network: Architecture | HandDesigned


def _at(level: str, mflops: int, v2: str, v1: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """The set of one level of FLOPs: every ShuffleNet, what is changed in them, other units, other networks."""
    changed = f"v1-{level}-g8+no-shuffle", f"{v2}+no-shuffle", f"{v2}+residual"
    variants = v2, v2.replace("v2", "v2-se"), v2.replace("v2", "v2-star")
    return (*v1, *variants, *changed, *(f"{unit}@{mflops}mflops" for unit in OTHER_UNITS), *others)


_V1_HALF = ("v1-0.5x-g1", "v1-0.5x-g2-rounded", "v1-0.5x-g3", "v1-0.5x-g4-rounded", "v1-0.5x-g8")
_V1_WHOLE = tuple(f"v1-1.0x-g{groups}" for groups in (1, 2, 3, 4, 8))
SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "40mflops": _at(
            "0.5x",
            38,
            "v2-0.5x",
            _V1_HALF,
            ("mobilenet-v1-0.25", "mobilenet-v2-0.15", "mobilenet-v3-small", "mnasnet-0.5", "squeezenet-1.1"),
        ),
        "140mflops": _at(
            "1.0x",
            140,
            "v2-1.0x",
            _V1_WHOLE,
            ("mobilenet-v1-0.5", "mobilenet-v2-0.6", "mobilenet-v3-large", "mnasnet-1.0", "squeezenet-1.0"),
        ),
        **{name: table.networks for name, table in PUBLISHED.items()},
    }
)
"""Sets by name: all that the papers compare near 40 and near 140 MFLOPs, and the networks of their tables."""
ALL = "all"


def named_network(text: str) -> ComparedNetwork:
    """The network that a text names: a preset, one with changes, a hand-designed one, a unit at FLOPs, a JSON file.

    Raises:
        InputError: it names none, or one that cannot be.
    """
    base, *changes = text.split("+")
    if base in PRESETS or base in ROUNDED:
        architecture = _changed(PRESETS[base] if base in PRESETS else _rounded(base), changes)
        return ComparedNetwork(text, SHUFFLENET_V1 if architecture.unit == "v1" else SHUFFLENET_V2, architecture)
    if text in REFERENCE_FAMILIES:
        return ComparedNetwork(text, REFERENCE_FAMILIES[text], HandDesigned(text))
    if text in MOBILENET_V2_WIDTHS:
        return ComparedNetwork(text, MOBILENET, HandDesigned(text))
    if "@" in text:
        width_for(*unit_and_macs(text))
        return ComparedNetwork(text, UNITS, HandDesigned(text))
    if not text.endswith(".json"):
        raise InputError(
            f"a network to compare is a preset, also with changes (v2-1.0x+{'+'.join(CHANGES)}), one of "
            f"{', '.join(name for name in (*REFERENCE_FAMILIES, *MOBILENET_V2_WIDTHS) if name not in PRESETS)}, a unit "
            f"at its FLOPs (vgg-like@38mflops) or a JSON file; got {text!r}"
        )
    return ComparedNetwork(Path(text).stem, FOUND, read_architecture(text))


def networks_of(set_name: str) -> tuple[str, ...]:
    """The names of a set's networks, each once; of several joined by commas, or of all.

    Raises:
        InputError: there is no such set.
    """
    names = list(SETS) if set_name == ALL else [name.strip() for name in set_name.split(",")]
    for name in names:
        if name not in SETS:
            raise InputError(f"--set must be {ALL} or some of {', '.join(SETS)}, joined by commas; got {set_name!r}")
    return tuple(dict.fromkeys(network for name in names for network in SETS[name]))


def _changed(architecture: Architecture, changes: list[str]) -> Architecture:
    for change in changes:
        if change not in CHANGES:
            raise InputError(f"a change must be one of {', '.join(CHANGES)}, joined by +; got {change!r}")
        architecture = CHANGES[change](architecture)
    return architecture


def _rounded(name: str) -> Architecture:
    groups, width = ROUNDED[name]
    widths = (width, 2 * width, 4 * width)
    stages = tuple(Stage(depth, each, groups) for depth, each in zip((4, 8, 4), widths, strict=True))
    return Architecture("v1", _ROUNDED_STEM, 0, stages)
