"""Sets of networks that are compared: all near one level of FLOPs, and those of the papers' tables."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from search_space.baseline_units import OTHER_UNITS
from search_space.errors import InputError
from studies.papers.published_accuracies import PUBLISHED


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
