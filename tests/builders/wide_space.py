"""A space in which every choice that a space file may open is open, but the resolution; and networks drawn from it."""

from search_space import Architecture, Budget, SearchSpace
from search_space.choices import Choices
from search_space.choosers import RandomChooser
from search_space.task import Task

OPENED = {
    "stem": [8, 16, 24, 32, 40, 48],
    "shuffle": [True, False],
    "residual": [False, True],
    "pre_depthwise": [False, True],
    "xception": [False, True],
    "bottlenecks": ["1/8", "1/4", "1/2"],
}
"""Beside the default space's choices; of three groups only the stems 24 and 48 are multiples."""
WIDE = Choices.from_dict({**Choices.default().to_dict(), **OPENED})


def wide_space(budget: str = "60mflops", task: Task | None = None) -> SearchSpace:
    return SearchSpace(WIDE, Budget.parse(budget), task or Task())


def drawn_wide(count: int, first: int = 0) -> list[Architecture]:
    space = wide_space()
    return [space.suggest(RandomChooser(seed)) for seed in range(first, first + count)]
