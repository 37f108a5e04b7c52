"""Which budgets a space reaches: the smallest at which every choice has room, and the largest it can use up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from itertools import product
from typing import NamedTuple

from search_space.architecture import BOTTLENECK, Architecture, Stage
from search_space.budget import Budget
from search_space.choices import Choices
from search_space.cost import Cost, cost_of, unit_memory, unit_sums
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER, Unit, stage_units, stem_unit, tail_units
from search_space.precision import BYTES_PER_ELEMENT, FP32, INT8, bytes_of_weights, kib
from search_space.task import Task
from search_space.widths import Structure, narrowest, quanta, quantum


@dataclass(frozen=True, slots=True)
class BudgetRange:
    """Bounds on multiply-adds, on parameters, and on memory at one precision.

    Each of the smallest leaves room for every combination of choices, and all of them together do too: a combination's
    least sizes and widths are the least in all four.
    """

    smallest_macs: int
    smallest_params: int
    smallest_flash_bytes: int
    smallest_ram_bytes: int
    largest_macs: int
    largest_params: int
    largest_flash_bytes: int
    largest_ram_bytes: int


_SIZING = ("macs", "params", "flash_bytes")
"""The bounds that widths are solved for."""


class _Way(NamedTuple):
    """What a network costs up to some unit: the groups that come next, what comes in there, and the most anywhere."""

    groups: int = 1
    width: int = 0
    widest: int = 0
    macs: int = 0
    params: int = 0
    flash_bytes: int = 0
    ram_bytes: int = 0
    kept: int = 0
    """The elements of the maps that a backbone gives out later."""

    def through(
        self, unit: Unit, size: int, width: int, precision: str, *, reads_map: bool = False
    ) -> tuple[_Way, int]:
        """The same with this unit, of an input of `size` pixels and so wide an output, and the size of that."""
        macs, params, size_out = unit_sums(unit, size)
        live, weights, biases = unit_memory(unit, size, keeps_input=reads_map)
        way = _Way(
            self.groups,
            width,
            max(self.widest, width),
            self.macs + macs,
            self.params + params,
            self.flash_bytes + bytes_of_weights(weights, biases, precision),
            max(self.ram_bytes, (live + self.kept) * BYTES_PER_ELEMENT[precision]),
            self.kept + (unit.c_in * size * size if reads_map else 0),
        )
        return way, size_out

    def or_worse(self, other: _Way) -> _Way:
        """The more of both in each."""
        return _Way(*map(max, self, other))


def check_stems(choices: Choices) -> None:
    """Refuses stems that some choice of groups cannot follow.

    Raises:
        InputError: none of them is a multiple of it.
    """
    for groups in choices.groups:
        if not choices.stems(groups):
            stems = ", ".join(map(str, choices.stem))
            raise InputError(
                f"stem must offer a multiple of every choice of groups; none of {stems} is of {groups}: "
                f"add one to stem, or leave {groups} out of groups"
            )


def reach_of(choices: Choices, task: Task, precision: str = FP32) -> BudgetRange:
    """The budgets between which every combination of the choices finds widths; memory is counted at `precision`.

    Raises:
        InputError: some combination has no width up to the choices' `max_width`.
    """
    check_stems(choices)
    smallest = reduce(_Way.or_worse, (_smallest(choices, unit, task, precision) for unit in choices.units))
    if smallest.widest > choices.max_width:
        raise InputError(
            f"max_width must be at least {smallest.widest} for all groups and splits, got {choices.max_width}"
        )
    largest = [cost for unit in choices.units for cost in _largest(choices, unit, task)]
    return BudgetRange(
        smallest_macs=smallest.macs,
        smallest_params=smallest.params,
        smallest_flash_bytes=smallest.flash_bytes,
        smallest_ram_bytes=smallest.ram_bytes,
        largest_macs=max(cost.macs for cost in largest),
        largest_params=max(cost.params for cost in largest),
        largest_flash_bytes=max(cost.flash_bytes(precision) for cost in largest),
        largest_ram_bytes=max(cost.ram_bytes(precision) for cost in largest),
    )


@dataclass(frozen=True, slots=True)
class BoundReach:
    """A bound of a budget as text beside the least and the most that the space's networks cost, and what is wrong."""

    bound: str
    smallest: str
    largest: str
    flaw: str
    """"" where networks can keep to the bound, else why not."""


