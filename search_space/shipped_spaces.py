"""The spaces that ship, and which of them a budget gets: the default one where it has room for that, else the small."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from search_space.budget import Budget
from search_space.budget_range import reach_of
from search_space.choices import Choices
from search_space.precision import FP32
from search_space.task import Task

DEFAULT, SMALL = "default", "small"
SHIPPED_SPACES = (DEFAULT, SMALL)
NARROWED = ("groups", "splits")
"""What decides by its divisors how narrow a network can be."""
COMFORTABLE = 0.6
"""The part of a budget that the dearest combination's narrowest network may take, so that several shares are left."""


@dataclass(frozen=True, slots=True)
class ShippedSpace:
    """A space that ships, by name, as a budget has it: without the groups and splits that leave too little room."""

    name: str
    choices: Choices

    @property
    def line(self) -> str:
        """What it is in a line."""
        whole = Choices.shipped(self.name)
        missing = [
            f"{name} {', '.join(str(each) for each in getattr(whole, name) if each not in getattr(self.choices, name))}"
            for name in NARROWED
            if getattr(whole, name) != getattr(self.choices, name)
        ]
        without = f", without {' and '.join(missing)}, which would take too much of the budget" if missing else ""
        return f"space: the {self.name} one, search_space/{self.name}_space.toml{without}"


def shipped_for(budget: Budget, task: Task) -> ShippedSpace:
    """The space that a budget gets where no other is asked for."""
    if _shares(Choices.default(), budget, task).are_comfortable:
        return ShippedSpace(DEFAULT, Choices.default())
    return narrowed_to(SMALL, budget, task)


def narrowed_to(name: str, budget: Budget, task: Task) -> ShippedSpace:
    """The space of that name; the small one without groups and splits with which networks take too much of the budget.

    They are left out one after the other, those first that take the most, until what is left is comfortable. Where that
    is never so, it is until the budget is reached at all; and where that is never so either, one of each is left.
    """
    choices = Choices.shipped(name)
    if name == DEFAULT:
        return ShippedSpace(name, choices)
    steps = list(_steps(choices, budget, task))
    comfortable = [narrowed for shares, narrowed in steps if shares.are_comfortable]
    reached = [narrowed for shares, narrowed in steps if shares.are_within]
    return ShippedSpace(name, (comfortable or reached or [steps[-1][1]])[0])


def is_narrowed_from(name: str, choices: Choices, task: Task) -> bool:
    """Whether the choices are those of the space of that name for the task, or that without some groups and splits."""
    whole = task.offered(Choices.shipped(name))
    return replace(choices, groups=whole.groups, splits=whole.splits) == whole


class _Shares(NamedTuple):
    """How much of a budget the dearest combination's narrowest network takes: of what sizes networks, and of RAM."""

    sized: float
    ram: float

    @property
    def are_comfortable(self) -> bool:
        return self.sized <= COMFORTABLE and self.ram <= 1

    @property
    def are_within(self) -> bool:
        return max(self) <= 1


def _shares(choices: Choices, budget: Budget, task: Task) -> _Shares:
    reach = reach_of(task.offered(choices), task, budget.precision or FP32)

    def share(name: str) -> float:
        bound = getattr(budget, name)
        return float(getattr(reach, f"smallest_{name}") / bound) if bound else 0.0

    return _Shares(max(map(share, ("macs", "params", "flash_bytes"))), share("ram_bytes"))


def _steps(choices: Choices, budget: Budget, task: Task) -> Iterator[tuple[_Shares, Choices]]:
    """The choices with less and less offered, each with its shares of the budget, until they are comfortable."""
    shares = _shares(choices, budget, task)
    yield shares, choices
    while not shares.are_comfortable:
        fewer = list(_each_with_less(choices))
        if not fewer:
            return
        shares, choices = min(((_shares(each, budget, task), each) for each in fewer), key=lambda pair: max(pair[0]))
        yield shares, choices


def _each_with_less(choices: Choices) -> Iterator[Choices]:
    """The choices without a value, for each that can be left out."""
    for groups in reversed(choices.groups) if len(choices.groups) > 1 else ():
        yield replace(choices, groups=tuple(each for each in choices.groups if each != groups))
    for split in reversed(choices.splits) if len(choices.splits) > 1 else ():
        yield replace(choices, splits=tuple(each for each in choices.splits if each != split))
