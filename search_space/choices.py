"""What a search may choose among, read from a TOML file and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from search_space.architecture import (
    ACTIVATIONS,
    BOTTLENECK,
    KERNELS,
    LARGEST_DEPTH,
    LARGEST_SUM,
    LARGEST_WIDTH,
    NUM_STAGES,
    UNITS,
    parse_bottleneck,
    parse_split,
)
from search_space.bounds import RESOLUTIONS
from search_space.errors import InputError
from search_space.reading import read_toml, shown

MOST_VALUES, MOST_GROUPS = 100, 16
"""The most that are offered for one choice, and for groups, of which all pairs are tried when a space is made."""
LARGEST_STEM, LARGEST_GROUPS, LARGEST_GROWTH, LARGEST_ALIGNMENT = 1024, 1024, 10_000, 1024


@dataclass(frozen=True, slots=True)
class Choices:
    """The values offered for each choice; `default_space.toml` says what each means."""

    units: tuple[str, ...]
    stem: tuple[int, ...]
    groups: tuple[int, ...]
    splits: tuple[Fraction, ...]
    kernels: tuple[int, ...]
    se: tuple[bool, ...]
    depths: tuple[tuple[int, ...], ...]
    growths_percent: tuple[int, ...]
    heads: tuple[int, ...]
    activations: tuple[str, ...]
    fills_percent: tuple[int, ...]
    alignment: int
    max_width: int
    shuffle: tuple[bool, ...] = (True,)
    residual: tuple[bool, ...] = (False,)
    pre_depthwise: tuple[bool, ...] = (False,)
    xception: tuple[bool, ...] = (False,)
    bottlenecks: tuple[Fraction, ...] = (BOTTLENECK,)
    resolutions: tuple[int, ...] = ()

    def stems(self, groups: int) -> tuple[int, ...]:
        """The stem widths that a stage 2 of so many groups can follow."""
        return tuple(stem for stem in self.stem if stem % groups == 0)

    @classmethod
    def default(cls) -> Choices:
        """The choices of the default space."""
        return cls.shipped("default")

    @classmethod
    def shipped(cls, name: str) -> Choices:
        """The choices of a space that ships: "default" or "small"."""
        file = f"{name}_space.toml"
        text = files("search_space").joinpath(file).read_text(encoding="utf-8")
        return _choices_from(tomllib.loads(text), file)

    @classmethod
    def from_file(cls, path: str | Path) -> Choices:
        """The choices that a TOML file states.

        Raises:
            InputError: no readable TOML file, a key that is missing or unknown, or a value no unit can be built with.
        """
        return _choices_from(read_toml(Path(path), "a space is a TOML file"), str(path))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Choices:
        """The choices that `to_dict` wrote."""
        return _choices_from(data, "the choices kept")

    def to_dict(self) -> dict[str, Any]:
        """The choices as plain JSON values, for provenance and for comparing two runs.

        What came after 0.1.0 is left out where it offers nothing, so that older studies go on.
        """
        rows = {field.name: getattr(self, field.name) for field in fields(self) if field.name in _NEEDED}
        rows |= {field.name: value for field in _OPTIONAL if (value := getattr(self, field.name)) != field.default}
        if len(self.stem) == 1:
            rows["stem"] = self.stem[0]
        return {name: _plain(value) for name, value in rows.items()}


_OPTIONAL = tuple(field for field in fields(Choices) if field.default is not MISSING)
_NEEDED = tuple(field.name for field in fields(Choices) if field.default is MISSING)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Fraction) else value


def _choices_from(data: Mapping[str, Any], where: str) -> Choices:
    names = [field.name for field in fields(Choices)]
    if unknown := [name for name in data if name not in names]:
        raise InputError(f"{where}: there is no key {shown(unknown[0])}; a space has {', '.join(names)}")
    if missing := [name for name in _NEEDED if name not in data]:
        raise InputError(f"{where}: the key {missing[0]!r} is missing; copy it from the default space")
    try:
        choices = Choices(**{name: _CHECKS[name](name, data[name]) for name in names if name in data})
        _check_units(choices)
        _check_size(choices)
        return choices
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_units(choices: Choices) -> None:
    """Refuses what none of the units takes."""
    for name, unit, offered in (
        ("residual", "v2", any(choices.residual)),
        ("pre_depthwise", "v2", any(choices.pre_depthwise)),
        ("xception", "v2", any(choices.xception)),
        ("bottlenecks", "v1", choices.bottlenecks != (BOTTLENECK,)),
    ):
        if offered and unit not in choices.units:
            raise InputError(
                f"{name} belongs to the {unit} unit, and units are {', '.join(choices.units)}: add {unit!r} to units, "
                f"or leave {name} out"
            )
    if any(choices.residual) and all(depths[-1] == 1 for depths in choices.depths):
        raise InputError(
            "residual changes nothing where no stage is deeper than 1, for the first unit of a stage has none: add "
            "depths, or leave residual out"
        )
    if False in choices.shuffle and choices.units == ("v1",) and choices.groups == (1,):
        raise InputError(
            "shuffle changes nothing where units are v1 and groups are 1: then nothing is shuffled; add groups, or "
            "leave shuffle out"
        )


def _check_size(choices: Choices) -> None:
    """Refuses what no machine holds: see `search_space.architecture.LARGEST_SUM`."""
    largest = sum(depths[-1] for depths in choices.depths) * choices.max_width**2
    if largest > LARGEST_SUM:
        raise InputError(
            f"the largest depths, summed, x max_width x max_width must come to at most {LARGEST_SUM}, got {largest}: "
            "lower max_width"
        )


def _listed(name: str, value: Any, most_values: int = MOST_VALUES) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{name} must be a list of at least one value, got {shown(value)}")
    if len(value) > most_values:
        raise InputError(f"{name} must hold at most {most_values} values, got {len(value)}")
    if len({shown(item) for item in value}) < len(value):
        raise InputError(f"{name} must not repeat a value, got {shown(value)}")
    return value


def _among(allowed: tuple[Any, ...]) -> Any:
    def check(name: str, value: Any) -> tuple[Any, ...]:
        for item in _listed(name, value):
            if type(item) is not type(allowed[0]) or item not in allowed:
                raise InputError(f"{name} must be among {', '.join(map(_as_toml, allowed))}, got {shown(item)}")
        return tuple(value)

    return check


def _as_toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _integer(at_least: int, at_most: int) -> Any:
    def check(name: str, value: Any) -> int:
        if type(value) is not int or value < at_least:
            raise InputError(f"{name} must be a whole number of at least {at_least}, got {shown(value)}")
        if value > at_most:
            raise InputError(f"{name} must be at most {at_most}, got {shown(value)}")
        return value

    return check


def _integers(at_least: int, at_most: int, most_values: int = MOST_VALUES) -> Any:
    def check(name: str, value: Any) -> tuple[int, ...]:
        return tuple(sorted(_integer(at_least, at_most)(name, item) for item in _listed(name, value, most_values)))

    return check


def _even(at_least: int, at_most: int) -> Any:
    def check(name: str, value: Any) -> tuple[int, ...]:
        values: tuple[int, ...] = _integers(at_least, at_most)(name, value)
        if len({b - a for a, b in pairwise(values)}) > 1:
            raise InputError(f"{name} must be evenly spaced, such as 2, 4, 6; got {shown(value)}")
        return values

    return check


def _splits(name: str, value: Any) -> tuple[Fraction, ...]:
    try:
        splits = tuple(parse_split(item) for item in _listed(name, value))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    if len(set(splits)) < len(splits):
        raise InputError(f"{name} must not repeat a ratio, got {shown(value)}")
    return splits


def _bottlenecks(name: str, value: Any) -> tuple[Fraction, ...]:
    try:
        return tuple(parse_bottleneck(item) for item in _listed(name, value))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _stems(name: str, value: Any) -> tuple[int, ...]:
    stems: tuple[int, ...] = _even(1, LARGEST_STEM)(name, value if isinstance(value, list) else [value])
    return stems


def _kernels(name: str, value: Any) -> tuple[int, ...]:
    _among(KERNELS)(name, value)
    kernels: tuple[int, ...] = _even(1, max(KERNELS))(name, value)
    return kernels


def _depths(name: str, value: Any) -> tuple[tuple[int, ...], ...]:
    if not isinstance(value, list) or len(value) != NUM_STAGES:
        raise InputError(f"{name} must hold {NUM_STAGES} lists, one a stage; got {shown(value)}")
    return tuple(_even(1, LARGEST_DEPTH)(name, item) for item in value)


_CHECKS: dict[str, Any] = {
    "units": _among(UNITS),
    "stem": _stems,
    "groups": _integers(1, LARGEST_GROUPS, MOST_GROUPS),
    "splits": _splits,
    "kernels": _kernels,
    "se": _among((False, True)),
    "depths": _depths,
    "growths_percent": _even(1, LARGEST_GROWTH),
    "heads": _even(0, LARGEST_WIDTH),
    "activations": _among(ACTIVATIONS),
    "fills_percent": _even(1, 100),
    "alignment": _integer(1, LARGEST_ALIGNMENT),
    "max_width": _integer(1, LARGEST_WIDTH),
    "shuffle": _among((False, True)),
    "residual": _among((False, True)),
    "pre_depthwise": _among((False, True)),
    "xception": _among((False, True)),
    "bottlenecks": _bottlenecks,
    "resolutions": _even(int(RESOLUTIONS.least), int(RESOLUTIONS.most)),
}
