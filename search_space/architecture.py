"""An architecture as a value: what a ShuffleNet of this design space is, checked when it is made, JSON both ways."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

from search_space.bounds import RESOLUTIONS
from search_space.errors import InputError
from search_space.reading import shown

SCHEMA = 1
UNITS = ("v1", "v2")
ACTIVATIONS = ("relu", "hardswish")
KERNELS = (3, 5, 7)
LARGEST_DENOMINATOR = 8
NUM_STAGES = 3
LARGEST_DEPTH, LARGEST_WIDTH = 100, 8192
LARGEST_SUM = 2**32
"""The most that depth x width x width of all stages may come to: twice the weights of a network, or 8 GB of them.

What lies beyond these bounds is a mistake or an attack, and is refused where it is read."""
BOTTLENECK = Fraction(1, 4)
"""A v1 unit's inner width as a share of its output, as published (Zhang 2017, sec. 3.3)."""
BOTTLENECKS = (Fraction(1, 8), BOTTLENECK, Fraction(1, 2))


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: `depth` units of `width` output channels, of which the first has stride 2.

    `groups` is that of the 1x1 convolutions, `split` the share of channels a v2 unit works on (None for v1), `kernel`
    the depthwise convolution's, `se` whether squeeze-and-excitation stands at the end of the main branch. With
    `xception` a v2 unit's main branch is three depthwise-separable convolutions (Guo 2019, Single Path One-Shot).

    Raises:
        InputError: a number no unit can be built from, whatever its neighbours.
    """

    depth: int
    width: int
    groups: int = 1
    split: Fraction | None = None
    kernel: int = 3
    se: bool = False
    xception: bool = False

    def __post_init__(self) -> None:
        for name in ("depth", "width", "groups"):
            _require_int(name, getattr(self, name), at_least=1)
        if not _is_int(self.kernel) or self.kernel not in KERNELS:
            raise InputError(f"kernel must be one of {_listed(KERNELS)}, got {shown(self.kernel)}")
        for name in ("se", "xception"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be true or false, got {shown(getattr(self, name))}")
        if self.split is not None:
            _check_split(self.split)

    @property
    def main_width(self) -> int:
        """Channels of the branch that computes: split x width for v2; a v1 stage has no split and no such number."""
        if self.split is None:
            raise InputError("main_width belongs to a v2 stage; this one has no split")
        return self.split.numerator * self.width // self.split.denominator


@dataclass(frozen=True, slots=True)
class Architecture:
    """A whole network but for its task: input channels, classes and the stem's stride come with the task.

    `bottleneck` is a v1 unit's inner width as a share of its output. `resolution` is the height and width in pixels of
    the images it is for where the search chose them; None is the task's.

    Raises:
        InputError: options that exclude each other, or a grouped convolution or split that does not divide.
    """

    unit: str
    stem: int
    head: int
    stages: tuple[Stage, ...]
    activation: str = "relu"
    residual: bool = False
    pre_depthwise: bool = False
    shuffle: bool = True
    bottleneck: Fraction = BOTTLENECK
    resolution: int | None = None

    def __post_init__(self) -> None:
        _check_options(self)
        c_in = self.stem
        for number, stage in enumerate(self.stages, start=2):
            where = f"stage {number} of unit {self.unit}"
            if self.unit == "v1":
                _check_v1_stage(stage, c_in, where, self.bottleneck)
            else:
                _check_v2_stage(stage, c_in, where)
            c_in = stage.width

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain JSON values, schema 1; `from_dict` takes it back.

        Options that came after schema 1's first files are left out at their default, so that keys stay what they were.
        """
        fields = {name: getattr(self, name) for name in ("unit", "stem", "head", *_FIRST_OPTIONS)}
        if self.bottleneck != BOTTLENECK:
            fields["bottleneck"] = str(self.bottleneck)
        if self.resolution is not None:
            fields["resolution"] = self.resolution
        return {"schema": SCHEMA, **fields, "stages": list(map(_stage_to_dict, self.stages))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Architecture:
        """The architecture that `data`, JSON of schema 1, describes; options left out have their default.

        Raises:
            InputError: another schema, a key that is missing or unknown, or an architecture that cannot be built.
        """
        _check_keys("an architecture", data, required=("schema", "unit", "stem", "head", "stages"), optional=_OPTIONS)
        if type(data["schema"]) is not int or data["schema"] != SCHEMA:
            raise InputError(f"schema must be {SCHEMA}, got {shown(data['schema'])}: this version reads no other")
        if not isinstance(data["stages"], list | tuple):
            raise InputError(f"stages must be a list of {NUM_STAGES} stages, got {shown(data['stages'])}")
        if len(data["stages"]) != NUM_STAGES:
            raise InputError(f"an architecture has {NUM_STAGES} stages, got {len(data['stages'])}")
        fields = {name: value for name, value in data.items() if name not in ("schema", "stages")}
        if "bottleneck" in fields:
            fields["bottleneck"] = parse_bottleneck(fields["bottleneck"])
        stages = tuple(_stage_from_dict(row) for row in data["stages"])
        _check_size(data, stages)
        return cls(**fields, stages=stages)

    def pixels(self, usual: int) -> int:
        """Height and width of the images that it is for: its own resolution where it has one, else `usual`."""
        return usual if self.resolution is None else self.resolution

    def without_resolution(self) -> Architecture:
        """The same for images of any size, such as those that it is trained on."""
        return replace(self, resolution=None)

    def key(self) -> str:
        """16 hexadecimal digits that name the architecture: the same in every process, version and order of keys."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def short_name(self) -> str:
        """What it is called where nobody gave it a name: "v2-1a2b3c4d"."""
        return f"{self.unit}-{self.key()[:8]}"


_FIRST_OPTIONS = ("activation", "residual", "pre_depthwise", "shuffle")
_OPTIONS = (*_FIRST_OPTIONS, "bottleneck", "resolution")


def parse_bottleneck(text: Any) -> Fraction:
    """The bottleneck ratio that a text like "1/4" names.

    Raises:
        InputError: none of `BOTTLENECKS`.
    """
    for bottleneck in BOTTLENECKS:
        if text == str(bottleneck):
            return bottleneck
    raise InputError(f'bottleneck must be one of {_listed(BOTTLENECKS)} in quotes, such as "1/4", got {shown(text)}')


def parse_split(text: Any) -> Fraction:
    """The split ratio that a text like "1/2" names.

    Raises:
        InputError: not a fraction between 0 and 1 with a denominator up to 8.
    """
    try:  # of few characters: the number that an exponent stands for may have millions of digits
        split = Fraction(text) if isinstance(text, str) and re.fullmatch(r"[0-9./]{1,20}", text) else None
    except (ValueError, ZeroDivisionError):
        split = None
    if split is None:
        raise InputError(f'split must be a fraction in quotes, such as "1/2", got {shown(text)}')
    _check_split(split)
    return split


def _check_split(split: Fraction) -> None:
    if not isinstance(split, Fraction) or not 0 < split < 1 or split.denominator > LARGEST_DENOMINATOR:
        raise InputError(f"split must lie between 0 and 1 with a denominator up to {LARGEST_DENOMINATOR}, got {split}")


def _stage_to_dict(stage: Stage) -> dict[str, Any]:
    row = asdict(stage)
    if stage.split is None:
        del row["split"]
    else:
        row["split"] = str(stage.split)
    if not stage.xception:
        del row["xception"]
    return row


def _stage_from_dict(row: Any) -> Stage:
    if not isinstance(row, Mapping):
        raise InputError(f"a stage must be an object with depth and width, got {shown(row)}")
    _check_keys("a stage", row, required=("depth", "width"), optional=("groups", "split", "kernel", "se", "xception"))
    fields = dict(row)
    if fields.get("split") is not None:
        fields["split"] = parse_split(fields["split"])
    return Stage(**fields)


def _check_size(data: Mapping[str, Any], stages: tuple[Stage, ...]) -> None:
    """Refuses what a file may state and no machine holds."""
    for name in ("stem", "head"):
        _require_int(name, data[name], at_least=0, at_most=LARGEST_WIDTH)
    for number, stage in enumerate(stages, start=2):
        _require_int(f"stage {number}: depth", stage.depth, at_least=1, at_most=LARGEST_DEPTH)
        for name in ("width", "groups"):
            _require_int(f"stage {number}: {name}", getattr(stage, name), at_least=1, at_most=LARGEST_WIDTH)
    if (size := sum(stage.depth * stage.width**2 for stage in stages)) > LARGEST_SUM:
        raise InputError(f"depth x width x width of all stages must come to at most {LARGEST_SUM}, got {size}")


def _check_keys(what: str, data: Mapping[str, Any], *, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    if not isinstance(data, Mapping):
        raise InputError(f"{what} must be a JSON object, got {shown(data)}")
    if missing := [name for name in required if name not in data]:
        raise InputError(f"{what} needs the key {missing[0]!r}; it has {shown(sorted(map(str, data)))}")
    if unknown := [name for name in data if name not in required + optional]:
        raise InputError(f"{what} has no key {shown(unknown[0])}; it may have {_listed(required + optional)}")


def _check_options(architecture: Architecture) -> None:
    if architecture.unit not in UNITS:
        raise InputError(f"unit must be one of {_listed(UNITS)}, got {shown(architecture.unit)}")
    if architecture.activation not in ACTIVATIONS:
        raise InputError(f"activation must be one of {_listed(ACTIVATIONS)}, got {shown(architecture.activation)}")
    for name in ("residual", "pre_depthwise", "shuffle"):
        if not isinstance(getattr(architecture, name), bool):
            raise InputError(f"{name} must be true or false, got {shown(getattr(architecture, name))}")
    for name in ("residual", "pre_depthwise"):
        if architecture.unit == "v1" and getattr(architecture, name):
            raise InputError(f"{name} belongs to the v2 unit; with unit 'v1' it must be false")
    if not isinstance(architecture.bottleneck, Fraction) or architecture.bottleneck not in BOTTLENECKS:
        raise InputError(f"bottleneck must be one of {_listed(BOTTLENECKS)}, got {shown(architecture.bottleneck)}")
    if architecture.unit == "v2" and architecture.bottleneck != BOTTLENECK:
        raise InputError(f"bottleneck belongs to the v1 unit; with unit 'v2' it must be {BOTTLENECK}, or absent")
    if architecture.resolution is not None:
        RESOLUTIONS.check("resolution", architecture.resolution)
    _require_int("stem", architecture.stem, at_least=1)
    _require_int("head", architecture.head, at_least=0)
    if len(architecture.stages) != NUM_STAGES:
        raise InputError(f"an architecture has {NUM_STAGES} stages, got {len(architecture.stages)}")


def _check_v1_stage(stage: Stage, c_in: int, where: str, bottleneck: Fraction) -> None:
    if stage.xception:
        raise InputError(f"{where}: xception belongs to the v2 unit; in a v1 stage it must be false")
    if stage.split is not None:
        raise InputError(f"{where}: split must be absent, a v1 unit does not split; got {stage.split}")
    if stage.width % (step := bottleneck.denominator * stage.groups):
        raise InputError(
            f"{where}: width must be a multiple of {bottleneck.denominator} x groups = {step} "
            f"so that the bottleneck divides into groups, got {stage.width}"
        )
    if stage.width <= c_in:
        raise InputError(f"{where}: width must exceed the {c_in} channels that come in, got {stage.width}")
    # In stage 2 only the last 1x1 is grouped; its width - c_in outputs divide exactly when c_in does.
    _require_divides(c_in, stage.groups, f"{where}: the channels that come in")


def _check_v2_stage(stage: Stage, c_in: int, where: str) -> None:
    if stage.split is None:
        raise InputError(f'{where}: split is missing, such as "1/2"')
    if stage.width % stage.split.denominator:
        raise InputError(f"{where}: split {stage.split} of width {stage.width} is not a whole number of channels")
    main = stage.main_width
    _require_divides(c_in, stage.groups, f"{where}: the channels that come in")
    _require_divides(main, stage.groups, f"{where}: the main branch's width, split x width,")
    _require_divides(stage.width - main, stage.groups, f"{where}: the other branch's width")


def _require_divides(channels: int, groups: int, what: str) -> None:
    if channels % groups:
        raise InputError(f"{what} must be a multiple of groups = {groups}, got {channels}")


def _require_int(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> None:
    if not _is_int(value) or value < at_least:
        raise InputError(f"{name} must be a whole number of at least {at_least}, got {shown(value)}")
    if at_most is not None and value > at_most:
        raise InputError(f"{name} must be at most {at_most}, got {shown(value)}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names)
