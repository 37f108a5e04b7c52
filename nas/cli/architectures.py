"""Networks as every command line names them: presets and what is changed in them, hand-designed ones, JSON files.

V1's widths at 0.5x and 0.25x divide into neither 2 nor 4 groups, and the paper does not say which it took, but for 576
in stage 4 at 0.5x with 4 (Zhang 2017, sec. 4.2). The others are here rounded to what counts nearest to the table's
MFLOPs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

from proxies.references.names import (
    MOBILENET,
    MOBILENET_V2_WIDTHS,
    REFERENCE_FAMILIES,
    SHUFFLENET_V1,
    SHUFFLENET_V2,
)
from search_space.architecture import Architecture, Stage
from search_space.baseline_units import unit_and_macs, width_for
from search_space.errors import InputError
from search_space.hand_designed import HandDesigned
from search_space.presets import PRESETS
from search_space.reading import read_json

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


def _with(**changes: Any) -> Callable[[Architecture], Architecture]:
    return lambda architecture: replace(architecture, **changes)


def _with_stages(**changes: Any) -> Callable[[Architecture], Architecture]:
    return lambda architecture: replace(
        architecture, stages=tuple(replace(stage, **changes) for stage in architecture.stages)
    )


_BOTTLENECKS = {"half-bottleneck": Fraction(1, 2), "eighth-bottleneck": Fraction(1, 8)}
CHANGES: Mapping[str, Callable[[Architecture], Architecture]] = MappingProxyType(
    {
        "no-shuffle": _with(shuffle=False),
        "residual": _with(residual=True),
        "se": _with_stages(se=True),
        "pre-depthwise": _with(pre_depthwise=True),
        "xception": _with_stages(xception=True),
        **{name: _with(bottleneck=bottleneck) for name, bottleneck in _BOTTLENECKS.items()},
    }
)
"""What may be changed in a preset, as in "v2-1.0x+residual+se"."""


@dataclass(frozen=True, slots=True)
class NamedNetwork:
    """A network by the name and the family that it is shown under."""

    name: str
    family: str
    network: Architecture | HandDesigned


_WITH_CHANGES = f"also with changes joined by + (v2-1.0x+residual+se): {', '.join(CHANGES)}"
ARCHITECTURES = f"presets, {_WITH_CHANGES}; and JSON files"
"""What commands take that need an architecture of the space."""
NETWORKS = f"{ARCHITECTURES}; hand-designed networks (mobilenet-v2), and units at their FLOPs (vgg-like@38mflops)"
"""What commands take that need any network."""


def named_network(text: str) -> NamedNetwork:
    """The network that a text names: a preset, one with changes, a hand-designed one, a unit at FLOPs, a JSON file.

    Names may be in capitals.

    Raises:
        InputError: it names none, or one that cannot be.
    """
    given = text
    if not text.endswith(".json") and not Path(text).is_file():
        text = text.lower()
    base, *changes = text.split("+")
    if base in PRESETS or base in ROUNDED:
        architecture = _changed(PRESETS[base] if base in PRESETS else _rounded(base), changes)
        return NamedNetwork(text, SHUFFLENET_V1 if architecture.unit == "v1" else SHUFFLENET_V2, architecture)
    if text in REFERENCE_FAMILIES:
        return NamedNetwork(text, REFERENCE_FAMILIES[text], HandDesigned(text))
    if text in MOBILENET_V2_WIDTHS:
        return NamedNetwork(text, MOBILENET, HandDesigned(text))
    if text.endswith(".json") or Path(text).is_file():
        return NamedNetwork(Path(text).stem, FOUND, _read(Path(text)))
    if "@" in text:
        width_for(*unit_and_macs(text))
        return NamedNetwork(text, UNITS, HandDesigned(text))
    raise InputError(
        f"a network is a preset, {_WITH_CHANGES}; one of "
        f"{', '.join(name for name in (*REFERENCE_FAMILIES, *MOBILENET_V2_WIDTHS) if name not in PRESETS)}, a unit "
        f"at its FLOPs (vgg-like@38mflops) or a JSON file; got {given!r}"
    )


def named_architecture(text: str) -> tuple[str, Architecture]:
    """The architecture of the space that a text names, with its name: the text's own, or a file's without its ending.

    Raises:
        InputError: as `named_network`, or the network is none of the space.
    """
    found = named_network(text)
    if isinstance(found.network, HandDesigned):
        raise InputError(
            f"an architecture of the space is needed here, and {text!r} is a hand-designed network, which nas.cost, "
            f"nas.compare and nas.latency references take: give {ARCHITECTURES}"
        )
    return found.name, found.network


def named_architectures(texts: Iterable[str]) -> list[tuple[str, Architecture]]:
    """The architectures of the space that the texts name, in their order, with their names.

    Raises:
        InputError: as `named_architecture`, or two of them have the same name.
    """
    found = [named_architecture(text) for text in texts]
    of_name = {name.casefold(): architecture for name, architecture in found}  # as files' names are told apart anywhere
    for name, architecture in found:
        if of_name[name.casefold()] != architecture:
            raise InputError(f"a network is shown by its name, and two are called {name!r}: rename a file")
    return found


def _read(path: Path) -> Architecture:
    if not path.exists():
        raise InputError(f"an architecture is a JSON file or a preset, and {str(path)!r} is neither: No such file")
    try:
        return Architecture.from_dict(read_json(path, "an architecture is a JSON file"))
    except InputError as error:
        named = str(error) if repr(str(path)) in str(error) else f"{str(path)!r}: {error}"
        raise InputError(named) from error


def _changed(architecture: Architecture, changes: list[str]) -> Architecture:
    for change in changes:
        if change not in CHANGES:
            raise InputError(f"a change must be one of {', '.join(CHANGES)}, joined by +; got {change!r}")
        architecture = CHANGES[change](architecture)
    if _BOTTLENECKS.keys() <= set(changes):
        raise InputError(f"a network has one bottleneck, got {' and '.join(_BOTTLENECKS)}: keep one")
    return architecture


def _rounded(name: str) -> Architecture:
    groups, width = ROUNDED[name]
    widths = (width, 2 * width, 4 * width)
    stages = tuple(Stage(depth, each, groups) for depth, each in zip((4, 8, 4), widths, strict=True))
    return Architecture("v1", _ROUNDED_STEM, 0, stages)