def bounds_of(budget: Budget, choices: Choices, task: Task) -> list[BoundReach]:
    """The budget's bounds on what a network costs, each beside what the space reaches; that on latency is measured.

    RAM is a ceiling, and any is high enough that is not too low. Of the others the tightest is used up, by the largest
    networks; one beside it may be as loose as it likes.
    """
    precision = budget.precision or FP32
    reach = reach_of(choices, task, precision)
    sizing = [name for name in _SIZING if getattr(budget, name) is not None]
    are_loose = all(getattr(budget, name) > getattr(reach, f"largest_{name}") for name in sizing)
    rows = []
    for name, text in budget.parts.items():
        if name == "latency_ms":
            continue
        bound, smallest, largest = (
            getattr(where, field)
            for where, field in ((budget, name), (reach, f"smallest_{name}"), (reach, f"largest_{name}"))
        )
        flaw = "below the smallest" if bound < smallest else "above the largest" if are_loose and name in sizing else ""
        at = f"@{precision}" if name in ("ram_bytes", "flash_bytes") else ""
        rows.append(BoundReach(text + at, amount(name, smallest, up=True), amount(name, largest, up=False), flaw))
    return rows


def check_reach(budget: Budget, choices: Choices, task: Task) -> None:
    """Refuses a budget that the space does not reach.

    Raises:
        InputError: a bound is below what its smallest network costs, or above what its largest can use.
    """
    for number, row in enumerate(bounds_of(budget, choices, task)):
        if row.flaw:
            cure = "change it or the resolution, or the choices with a space file"
            if row.bound.endswith(f"@{FP32}"):
                at_int8 = bounds_of(replace(budget, precision=INT8), choices, task)[number]
                cure += "" if at_int8.flaw else f", or count memory at int8, where {at_int8.bound} can be met"
            raise InputError(
                f"the budget {str(budget)!r} is out of this space's reach: {row.bound} is {row.flaw}, and networks "
                f"have {row.smallest} to {row.largest} at {task.described_for(choices)}: {cure}"
            )


def amount(name: str, count: int, *, up: bool) -> str:
    """So much of what a budget bounds by that name, to four digits or a tenth, rounded to where it is within reach."""
    if name == "macs":
        return f"{_millions(count, up=up)} MFLOPs"
    if name == "params":
        return f"{_millions(count, up=up)} M params"
    return kib(count, up=up)


