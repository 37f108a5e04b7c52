"""The search space: choices, a budget and a task. Every suggestion is valid, and within the budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Protocol

from search_space.architecture import BOTTLENECK, Architecture, Stage
from search_space.budget import Budget
from search_space.budget_range import check_reach, check_stems
from search_space.choices import Choices
from search_space.choosers import Params
from search_space.cost import cost_of, counts_of
from search_space.errors import InputError
from search_space.precision import FP32
from search_space.shipped_spaces import shipped_for
from search_space.task import Task
from search_space.widths import NEAR, Structure, narrowest, quanta, solve_widths

ROOMY = 1 / 3
"""Where the narrowest network of the largest sizes uses no more of the budget, all sizes and fills are offered."""
MOST_FOR_SIZES = 0.85
"""Sizes with which the narrowest network uses more of the budget leave the widths too little, and are not offered."""

_UNIT_OF = {
    **dict.fromkeys(("split", "xception", "residual", "pre_depthwise"), "v2"),
    "bottleneck": "v1",
}
"""Parameter, without the number of a stage -> the one unit that has it."""


class Chooser(Protocol):
    """What decides: an Optuna trial, or anything else with these two methods."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """One of low, low + step, ..., high."""
        ...

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of `choices`."""
        ...


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What a search chooses among, for a budget that holds at the task's resolution and classes.

    Raises:
        InputError: a budget that bounds neither FLOPs nor parameters, or that the choices do not reach.
    """

    choices: Choices
    budget: Budget
    task: Task = field(default_factory=Task)

    def __post_init__(self) -> None:
        check_stems(self.choices)
        self.task.offered(self.choices)
        if not self.budget.sizes_networks:
            raise InputError(
                "a space needs a bound on FLOPs, parameters or flash to size networks by, got "
                f"{str(self.budget)!r}: add one, such as 140mflops"
            )
        object.__setattr__(self, "budget", self.budget.at(FP32))
        check_reach(self.budget, self.choices, self.task)

    @classmethod
    def default(cls, budget: Budget, **task: int) -> SearchSpace:
        """The space that ships for such a budget; `task` takes resolution, num_classes and in_channels of `Task`."""
        return cls(shipped_for(budget, Task(**task)).choices, budget, Task(**task))

    @classmethod
    def from_file(cls, path: str | Path, budget: Budget, **task: int) -> SearchSpace:
        """The space of a TOML file written like `default_space.toml`."""
        return cls(Choices.from_file(path), budget, Task(**task))

    def suggest(self, chooser: Chooser) -> Architecture:
        """A valid architecture within the budget, as near to the chosen share of it as its widths' divisibility lets.

        The names asked for are the same every time. Groups, splits and the like are offered whole; of stems,
        resolutions, depths, kernels and heads only those are offered that still fit, and of fills those that the sizes
        leave room for, which is all of them where the budget is `ROOMY` enough. What came after 0.1.0 is asked for
        where there is a choice. A backbone has no head.
        """
        structure = self._choose_structure(chooser)
        offered = _sizes_offered(self.task.offered(self.choices), structure)
        is_roomy = self._is_roomy(structure, offered)
        chosen = structure | self._choose_sizes(chooser, structure, offered, is_roomy)
        growths = tuple(
            _choose_int(chooser, f"growth_percent_{number}", self.choices.growths_percent) / 100
            for number in _stage_numbers(self.choices)[1:]
        )
        fills = self.choices.fills_percent if is_roomy else self._fills_reached(chosen)
        widths = solve_widths(
            _structure_of(self.choices, chosen),
            growths,
            partial(self._share, chosen),
            target=_choose_int(chooser, "fill_percent", fills) / 100,
            alignment=self.choices.alignment,
            max_width=self.choices.max_width,
        )
        return _architecture_of(self.choices, chosen, widths)

    def _choose_structure(self, chooser: Chooser) -> dict[str, Any]:
        c = self.choices
        chosen = {
            "unit": chooser.suggest_categorical("unit", c.units),
            "activation": chooser.suggest_categorical("activation", c.activations),
        }
        for name in ("shuffle", "residual", "pre_depthwise"):
            chosen[name] = _choose_where_open(chooser, name, getattr(c, name))
        chosen["bottleneck"] = _choose_where_open(chooser, "bottleneck", tuple(map(str, c.bottlenecks)))
        splits = tuple(map(str, c.splits))
        for number in _stage_numbers(c):
            for name, values in (("groups", c.groups), ("split", splits), ("se", c.se)):
                chosen[f"{name}_{number}"] = chooser.suggest_categorical(f"{name}_{number}", values)
            chosen[f"xception_{number}"] = _choose_where_open(chooser, f"xception_{number}", c.xception)
        return chosen

    def _choose_sizes(
        self, chooser: Chooser, structure: Params, offered: Mapping[str, tuple[int, ...]], is_roomy: bool
    ) -> dict[str, int]:
        chosen = {name: values[0] for name, values in offered.items()}
        for name, values in offered.items():
            if not is_roomy:
                values = self._fitting({**structure, **chosen}, name, values)
            is_open = name not in _NEWER or len(getattr(self.choices, _NEWER[name])) > 1
            chosen[name] = _choose_int(chooser, name, values) if is_open else values[0]
        return chosen

    def _is_roomy(self, structure: Params, offered: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether the largest sizes leave the widths so much room that all sizes and fills can be offered."""
        most = {name: values[-1] for name, values in offered.items()}
        # Without a head the classifier can cost more than with one.
        heads = {offered["head"][0], most["head"]}
        return all(self._least_share({**structure, **most, "head": head}) <= ROOMY for head in heads)

    def _fitting(self, chosen: Params, name: str, values: tuple[int, ...]) -> tuple[int, ...]:
        """The values of a size that leave the widths some of the budget, or the one that leaves the most."""

        def share(value: int) -> float:
            return self._least_share({**chosen, name: value})

        if name == "head":
            return tuple(each for each in values if share(each) <= MOST_FOR_SIZES) or (min(values, key=share),)
        while len(values) > 1 and share(values[-1]) > MOST_FOR_SIZES:  # costs rise with all other sizes
            values = values[:-1]
        return values

    def _fills_reached(self, chosen: Params) -> tuple[int, ...]:
        """The shares of the budget that the narrowest network does not exceed by more than `NEAR`."""
        least = 100 * (self._least_share(chosen) - NEAR)
        fills = self.choices.fills_percent
        return tuple(fill for fill in fills if fill >= least) or fills[-1:]

    def _least_share(self, chosen: Params) -> float:
        """The share of the budget that the narrowest network uses."""
        structure = _structure_of(self.choices, chosen)
        widths: list[int] = []
        for step in quanta(structure, alignment=1):
            widths.append(narrowest(structure.unit, widths[-1] if widths else structure.stem, step))
        return self._share(chosen, tuple(widths))

    def _share(self, chosen: Params, widths: tuple[int, ...]) -> float:
        architecture = _architecture_of(self.choices, chosen, widths)
        task = self.task.resolution, self.task.num_classes, self.task.in_channels
        if not self.budget.bounds_memory:
            return self.budget.share(*counts_of(architecture, *task))
        cost = cost_of(architecture, *task)
        return inf if self.budget.ram_share_of(cost) > 1 else self.budget.share_of(cost)


