"""Architecture -> layers and units as data. The only place that knows what is inside a unit.

`cost` folds a plan, `proxies.network` instantiates it; neither knows a unit, so they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from search_space.architecture import Architecture, Stage
from search_space.errors import InputError

STEM_STRIDES = (4, 2, 1)
NO_CLASSIFIER = 0
"""In place of a number of classes: neither classifier nor head. The plan is that of a backbone, and each of its stages
gives out a map of features."""


class Layer(NamedTuple):
    """One layer. `kind` is a row of `proxies.network.LAYERS`; every spatial layer pads by kernel // 2.

    `groups` is a convolution's groups or a shuffle's; `squeeze` the inner width of squeeze-and-excitation. A named
    tuple, since it is made in a quarter of a dataclass's time and a search costs thousands of plans.
    """

    kind: str
    c_in: int
    c_out: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    squeeze: int = 0

    @property
    def is_depthwise(self) -> bool:
        """Whether it is a convolution in space of each channel by itself."""
        return self.kind == "conv" and self.kernel > 1 and self.groups == self.c_in == self.c_out


@dataclass(frozen=True, slots=True)
class Branch:
    """A chain of layers over the channels [start, stop) of the unit's input; `residual` adds those to its output."""

    layers: tuple[Layer, ...]
    start: int
    stop: int
    residual: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """Branches over one input, joined by "concat" (in their order) or "add", then the layers of `tail`."""

    c_in: int
    branches: tuple[Branch, ...]
    join: str = "concat"
    tail: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A network as units in order. A stage's units after the first are one object, so that it is costed once.

    Without a classifier it is a backbone's, whose outputs are those of its stages.
    """

    stem: Unit
    stages: tuple[tuple[Unit, ...], ...]
    head: Unit | None
    classifier: Unit | None

    def units(self) -> Iterator[tuple[str, Unit]]:
        """The units in order with their names; stages are numbered from 2, as in both papers' tables."""
        yield "stem", self.stem
        for number, stage in enumerate(self.stages, start=2):
            for position, unit in enumerate(stage):
                yield f"stage{number}.{position}", unit
        if self.head is not None:
            yield "head", self.head
        if self.classifier is not None:
            yield "classifier", self.classifier

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """The layers in order, by the names that `search_space.cost` gives them; joins are no layers."""
        for name, unit in self.units():
            for number, branch in enumerate(unit.branches):
                yield from _numbered(f"{name}.branches.{number}", branch.layers)
            yield from _numbered(f"{name}.tail", unit.tail)


def unit_of(name: str) -> str:
    """The name of the unit that a layer of this name, or anything named alike, stands in."""
    first, second = (*name.split("."), "")[:2]
    return f"{first}.{second}" if first.startswith("stage") and second else first


def _numbered(place: str, layers: tuple[Layer, ...]) -> Iterator[tuple[str, Layer]]:
    return ((f"{place}.{position}", layer) for position, layer in enumerate(layers))


def plan_of(architecture: Architecture, num_classes: int = 1000, in_channels: int = 3, stem_stride: int = 4) -> Plan:
    """The plan of `architecture` for a task.

    `stem_stride` 4 is the published stem (convolution and max pool of stride 2), 2 leaves the pool out, 1 has the
    convolution at stride 1 as well: for small images. `NO_CLASSIFIER` for `num_classes` gives the plan of a backbone.

    Raises:
        InputError: a task that no network can be planned for.
    """
    if type(stem_stride) is not int or stem_stride not in STEM_STRIDES:
        raise InputError(f"stem_stride must be one of {STEM_STRIDES}, got {stem_stride!r}")
    for name, value, least in (("num_classes", num_classes, NO_CLASSIFIER), ("in_channels", in_channels, 1)):
        if type(value) is not int or value < least:
            raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    stages = []
    c_in = architecture.stem
    for position, stage in enumerate(architecture.stages):
        stages.append(stage_units(architecture, stage, c_in, first_of_all=position == 0))
        c_in = stage.width
    head, classifier = tail_units(architecture, c_in, num_classes)
    stem = stem_unit(architecture.stem, architecture.activation, in_channels, stem_stride)
    return Plan(stem, tuple(stages), head, classifier)


def stage_units(architecture: Architecture, stage: Stage, c_in: int, *, first_of_all: bool) -> tuple[Unit, ...]:
    """The units of one stage, of `architecture`'s unit and options, for `c_in` channels that come in."""
    unit = _UNITS[architecture.unit]
    first = unit(architecture, stage, c_in, 2, first_of_all)
    return (first,) + (unit(architecture, stage, stage.width, 1, False),) * (stage.depth - 1)


def tail_units(architecture: Architecture, c_in: int, num_classes: int) -> tuple[Unit | None, Unit | None]:
    """The head (None where its width is 0) and the classifier over `c_in` channels; of a backbone neither."""
    if num_classes == NO_CLASSIFIER:
        return None, None
    c = architecture.head or c_in
    head = chain(c_in, *conv_layers(c_in, c, act=architecture.activation)) if architecture.head else None
    return head, classifier_unit(c, num_classes)


def stem_unit(c: int, act: str, in_channels: int, stem_stride: int) -> Unit:
    """The stem of `c` channels, for images of `in_channels`; see `plan_of` for `stem_stride`."""
    conv = conv_layers(in_channels, c, kernel=3, stride=1 if stem_stride == 1 else 2, act=act)
    pool = (Layer("maxpool", c, c, kernel=3, stride=2),) if stem_stride == 4 else ()
    return chain(in_channels, *conv, *pool)


