"""Which finalists are trained, by which recipe and how often, in the time that is left."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from nas.finalists.flags import SEEDS
from proxies.training.recipes import RECIPES, Recipe
from search_space.cost import cost_of
from search_space.task import Task
from studies.finalists import Choice
from studies.front import PICKS, nearest_reference, pick
from studies.record import Record

MARGIN = 1.15
"""A training takes up to so many times what is predicted of it: more pixels take longer than their FLOPs say."""

Trained = Callable[[Record, Recipe, int], bool]
Networks = tuple[Choice, tuple[Record, ...]]
"""What is trained of the study, and of its references."""


@dataclass(frozen=True, slots=True)
class ExpectedSeconds:
    """How long finalists take, from what the search's own trainings and timings took.

    `own` is the search's recipe; `images`, `image_size` and `classes` are those of its data as they come. `is_trained`
    says of a record, a recipe and which of the fresh seeds (0 is the first) whether the ledger has that training;
    `is_timed` whether a record need not be timed again. `resolution` is the task's.
    """

    own: Recipe
    images: int
    image_size: int
    classes: int
    workers: int
    is_trained: Trained = lambda record, recipe, number: False
    is_timed: Callable[[Record], bool] = lambda record: False
    resolution: int = Task().resolution
    _known: dict[tuple[str, Recipe], float] = field(default_factory=dict, repr=False, compare=False)

    def work(self, record: Record, recipe: Recipe) -> float:
        """How much a training is, in a unit of its own: FLOPs of an image as it is trained on times images seen."""
        own = recipe.of(record.architecture, self.resolution)
        size, stem_stride = own.image_size(self.image_size), own.stem_stride_at(self.image_size)
        cost = cost_of(record.architecture.without_resolution(), size, self.classes, stem_stride=stem_stride)
        return float(cost.macs * recipe.epochs * min(self.images, recipe.max_images or self.images))

    def training(self, record: Record, recipe: Recipe) -> float:
        """Seconds of one training of a record."""
        key = record.architecture.key(), recipe
        if key not in self._known:  # a ladder asks for each many times
            ratio = self.work(record, recipe) / self.work(record, self.own)
            self._known[key] = record.training.seconds * ratio
        return self._known[key]

    def timing(self, records: Sequence[Record]) -> float:
        """Seconds until those that are not timed yet are, one by one."""
        untimed = [record.latency.seconds for record in records if not self.is_timed(record)]
        return median(untimed) * len(untimed) if untimed else 0.0

    def seconds(self, records: Sequence[Record], recipe: Recipe, seeds: int) -> float:
        """Seconds until all are trained by so many seeds, on all workers, and timed after that."""
        missing = [
            self.training(record, recipe)
            for number in range(seeds)
            for record in costliest_first(records)
            if not self.is_trained(record, recipe, number)
        ]
        return MARGIN * longest(missing, self.workers) + self.timing(records)


@dataclass(frozen=True, slots=True)
class FinalistsPlan:
    """What is trained: the choice and the references, by `recipe` and so many fresh seeds; how long that takes."""

    choice: Choice
    references: tuple[Record, ...]
    recipe: Recipe
    seeds: int
    seconds: float

    @property
    def records(self) -> list[Record]:
        """All networks, each once."""
        return with_references(self.choice.records, self.references)


def plan_within(
    seconds_left: float, choice: Choice, references: Sequence[Record], expected: ExpectedSeconds
) -> FinalistsPlan | None:
    """The highest rung of the ladder for which there is time; None where there is none for any."""
    return next((plan for plan in ladder(choice, references, expected) if plan.seconds <= seconds_left), None)


def seconds_within(
    most_seconds: float, choice: Choice, references: Sequence[Record], expected: ExpectedSeconds
) -> float:
    """What the highest rung takes that fits into so many seconds; what the lowest one takes, where none does."""
    plan = plan_within(most_seconds, choice, references, expected) or least_plan(choice, references, expected)
    return plan.seconds


def least_plan(choice: Choice, references: Sequence[Record], expected: ExpectedSeconds) -> FinalistsPlan:
    """The lowest rung: knee and best and the reference nearest to either, trained once."""
    return _plan(_least(choice, references), longest_recipe(choice.front[0], expected), 1, expected)


def ladder(choice: Choice, references: Sequence[Record], expected: ExpectedSeconds) -> Iterator[FinalistsPlan]:
    """What may be trained, the most telling first: more networks before more seeds.

    First the whole front with all references and as many of those near it as there is time for; then the front's ends
    and its knee, each with the reference nearest to it; then the least that says anything.
    """
    recipe = longest_recipe(choice.front[0], expected)
    seeds = range(SEEDS, 0, -1)
    for count in seeds:
        for near in range(len(choice.near), -1, -1):
            yield _plan((choice.with_near(near), tuple(references)), recipe, count, expected)
    for networks in (_picked(choice, references), _least(choice, references)):
        for count in seeds:
            yield _plan(networks, recipe, count, expected)


def longest_recipe(record: Record, expected: ExpectedSeconds) -> Recipe:
    """LONG, where it is longer than the search's own, which shows at any record; else that one, by other seeds."""
    long, own = RECIPES["long"], expected.own
    return long if expected.work(record, long) > expected.work(record, own) else own


def _plan(networks: Networks, recipe: Recipe, seeds: int, expected: ExpectedSeconds) -> FinalistsPlan:
    choice, references = networks
    records = with_references(choice.records, references)
    return FinalistsPlan(choice, references, recipe, seeds, expected.seconds(records, recipe, seeds))


def _picked(choice: Choice, references: Sequence[Record]) -> Networks:
    chosen = _of_front(choice, PICKS)
    nearest = (nearest_reference(record, references) for record in chosen.front)
    return chosen, tuple(_once(record for record in nearest if record is not None))


def _least(choice: Choice, references: Sequence[Record]) -> Networks:
    chosen = _of_front(choice, ("knee", "best"))

    def ratio(reference: Record) -> float:
        return min(abs(math.log(reference.latency_ms / record.latency_ms)) for record in chosen.front)

    return chosen, tuple(sorted(references, key=ratio)[:1])


def _of_front(choice: Choice, names: Sequence[str]) -> Choice:
    """The choice with these picks of its front alone."""
    keys = {pick(choice.front, name).architecture.key() for name in names}
    front = tuple(record for record in choice.front if record.architecture.key() in keys)
    return Choice(front, (), choice.left_out + len(choice.records) - len(front))


def with_references(records: Sequence[Record], references: Sequence[Record]) -> list[Record]:
    """Every network once; one that the search found as well stands as the reference that it is."""
    return _once((*records, *references))


def _once(records: Iterable[Record]) -> list[Record]:
    return list({record.architecture.key(): record for record in records}.values())


def costliest_first(records: Iterable[Record]) -> list[Record]:
    """The records by FLOPs, so that no long training is left for the end, when the other workers have nothing to do."""
    return sorted(records, key=lambda record: record.macs, reverse=True)


def longest(seconds: Sequence[float], workers: int) -> float:
    """When the last of these is done, each begun in this order by the first worker that is free."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)