def is_taken(name: str, params: Params) -> bool:
    """Whether a parameter says anything of the network that these parameters make: a v1 unit has no split.

    All of them are asked for whatever the unit, for most samplers want the same names in each trial.
    """
    unit = _UNIT_OF.get(name.rstrip("0123456789").rstrip("_"))
    return unit is None or "unit" not in params or params["unit"] == unit


def _stage_numbers(choices: Choices) -> range:
    """Stages are numbered from 2, as in the papers."""
    return range(2, 2 + len(choices.depths))


_NEWER = {"stem": "stem", "resolution": "resolutions"}
"""Sizes that are asked for only where there is a choice, by the field of `Choices` that offers them."""


def _choose_where_open(chooser: Chooser, name: str, values: tuple[Any, ...]) -> Any:
    return chooser.suggest_categorical(name, values) if len(values) > 1 else values[0]


def _sizes_offered(choices: Choices, structure: Params) -> dict[str, tuple[int, ...]]:
    newer = {"stem": choices.stems(structure["groups_2"])}
    if choices.resolutions:
        newer["resolution"] = choices.resolutions
    kernels = {f"kernel_{number}": choices.kernels for number in _stage_numbers(choices)}
    depths = {f"depth_{number}": values for number, values in enumerate(choices.depths, start=2)}
    return {**newer, **kernels, **depths, "head": choices.heads}


def _choose_int(chooser: Chooser, name: str, values: Any) -> int:
    step = values[1] - values[0] if len(values) > 1 else 1
    return chooser.suggest_int(name, values[0], values[-1], step=step)


def _structure_of(choices: Choices, chosen: Params) -> Structure:
    numbers = _stage_numbers(choices)
    is_v1 = chosen["unit"] == "v1"
    splits = tuple(None if is_v1 else Fraction(chosen[f"split_{n}"]) for n in numbers)
    bottleneck = Fraction(chosen["bottleneck"]) if is_v1 else BOTTLENECK
    return Structure(chosen["unit"], chosen["stem"], tuple(chosen[f"groups_{n}"] for n in numbers), splits, bottleneck)


def _architecture_of(choices: Choices, chosen: Params, widths: tuple[int, ...]) -> Architecture:
    structure = _structure_of(choices, chosen)
    is_v2 = structure.unit == "v2"
    stages = tuple(
        Stage(
            chosen[f"depth_{n}"],
            width,
            groups,
            split,
            chosen[f"kernel_{n}"],
            chosen[f"se_{n}"],
            is_v2 and chosen[f"xception_{n}"],
        )
        for n, width, groups, split in zip(
            _stage_numbers(choices), widths, structure.groups, structure.splits, strict=True
        )
    )
    return Architecture(
        structure.unit,
        structure.stem,
        chosen["head"],
        stages,
        activation=chosen["activation"],
        # Where nothing is grouped, v1 shuffles nothing; and the first unit of a stage has no residual. One network must
        # have one key.
        residual=is_v2 and chosen["residual"] and any(stage.depth > 1 for stage in stages),
        pre_depthwise=is_v2 and chosen["pre_depthwise"],
        shuffle=chosen["shuffle"] or (not is_v2 and set(structure.groups) == {1}),
        bottleneck=structure.bottleneck,
        resolution=chosen.get("resolution"),
    )