def classifier_unit(c: int, num_classes: int) -> Unit:
    """The mean over the pixels of `c` channels, and a linear layer."""
    return chain(c, Layer("globalpool", c, c), Layer("linear", c, num_classes))


def _v1_unit(architecture: Architecture, stage: Stage, c_in: int, stride: int, first_of_all: bool) -> Unit:
    """Zhang 2017, fig. 2 b (stride 1) and c (stride 2).

    The very first 1x1 is not grouped (table 1's caption). Of the concatenation the paper gives no order; here the
    branch stands first, then the pooled input.
    """
    act = architecture.activation
    inner = stage.width // architecture.bottleneck.denominator
    c_out = stage.width - c_in if stride == 2 else stage.width
    main = (
        *conv_layers(c_in, inner, groups=1 if first_of_all else stage.groups, act=act),
        *_shuffle(architecture, inner, stage.groups),
        *_depthwise(inner, stage.kernel, stride),
        *conv_layers(inner, c_out, groups=stage.groups),
        *_se(stage, c_out),
    )
    shortcut = (Layer("avgpool", c_in, c_in, kernel=3, stride=2),) if stride == 2 else ()
    branches = (Branch(main, 0, c_in), Branch(shortcut, 0, c_in))
    return Unit(c_in, branches, "concat" if stride == 2 else "add", (Layer(act, stage.width, stage.width),))


def _v2_unit(architecture: Architecture, stage: Stage, c_in: int, stride: int, first_of_all: bool) -> Unit:
    """Ma 2018, fig. 3 c (stride 1) and d (stride 2), with a split ratio other than the paper's 1/2 and groups.

    With groups the 1x1 convolutions of both branches are grouped. The join's shuffle has as many groups as the
    ratio's denominator: with 2 the channels of a 1/4 split mix too slowly.
    """
    assert stage.split is not None
    act = architecture.activation
    main_width = stage.main_width
    other_width = stage.width - main_width
    c_main = c_in if stride == 2 else main_width
    main = (
        *(_depthwise(c_main, 3, 1) if architecture.pre_depthwise else ()),
        *(_xception if stage.xception else _shuffle_block)(architecture, stage, c_main, stride),
        *_se(stage, main_width),
    )
    if stride == 2:
        other = (*_depthwise(c_in, stage.kernel, 2), *conv_layers(c_in, other_width, groups=stage.groups, act=act))
        branches = (Branch(other, 0, c_in), Branch(main, 0, c_in))
    else:
        passed = Branch((), 0, other_width)
        branches = (passed, Branch(main, other_width, stage.width, residual=architecture.residual))
    return Unit(c_in, branches, "concat", _shuffle(architecture, stage.width, stage.split.denominator))


def _shuffle_block(architecture: Architecture, stage: Stage, c_in: int, stride: int) -> tuple[Layer, ...]:
    """The main branch of Ma 2018, fig. 3: a depthwise convolution between two 1x1."""
    c, act = stage.main_width, architecture.activation
    return (
        *conv_layers(c_in, c, groups=stage.groups, act=act),
        *_shuffle(architecture, c, stage.groups),
        *_depthwise(c, stage.kernel, stride),
        *conv_layers(c, c, groups=stage.groups, act=act),
    )


def _xception(architecture: Architecture, stage: Stage, c_in: int, stride: int) -> tuple[Layer, ...]:
    """The main branch of Guo 2019, Single Path One-Shot: three depthwise-separable convolutions.

    The first has the stride. Theirs are 3x3 without groups; here with the stage's kernel, and with a shuffle between
    grouped 1x1 convolutions.
    """
    c, act = stage.main_width, architecture.activation
    layers: tuple[Layer, ...] = ()
    for number in range(3):
        c_in, stride = (c_in, stride) if number == 0 else (c, 1)
        layers += (*_depthwise(c_in, stage.kernel, stride), *conv_layers(c_in, c, groups=stage.groups, act=act))
        layers += _shuffle(architecture, c, stage.groups) if number < 2 else ()
    return layers


_UNITS = {"v1": _v1_unit, "v2": _v2_unit}


def chain(c_in: int, *layers: Layer) -> Unit:
    """The unit of one branch of these layers."""
    return Unit(c_in, (Branch(layers, 0, c_in),))


def conv_layers(
    c_in: int, c_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1, act: str = ""
) -> tuple[Layer, ...]:
    """A convolution and its batch norm, and the activation `act` unless that is empty."""
    conv = (Layer("conv", c_in, c_out, kernel, stride, groups), Layer("batchnorm", c_out, c_out))
    return (*conv, Layer(act, c_out, c_out)) if act else conv


def _depthwise(c: int, kernel: int, stride: int) -> tuple[Layer, ...]:
    return conv_layers(c, c, kernel=kernel, stride=stride, groups=c)


def _shuffle(architecture: Architecture, c: int, groups: int) -> tuple[Layer, ...]:
    return (Layer("shuffle", c, c, groups=groups),) if architecture.shuffle and groups > 1 else ()


def _se(stage: Stage, c: int) -> tuple[Layer, ...]:
    return (Layer("se", c, c, squeeze=max(8, c // 4)),) if stage.se else ()
