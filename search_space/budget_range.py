"""Which budgets a space reaches: the smallest at which every choice has room, and the largest it can use up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

from search_space.architecture import BOTTLENECK, Architecture, Stage
from search_space.choices import Choices
from search_space.cost import cost_of, unit_sums
from search_space.errors import InputError
from search_space.plan import stage_units, stem_unit, tail_units
from search_space.task import Task
from search_space.widths import Structure, narrowest, quanta, quantum


@dataclass(frozen=True, slots=True)
class BudgetRange:
    """Bounds on multiply-adds and on parameters."""

    smallest_macs: int
    smallest_params: int
    largest_macs: int
    largest_params: int


def reach_of(choices: Choices, task: Task) -> BudgetRange:
    """The budgets between which every combination of the choices finds widths.

    Raises:
        InputError: some combination has no width up to the choices' `max_width`.
    """
    smallest = [_smallest(choices, unit, task) for unit in choices.units]
    widest = max(width for _, _, width in smallest)
    if widest > choices.max_width:
        raise InputError(f"max_width must be at least {widest} for all groups and splits, got {choices.max_width}")
    largest = [_largest(choices, unit, task) for unit in choices.units]
    return BudgetRange(
        smallest_macs=max(macs for macs, _, _ in smallest),
        smallest_params=max(params for _, params, _ in smallest),
        largest_macs=max(macs for macs, _ in largest),
        largest_params=max(params for _, params in largest),
    )


def splits_of(choices: Choices, unit: str) -> tuple[Fraction | None, ...]:
    """The splits that a unit can have: none at all in v1."""
    return (None,) if unit == "v1" else choices.splits


def bottlenecks_of(choices: Choices, unit: str) -> tuple[Fraction, ...]:
    """The bottlenecks that a unit can have: of v2, which has none, the one that stands for that."""
    return choices.bottlenecks if unit == "v1" else (BOTTLENECK,)


def has_xception(choices: Choices, unit: str) -> bool:
    """Whether a unit can have three depthwise-separable convolutions."""
    return unit == "v2" and max(choices.xception)


def _smallest(choices: Choices, unit: str, task: Task) -> tuple[int, int, int]:
    """An upper bound on the least that any combination of groups, splits and the like needs, and its widest stage.

    Stem, resolution, depths, kernels and head are at their least.
    """
    ways = [_smallest_with(choices, unit, bottleneck, task) for bottleneck in bottlenecks_of(choices, unit)]
    macs, params, widest = map(max, zip(*ways, strict=True))
    return macs, params, widest


def _smallest_with(choices: Choices, unit: str, bottleneck: Fraction, task: Task) -> tuple[int, int, int]:
    """The same for one bottleneck.

    Stage by stage, for each group count the next stage may have, only the widest and dearest way there is kept: costs
    rise with the channels that come in, so nothing dearer is missed.
    """
    sample = _sample(choices, unit, bottleneck)
    resolution = min(choices.resolutions, default=task.resolution)
    widest = size = 0
    worst: dict[int, tuple[int, int, int]] = {}
    for groups in choices.groups:
        stem = choices.stems(groups)[0]
        macs, params, size = unit_sums(stem_unit(stem, sample.activation, task.in_channels, 4), resolution)
        worst[groups] = stem, macs, params
    for position, depths in enumerate(choices.depths):
        following = choices.groups if position + 1 < len(choices.depths) else (1,)
        reached: dict[int, tuple[int, int, int]] = {}
        size_out = size
        for groups, split, groups_after in product(choices.groups, splits_of(choices, unit), following):
            c_in, macs, params = worst[groups]
            step = quantum(unit, groups, split, groups_after, 1, bottleneck)
            width = narrowest(unit, c_in, step)
            stage = Stage(
                depths[0], width, groups, split, choices.kernels[0], max(choices.se), has_xception(choices, unit)
            )
            size_out = size
            for part in stage_units(sample, stage, c_in, first_of_all=position == 0):
                part_macs, part_params, size_out = unit_sums(part, size_out)
                macs, params = macs + part_macs, params + part_params
            way = (width, macs, params)
            widest = max(widest, width)
            reached[groups_after] = tuple(map(max, way, reached.get(groups_after, way)))  # type: ignore[assignment]
        worst, size = reached, size_out
    width, macs, params = worst[1]
    for unit_of_tail in filter(None, tail_units(replace(sample, head=choices.heads[0]), width, task.num_classes)):
        part_macs, part_params, size = unit_sums(unit_of_tail, size)
        macs, params = macs + part_macs, params + part_params
    return macs, params, widest


def _largest(choices: Choices, unit: str, task: Task) -> tuple[int, int]:
    """The most that an architecture with one group count and one split throughout can use, everything at its most."""
    most = [0, 0]
    ways = product(choices.groups, splits_of(choices, unit), bottlenecks_of(choices, unit))
    for groups, split, bottleneck in ways:
        stem, count = choices.stems(groups)[-1], len(choices.depths)
        structure = Structure(unit, stem, (groups,) * count, (split,) * count, bottleneck)
        widths: list[int] = []
        for step in quanta(structure, alignment=1):
            top = choices.max_width - (count - 1 - len(widths)) * step  # v1 stages must widen
            widths.append(narrowest(unit, widths[-1] if widths else stem, step, at_least=top - top % step))
        stages = tuple(
            Stage(depths[-1], width, groups, split, choices.kernels[-1], max(choices.se), has_xception(choices, unit))
            for depths, width in zip(choices.depths, widths, strict=True)
        )
        architecture = replace(_sample(choices, unit, bottleneck), stem=stem, head=choices.heads[-1], stages=stages)
        resolution = max(choices.resolutions, default=task.resolution)
        cost = cost_of(architecture, resolution, task.num_classes, task.in_channels)
        most = [max(most[0], cost.macs), max(most[1], cost.params)]
    return most[0], most[1]


def _sample(choices: Choices, unit: str, bottleneck: Fraction) -> Architecture:
    """Any architecture of the unit with the options that cost most: they hold for the whole network."""
    split = None if unit == "v1" else Fraction(1, 2)
    stem = choices.stem[0]
    stages = tuple(Stage(1, 8 * stem * number, split=split) for number in range(1, len(choices.depths) + 1))
    before = unit == "v2" and max(choices.pre_depthwise)
    return Architecture(unit, stem, 0, stages, pre_depthwise=before, bottleneck=bottleneck)
