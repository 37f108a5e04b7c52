"""Which architectures a calibration trains: spread over the cost range, and all of one cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from search_space.architecture import Architecture
from search_space.choosers import PinnedChooser
from search_space.cost import cost_of
from search_space.errors import InputError
from search_space.space import SearchSpace

EQUAL_FILL_PERCENT = 100
EQUAL_SHARES = (0.9, 1.0)
"""Architectures of one cost use so much of the budget: they differ by 5 % either way from the middle."""
ATTEMPTS = 100
"""Draws for each architecture wanted, after which a space is taken to hold no more."""


def stratified(space: SearchSpace, number: int, seed: int) -> list[Architecture]:
    """So many different random architectures, evenly spread over the shares of the budget that the space offers."""
    fills = sorted(space.choices.fills_percent)
    wanted = [fills[position * len(fills) // number] for position in range(number)]
    return _drawn(space, number, seed, lambda found: wanted[found], lambda share: True)


def at_equal_cost(space: SearchSpace, number: int, seed: int) -> list[Architecture]:
    """So many different random architectures that use `EQUAL_SHARES` of the budget."""
    low, high = EQUAL_SHARES
    return _drawn(space, number, seed, lambda found: EQUAL_FILL_PERCENT, lambda share: low <= share <= high)


SETS: Mapping[str, Callable[[SearchSpace, int, int], list[Architecture]]] = {
    "stratified": stratified,
    "equal": at_equal_cost,
}
"""Name -> what draws so many of the set, by a seed."""


def _drawn(
    space: SearchSpace, number: int, seed: int, fill_of: Callable[[int], int], fits: Callable[[float], bool]
) -> list[Architecture]:
    found: dict[str, Architecture] = {}
    for attempt in range(ATTEMPTS * number):
        if len(found) == number:
            break
        chooser = PinnedChooser(seed * 1_000_003 + attempt, {"fill_percent": fill_of(len(found))})
        architecture = space.suggest(chooser)
        cost = cost_of(architecture, space.task.resolution, space.task.num_classes)
        if fits(space.budget.share_of(cost)):
            found.setdefault(architecture.key(), architecture)
    if len(found) < number:
        raise InputError(
            f"the space must hold {number} architectures to calibrate with, found {len(found)} at {space.budget}: "
            "ask for fewer with --architectures and --records, or widen the space"
        )
    return list(found.values())
