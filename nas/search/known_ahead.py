"""What is known of a ShuffleNet before it is evaluated: its cost exactly, its latency by a prior and measured ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial

from search_space.architecture import Architecture
from search_space.choosers import FixedChooser, Params, RandomChooser
from search_space.cost import Cost, cost_of
from search_space.precision import FP32
from search_space.space import SearchSpace
from studies.calibration.accuracy_fit import AccuracyFit
from studies.calibration.accuracy_prior import CLASSES, RESOLUTION
from studies.latency.model import LEAST_MEASUREMENTS, ExpectedLatency
from studies.latency.prior import ENOUGH, expected_latency, shipped_prior
from studies.record import record_of, rejected_of
from studies.sampling.objective_model import KnownObjectives
from studies.sampling.samplers import Ahead
from studies.storage.studies import records_of

DOUBT = 1.05
"""A latency budget is held against predictions with so much room: what is measured decides."""
MOST_REMEMBERED = 20_000
FIXED_MACS = 50_000_000
"""Timing and validating a network take about as long as SHORT takes for so many FLOPs more."""


class KnownAhead:
    """Of a space; remembers what parameters mean, for a sampler asks of each point anew."""

    def __init__(
        self,
        space: SearchSpace,
        anchor_ms: float,
        latency_limit_ms: float | None,
        fit: AccuracyFit | None = None,
        precision: str = FP32,
    ) -> None:
        self._fit = fit
        self._prior = shipped_prior(precision)
        self._space = space
        self._anchor_ms = anchor_ms
        self._limit_ms = latency_limit_ms
        self._distributions = distributions_of(space)
        self._fitted: tuple[list[float], ExpectedLatency] | None = None
        self._built: dict[tuple[Any, ...], tuple[Architecture, Cost] | None] = {}
        self._evaluated: dict[tuple[Any, ...], tuple[Architecture, Cost]] = {}

    def of(self, studies: Sequence[Study]) -> Ahead:
        """What a sampler may know in advance, given what these studies have measured."""
        for study in studies:
            self._keep_evaluated(study.get_trials(deepcopy=False))
        model = self._model([timed for study in studies for timed in self._timed_in(study)])

        def known_of(params: Params) -> KnownObjectives | None:
            built = self._build(params)
            if built is None:
                return None
            architecture, cost = built
            latency_ms = model.predict_ms(architecture)
            allowed = self._limit_ms is None or latency_ms <= DOUBT * self._limit_ms
            features = (math.log(cost.macs), math.log(cost.params), math.log(cost.memory_access_bytes))
            expected = self._expected(architecture, cost.macs)
            return KnownObjectives(
                (latency_ms,), features, architecture.key(), allowed, expected, FIXED_MACS + cost.macs
            )

        return Ahead(known_of, self._distributions, ideal=1.0)

    def _expected(self, architecture: Architecture, macs: int) -> tuple[float, float] | None:
        """The accuracy that the architecture alone lets expect, and its standard deviation; None without a prior."""
        if self._fit is None:
            return None
        task = self._space.task
        is_papers = (task.resolution, task.num_classes) == (RESOLUTION, CLASSES)
        expected = self._fit.expect(architecture, macs if is_papers else None)
        return self._fit.as_accuracy(expected), self._fit.as_error(expected)

    def _timed_in(self, study: Study) -> Iterator[tuple[Architecture, float]]:
        """The networks that a study has timed, in order; those also that were too slow to be trained.

        Without those a model that takes some kind of network to be faster than it is would never learn of it.
        """
        records = {record.number: record for record in records_of(study)}
        for trial in study.get_trials(deepcopy=False):
            if record := records.get(trial.number):
                yield record.architecture, record.latency_ms
            elif (rejected := rejected_of(trial)) and (built := self._build(trial.params)):
                yield built[0], rejected.latency_ms

    def _model(self, timed: Sequence[tuple[Architecture, float]]) -> ExpectedLatency:
        """What the prior and these make expect; of many, as many as are a multiple of some number count."""
        count = len(timed)
        if count >= ENOUGH:  # a fit to so many takes longer than a proposal
            count -= count % LEAST_MEASUREMENTS
        architectures = [architecture for architecture, _ in timed[:count]]
        measured = [latency_ms for _, latency_ms in timed[:count]]
        if self._fitted is None or self._fitted[0] != measured:
            task = self._space.task
            here = task.resolution, task.num_classes, self._prior
            model = expected_latency(architectures, measured, self._anchor_ms, *here)
            self._fitted = measured, model
        return self._fitted[1]

    def _keep_evaluated(self, trials: Sequence[FrozenTrial]) -> None:
        """Remembers what a trial's parameters meant when it was evaluated: an older version may have built it."""
        for trial in trials:
            key = self._key(trial.params)
            if None in key or key in self._evaluated:
                continue
            if record := record_of(trial):
                self._evaluated[key] = self._costed(record.architecture)

    def _key(self, params: Params) -> tuple[Any, ...]:
        return tuple(params.get(name) for name in self._distributions)

    def _build(self, params: Params) -> tuple[Architecture, Cost] | None:
        """The architecture of these parameters and its cost; None without room for them, or where one is missing."""
        key = self._key(params)
        if None in key:
            return None
        if key in self._evaluated:
            return self._evaluated[key]
        if key not in self._built:
            if len(self._built) >= MOST_REMEMBERED:
                self._built.clear()
            self._built[key] = self._suggested(params)
        return self._built[key]

    def _suggested(self, params: Params) -> tuple[Architecture, Cost] | None:
        try:
            return self._costed(self._space.suggest(_OfferedChooser(params)))
        except _NotOffered:
            return None

    def _costed(self, architecture: Architecture) -> tuple[Architecture, Cost]:
        task = self._space.task
        return architecture, cost_of(architecture, task.resolution, task.num_classes, task.in_channels)


def distributions_of(space: SearchSpace) -> dict[str, BaseDistribution]:
    """All parameters of the space with all their values, from which a small budget may leave some out."""
    found: dict[str, BaseDistribution] = {}
    groups = space.choices.groups
    for count in groups if len(space.choices.stem) > 1 else groups[:1]:  # which stems are offered depends on it
        chooser = _Recorder(count)
        space.suggest(chooser)
        found = {name: _union(found.get(name, each), each) for name, each in chooser.distributions.items()}
    return dict(sorted(found.items()))


def _union(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """All numbers of both; categories are the same in both."""
    if not isinstance(one, IntDistribution) or not isinstance(other, IntDistribution):
        return one
    steps = [each.step for each in (one, other) if not each.single()]
    step = math.gcd(one.low - other.low, *steps) or 1
    return IntDistribution(min(one.low, other.low), max(one.high, other.high), step=step)


class _NotOffered(Exception):
    """The budget does not leave room for a wanted value."""


class _OfferedChooser(FixedChooser):
    """Gives back known parameters, where they are offered."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        value = super().suggest_int(name, low, high, step=step)
        if value not in range(low, high + 1, step):
            raise _NotOffered
        return value


class _Recorder(RandomChooser):
    """Chooses the least number, the first category and these groups of stage 2, and keeps what was offered."""

    def __init__(self, groups: int) -> None:
        super().__init__(0)
        self._groups = groups
        self.distributions: dict[str, BaseDistribution] = {}

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        self.distributions[name] = IntDistribution(low, high, step=step)
        return low

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        self.distributions[name] = CategoricalDistribution(tuple(choices))
        return self._groups if name == "groups_2" else choices[0]
