"""Stage widths that divide: which ones a structure allows, and those that use a given share of a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from math import gcd, inf, lcm, sqrt

from search_space.architecture import BOTTLENECK, Architecture
from search_space.errors import InputError

NEAR = 0.05
"""How far from the share asked for widths may be, as a part of the whole budget, without a lower alignment."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What decides which widths are valid: the unit, the stem, and every stage's groups and split (None for v1).

    Of v1 also the bottleneck.
    """

    unit: str
    stem: int
    groups: tuple[int, ...]
    splits: tuple[Fraction | None, ...]
    bottleneck: Fraction = BOTTLENECK

    def __post_init__(self) -> None:
        if self.stem % self.groups[0]:
            raise InputError(f"stem must be a multiple of stage 2's groups = {self.groups[0]}, got {self.stem}")


def quanta(structure: Structure, alignment: int) -> tuple[int, ...]:
    """For each stage the smallest width whose multiples are all valid and keep its branches aligned."""
    following = (*structure.groups[1:], 1)
    return tuple(
        quantum(structure.unit, groups, split, groups_after, alignment, structure.bottleneck)
        for groups, split, groups_after in zip(structure.groups, structure.splits, following, strict=True)
    )


def quantum(
    unit: str,
    groups: int,
    split: Fraction | None,
    groups_after: int,
    alignment: int,
    bottleneck: Fraction = BOTTLENECK,
) -> int:
    """The smallest width of one stage whose multiples are all valid, for a next stage of `groups_after`."""
    step = lcm(alignment, groups)
    if unit == "v1":
        return lcm(bottleneck.denominator * step, groups_after)
    assert split is not None
    main, other = split.numerator, split.denominator - split.numerator
    return lcm(split.denominator * lcm(step // gcd(step, main), step // gcd(step, other)), groups_after)


def narrowest(unit: str, c_in: int, stage_quantum: int, at_least: int = 0) -> int:
    """The smallest multiple of the quantum that is at least `at_least`; in v1 it must also exceed what comes in."""
    if unit == "v1":
        at_least = max(at_least, c_in + 1)
    return stage_quantum * max(1, -(-at_least // stage_quantum))


def scaled(architecture: Architecture, share: float) -> Architecture:
    """The architecture with stage widths of about `share` of its own, as near as divisibility lets them be."""
    if share == 1:
        return architecture
    stages = architecture.stages
    structure = Structure(
        architecture.unit,
        architecture.stem,
        tuple(stage.groups for stage in stages),
        tuple(stage.split for stage in stages),
        architecture.bottleneck,
    )
    widths: list[int] = []
    for step, stage in zip(quanta(structure, alignment=1), stages, strict=True):
        wanted = step * round(share * stage.width / step)
        widths.append(narrowest(structure.unit, widths[-1] if widths else structure.stem, step, at_least=wanted))
    narrowed = tuple(replace(stage, width=width) for stage, width in zip(stages, widths, strict=True))
    return replace(architecture, stages=narrowed)


def solve_widths(
    structure: Structure,
    growths: tuple[float, ...],
    share_of: Callable[[tuple[int, ...]], float],
    *,
    target: float,
    alignment: int,
    max_width: int,
) -> tuple[int, ...]:
    """The widths that use as near `target` of the budget as divisibility lets them, and no more where that can be.

    Stage widths grow by `growths`. Where what comes of that is more than `NEAR` from the target, or is more than the
    whole budget (a share above 1) or wider than `max_width`, the alignment is halved until it is not; the search space
    makes sure that without alignment all is within the budget.
    """

    def share(widths: tuple[int, ...]) -> float:
        return share_of(widths) if max(widths) <= max_width else inf

    nearest: tuple[int, ...] = ()
    least_off = inf
    while True:
        steps = quanta(structure, alignment)
        widths = _solved(structure, growths, steps, share, target, float(max_width))
        used = share(widths)
        off = abs(used - target) if used <= 1 else inf
        if off < least_off or least_off == inf:
            nearest, least_off = widths, off
        if least_off <= NEAR or alignment == 1:
            return nearest
        alignment //= 2


def _solved(
    structure: Structure,
    growths: tuple[float, ...],
    steps: tuple[int, ...],
    share_of: Callable[[tuple[int, ...]], float],
    target: float,
    high: float,
) -> tuple[int, ...]:
    """The same for widths that are multiples of `steps`."""
    smallest = _widths(structure, growths, steps, 0.0)
    if share_of(smallest) >= target:
        return smallest
    widest = _scale_up(structure, growths, steps, share_of, target, high, smallest)
    return _fill_up(structure, steps, share_of, target, widest)


def _widths(structure: Structure, growths: tuple[float, ...], steps: tuple[int, ...], base: float) -> tuple[int, ...]:
    widths: list[int] = []
    c_in = structure.stem
    wanted = base
    for step, growth in zip(steps, (1.0, *growths), strict=True):
        wanted *= growth
        c_in = narrowest(structure.unit, c_in, step, at_least=int(wanted / step) * step)
        widths.append(c_in)
    return tuple(widths)


def _scale_up(
    structure: Structure,
    growths: tuple[float, ...],
    steps: tuple[int, ...],
    share_of: Callable[[tuple[int, ...]], float],
    target: float,
    high: float,
    widths: tuple[int, ...],
) -> tuple[int, ...]:
    """The widest in proportion that stay within the target, for a first stage of up to `high`.

    A network's cost goes about as the square of its width, so the root of the share is nearly a straight line.
    """
    low = 0.0
    share_low, share_high = share_of(widths), share_of(_widths(structure, growths, steps, high))
    if share_high <= target:
        return _widths(structure, growths, steps, high)
    while high - low > 0.01 * high:
        on_line = (sqrt(target) - sqrt(share_low)) / (sqrt(share_high) - sqrt(share_low))
        middle = low + (high - low) * (min(0.9, max(0.1, on_line)) if share_high < inf else 0.5)
        tried = _widths(structure, growths, steps, middle)
        share = share_of(tried)
        if share <= target:
            low, share_low, widths = middle, share, tried
        else:
            high, share_high = middle, share
    return widths


def _fill_up(
    structure: Structure,
    steps: tuple[int, ...],
    share_of: Callable[[tuple[int, ...]], float],
    target: float,
    widths: tuple[int, ...],
) -> tuple[int, ...]:
    """The widths with single stages widened a step at a time, the fullest that fits first, until none fits."""
    best = share_of(widths)
    while True:
        wider = []
        for position, step in enumerate(steps):
            tried = (*widths[:position], widths[position] + step, *widths[position + 1 :])
            rising = structure.unit == "v2" or all(a < b for a, b in pairwise(tried))
            if rising and best < (share := share_of(tried)) <= target:
                wider.append((share, tried))
        if not wider:
            return widths
        best, widths = max(wider)