def _millions(count: int, *, up: bool) -> str:
    """The count in millions to four digits."""
    step = 10 ** max(0, min(6, len(str(count)) - 4))
    rounded = -(-count // step) * step if up else count // step * step
    return f"{rounded / 1e6:,.6f}".rstrip("0").rstrip(".")


def splits_of(choices: Choices, unit: str) -> tuple[Fraction | None, ...]:
    """The splits that a unit can have: none at all in v1."""
    return (None,) if unit == "v1" else choices.splits


def bottlenecks_of(choices: Choices, unit: str) -> tuple[Fraction, ...]:
    """The bottlenecks that a unit can have: of v2, which has none, the one that stands for that."""
    return choices.bottlenecks if unit == "v1" else (BOTTLENECK,)


def has_xception(choices: Choices, unit: str) -> bool:
    """Whether a unit can have three depthwise-separable convolutions."""
    return unit == "v2" and max(choices.xception)


def _smallest(choices: Choices, unit: str, task: Task, precision: str) -> _Way:
    """An upper bound on the least that any combination of groups, splits and the like needs, and its widest stage.

    Stem, resolution, depths, kernels and head are at their least.
    """
    ways = (_smallest_with(choices, unit, bottleneck, task, precision) for bottleneck in bottlenecks_of(choices, unit))
    return reduce(_Way.or_worse, ways)


def _smallest_with(choices: Choices, unit: str, bottleneck: Fraction, task: Task, precision: str) -> _Way:
    """The same for one bottleneck.

    Stage by stage, for each group count that the next stage may have and each width that comes of it, the most that
    any way there costs is kept: what comes after depends on nothing else. So no network needs more, and one needs it.
    """
    sample = _sample(choices, unit, bottleneck)
    resolution = min(choices.resolutions, default=task.resolution)
    size = 0
    ways: list[_Way] = []
    for groups in choices.groups:
        stem = choices.stems(groups)[0]
        of_stem = stem_unit(stem, sample.activation, task.in_channels, 4)
        way, size = _Way(groups=groups).through(of_stem, resolution, stem, precision)
        ways.append(way)
    for position, depths in enumerate(choices.depths):
        following = choices.groups if position + 1 < len(choices.depths) else (1,)
        reads_map = position > 0 and task.num_classes == NO_CLASSIFIER
        reached: dict[tuple[int, int], _Way] = {}
        size_out = size
        for before, split, groups_after in product(ways, splits_of(choices, unit), following):
            groups = before.groups
            width = narrowest(unit, before.width, quantum(unit, groups, split, groups_after, 1, bottleneck))
            stage = Stage(
                depths[0], width, groups, split, choices.kernels[0], max(choices.se), has_xception(choices, unit)
            )
            way, size_out = before._replace(groups=groups_after), size
            parts = stage_units(sample, stage, before.width, first_of_all=position == 0)
            for number, part in enumerate(parts):
                way, size_out = way.through(part, size_out, width, precision, reads_map=reads_map and number == 0)
            there = groups_after, width
            reached[there] = way.or_worse(reached.get(there, way))
        ways, size = _worst(reached.values()), size_out
    ended = []
    for way in ways:
        at = size
        for part in filter(None, tail_units(replace(sample, head=choices.heads[0]), way.width, task.num_classes)):
            way, at = way.through(part, at, way.width, precision)
        ended.append(way)
    return reduce(_Way.or_worse, ended)


def _worst(ways: Iterable[_Way]) -> list[_Way]:
    """The ways without those than which a wider one to the same groups costs as much: costs rise with width."""
    kept: list[_Way] = []
    for way in sorted(ways, key=lambda way: -way.width):
        if not any(other.groups == way.groups and other.or_worse(way) == other for other in kept):
            kept.append(way)
    return kept


def _largest(choices: Choices, unit: str, task: Task) -> Iterator[Cost]:
    """What the architectures with one group count and one split throughout cost, everything at its most.

    Without a head the classifier can cost more than with a narrow one.
    """
    ways = product(choices.groups, splits_of(choices, unit), bottlenecks_of(choices, unit))
    for groups, split, bottleneck in ways:
        stem, count = choices.stems(groups)[-1], len(choices.depths)
        structure = Structure(unit, stem, (groups,) * count, (split,) * count, bottleneck)
        widths: list[int] = []
        for step in quanta(structure, alignment=1):
            left = count - 1 - len(widths) if unit == "v1" else 0  # whose stages must widen
            top = choices.max_width - left * step
            widths.append(narrowest(unit, widths[-1] if widths else stem, step, at_least=top - top % step))
        stages = tuple(
            Stage(depths[-1], width, groups, split, choices.kernels[-1], max(choices.se), has_xception(choices, unit))
            for depths, width in zip(choices.depths, widths, strict=True)
        )
        resolution = max(choices.resolutions, default=task.resolution)
        for head in {choices.heads[0], choices.heads[-1]}:
            architecture = replace(_sample(choices, unit, bottleneck), stem=stem, head=head, stages=stages)
            yield cost_of(architecture, resolution, task.num_classes, task.in_channels)


def _sample(choices: Choices, unit: str, bottleneck: Fraction) -> Architecture:
    """Any architecture of the unit with the options that cost most: they hold for the whole network."""
    split = None if unit == "v1" else Fraction(1, 2)
    stem = choices.stem[0]
    stages = tuple(Stage(1, 8 * stem * number, split=split) for number in range(1, len(choices.depths) + 1))
    is_v2 = unit == "v2"
    return Architecture(
        unit,
        stem,
        0,
        stages,
        residual=is_v2 and max(choices.residual),
        pre_depthwise=is_v2 and max(choices.pre_depthwise),
        shuffle=max(choices.shuffle),
        bottleneck=bottleneck,
    )
