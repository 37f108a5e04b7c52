"""What a search may choose among, read from a TOML file and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from search_space.architecture import ACTIVATIONS, KERNELS, NUM_STAGES, UNITS, parse_split
from search_space.errors import InputError


@dataclass(frozen=True, slots=True)
class Choices:
    """The values offered for each choice; `default_space.toml` says what each means."""

    units: tuple[str, ...]
    stem: int
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

    @classmethod
    def default(cls) -> Choices:
        """The choices of the file that ships."""
        text = files("search_space").joinpath("default_space.toml").read_text(encoding="utf-8")
        return _choices_from(tomllib.loads(text), "default_space.toml")

    @classmethod
    def from_file(cls, path: str | Path) -> Choices:
        """The choices that a TOML file states.

        Raises:
            InputError: no readable TOML file, a key that is missing or unknown, or a value no unit can be built with.
        """
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the space file {str(path)!r} cannot be read ({error}): give a TOML file") from error
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"the space file {str(path)!r} is not TOML: {error}") from error
        return _choices_from(data, str(path))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Choices:
        """The choices that `to_dict` wrote."""
        return _choices_from(data, "the choices kept")

    def to_dict(self) -> dict[str, Any]:
        """The choices as plain JSON values, for provenance and for comparing two runs."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Fraction) else value


def _choices_from(data: Mapping[str, Any], where: str) -> Choices:
    names = [field.name for field in fields(Choices)]
    if unknown := [name for name in data if name not in names]:
        raise InputError(f"{where}: there is no key {unknown[0]!r}; a space has {', '.join(names)}")
    if missing := [name for name in names if name not in data]:
        raise InputError(f"{where}: the key {missing[0]!r} is missing; copy it from the default space")
    try:
        return Choices(**{name: _CHECKS[name](name, data[name]) for name in names})
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _listed(name: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InputError(f"{name} must be a list of at least one value, got {value!r}")
    if len({repr(item) for item in value}) < len(value):
        raise InputError(f"{name} must not repeat a value, got {value!r}")
    return value


def _among(allowed: tuple[Any, ...]) -> Any:
    def check(name: str, value: Any) -> tuple[Any, ...]:
        for item in _listed(name, value):
            if type(item) is not type(allowed[0]) or item not in allowed:
                raise InputError(f"{name} must be among {', '.join(map(str, allowed))}, got {item!r}")
        return tuple(value)

    return check


def _integer(at_least: int) -> Any:
    def check(name: str, value: Any) -> int:
        if type(value) is not int or value < at_least:
            raise InputError(f"{name} must be a whole number of at least {at_least}, got {value!r}")
        return value

    return check


def _integers(at_least: int) -> Any:
    def check(name: str, value: Any) -> tuple[int, ...]:
        return tuple(sorted(_integer(at_least)(name, item) for item in _listed(name, value)))

    return check


def _even(at_least: int, at_most: int | None = None) -> Any:
    def check(name: str, value: Any) -> tuple[int, ...]:
        values: tuple[int, ...] = _integers(at_least)(name, value)
        if at_most is not None and values[-1] > at_most:
            raise InputError(f"{name} must be at most {at_most}, got {values[-1]}")
        if len({b - a for a, b in pairwise(values)}) > 1:
            raise InputError(f"{name} must be evenly spaced, such as 2, 4, 6; got {value!r}")
        return values

    return check


def _splits(name: str, value: Any) -> tuple[Fraction, ...]:
    try:
        splits = tuple(parse_split(item) for item in _listed(name, value))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    if len(set(splits)) < len(splits):
        raise InputError(f"{name} must not repeat a ratio, got {value!r}")
    return splits


def _kernels(name: str, value: Any) -> tuple[int, ...]:
    _among(KERNELS)(name, value)
    kernels: tuple[int, ...] = _even(1)(name, value)
    return kernels


def _depths(name: str, value: Any) -> tuple[tuple[int, ...], ...]:
    if not isinstance(value, list) or len(value) != NUM_STAGES:
        raise InputError(f"{name} must hold {NUM_STAGES} lists, one a stage; got {value!r}")
    return tuple(_even(1)(name, item) for item in value)


_CHECKS: dict[str, Any] = {
    "units": _among(UNITS),
    "stem": _integer(1),
    "groups": _integers(1),
    "splits": _splits,
    "kernels": _kernels,
    "se": _among((False, True)),
    "depths": _depths,
    "growths_percent": _even(1),
    "heads": _even(0),
    "activations": _among(ACTIVATIONS),
    "fills_percent": _even(1, at_most=100),
    "alignment": _integer(1),
    "max_width": _integer(1),
}
