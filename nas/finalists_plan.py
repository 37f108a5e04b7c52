"""Which finalists are trained, by which recipe and how often, in the time that is left."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import median

from nas.finalists_settings import SEEDS
from proxies.recipes import RECIPES, Recipe
from search_space.cost import cost_of
from studies.finalists import Choice
from studies.record import Record

SHARE = 0.3
"""The share of a run's time that its finalists are given."""
START_SECONDS = 10.0
"""What worker processes take to start and to load the data."""
MARGIN = 1.15
"""A training takes up to so many times what is predicted of it: more pixels take longer than their FLOPs say."""

Trained = Callable[[Record, Recipe, int], bool]


@dataclass(frozen=True, slots=True)
class Expected:
    """How long finalists take, from what the search's own trainings and timings took.

    `own` is the search's recipe; `images`, `image_size` and `classes` are those of its data as they come. `is_trained`
    says of a record, a recipe and which of the fresh seeds (0 is the first) whether the ledger has that training.
    """

    own: Recipe
    images: int
    image_size: int
    classes: int
    workers: int
    is_trained: Trained = lambda record, recipe, number: False

    def work(self, record: Record, recipe: Recipe) -> float:
        """How much a training is, in a unit of its own: FLOPs of an image as it is trained on times images seen."""
        size = recipe.image_size(self.image_size)
        stem_stride = recipe.stem_stride_at(size)
        cost = cost_of(record.architecture, size, self.classes, stem_stride=stem_stride)
        return float(cost.macs * recipe.epochs * min(self.images, recipe.max_images or self.images))

    def training(self, record: Record, recipe: Recipe) -> float:
        """Seconds of one training of a record."""
        return float(record.training["seconds"]) * self.work(record, recipe) / self.work(record, self.own)

    def seconds(self, records: Sequence[Record], recipe: Recipe, seeds: int) -> float:
        """Seconds until all are trained by so many seeds, on all workers, and timed after that, one by one."""
        missing = [
            self.training(record, recipe)
            for number in range(seeds)
            for record in costliest_first(records)
            if not self.is_trained(record, recipe, number)
        ]
        timing = median(float(record.latency["seconds"]) for record in records)
        return START_SECONDS + MARGIN * longest(missing, self.workers) + timing * len(records)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained: the choice and the references, by `recipe` and so many fresh seeds; how long that takes."""

    choice: Choice
    recipe: Recipe
    seeds: int
    seconds: float


def plan_within(seconds_left: float, choice: Choice, references: Sequence[Record], expected: Expected) -> Plan | None:
    """The longest recipe and the most seeds for which there is time; None where there is none for any.

    The front and the references are always in. Of those near the front as many as then still fit, the nearest first.
    """

    def plan(recipe: Recipe, seeds: int, near: int) -> Plan:
        chosen = choice.with_near(near)
        records = with_references(chosen.records, references)
        return Plan(chosen, recipe, seeds, expected.seconds(records, recipe, seeds))

    for recipe, seeds in ladder(choice.front[0], expected):
        plans = (plan(recipe, seeds, near) for near in range(len(choice.near) + 1))
        if fitting := list(takewhile(lambda each: each.seconds <= seconds_left, plans)):
            return fitting[-1]
    return None


def ladder(record: Record, expected: Expected) -> list[tuple[Recipe, int]]:
    """Recipe and number of seeds of each rung, the highest first: LONG, where it is longer, then the search's own.

    Which one is longer shows at any record.
    """
    long, own = RECIPES["long"], expected.own
    is_longer = expected.work(record, long) > expected.work(record, own)
    return [(recipe, seeds) for recipe in ([long] if is_longer else []) + [own] for seeds in range(SEEDS, 0, -1)]


def with_references(records: Sequence[Record], references: Sequence[Record]) -> list[Record]:
    """Every network once; one that the search found as well stands as the reference that it is."""
    chosen = {record.architecture.key(): record for record in (*records, *references)}
    return list(chosen.values())


def costliest_first(records: Iterable[Record]) -> list[Record]:
    """The records by FLOPs, so that no long training is left for the end, when the other workers have nothing to do."""
    return sorted(records, key=lambda record: record.macs, reverse=True)


def longest(seconds: Sequence[float], workers: int) -> float:
    """When the last of these is done, each begun in this order by the first worker that is free."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)
