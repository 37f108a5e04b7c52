"""An Optuna sampler for studies where all objectives but one are known before the expensive one is had.

It models the expensive objective alone, and proposes the point whose known objectives and prediction are expected to
enlarge the front's hypervolume most. It knows nothing of networks: any search space of ints, floats and categories.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search_space.choosers import Params
from studies.optuna_internals import FIXED_PARAMS
from studies.sampling.encoding import draw, identity_of, matrix_of, mutated
from studies.sampling.expected_improvement import expected_improvement
from studies.sampling.objective_model import KnownObjectives, ObjectiveModel, Point

Array = NDArray[np.float64]

STARTUP_TRIALS = 20
PROPOSALS = 500
MOST_CHANGES = 3
REDRAWN_EVERY = 10
NEAR = 1
"""Sets the random numbers of points near the front apart from those of points anywhere."""
BOLDNESS = 0.5
"""How much of its uncertainty a prediction is credited with."""
REFERENCE_PERCENTILE = 95
"""Of what is predicted of random points: what is worse adds no hypervolume."""
LEAST_MEASURED = 5
STEPS, LEAST_KEPT = 10, 30
"""Where no random point is allowed, so many steps lead to some that are, from so many points each."""
ROOM = 0.1
"""Where the modelled objective is expected beforehand, the reference point lies so much of the front's range beyond."""


KnownOf = Callable[[Mapping[str, Any]], KnownObjectives | None]
"""Parameters -> what is known of that point; None for what is no point of the problem at all."""


def nothing_known(params: Params) -> KnownObjectives:
    """That the known objectives have to be learned from what was measured."""
    return KnownObjectives(None)


@dataclass(frozen=True, slots=True)
class _History:
    """The points of a study: `measured` ones with their values, and all that must not be proposed again."""

    measured: list[tuple[Point, tuple[float, ...]]]
    in_flight: list[Point]
    held: set[Hashable]


class SurrogateSampler(BaseSampler):
    """By expected hypervolume improvement; where nothing is expected of a point, stratified to begin with.

    Stratified is: spread over the first known objective. With `Known.expected` the improvement decides from the first
    proposal on, and what was measured counts for what it says beyond the expectation.

    Each proposal follows from the seed and the study's history alone, so that a resumed study goes on as an unbroken
    one. Trials in flight count as if they had given what is predicted of them.

    Args:
        foresee: what is known of a point in advance; by default the known objectives are learned.
        modelled: which of the study's objectives is the expensive one.
        ideal: a value of it that none can surpass, such as an accuracy of 1; see `ObjectiveModel`.
        space: the search space; by default that of the study's completed trials, so that the first one is random.
    """

    def __init__(
        self,
        known_of: KnownOf = nothing_known,
        *,
        modelled: int = 0,
        ideal: float | None = None,
        seed: int = 0,
        startup_trials: int = STARTUP_TRIALS,
        proposals: int = PROPOSALS,
        space: Mapping[str, BaseDistribution] | None = None,
    ) -> None:
        self._known_of = known_of
        self._modelled, self._ideal = modelled, ideal
        self._seed = seed
        self._startup_trials = startup_trials
        self._proposals = proposals
        self._space = dict(space) if space is not None else None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The search space given, or what all completed trials have in common."""
        space = self._space if self._space is not None else IntersectionSearchSpace().calculate(study)
        return dict(sorted(space.items()))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal; nothing where all that can be drawn is in the study already."""
        if not search_space or FIXED_PARAMS in trial.system_attrs:
            return {}
        history = self._history(study, trial, search_space)
        is_early = len(history.held) < self._startup_trials or len(history.measured) < LEAST_MEASURED
        if is_early:
            pool = self._drawn(history, search_space, self._proposals)
            if not pool:
                return {}
            if pool[0].known.expected is None:
                return dict(self._stratified(pool, history, search_space))
        signs = np.array([1.0 if each is StudyDirection.MINIMIZE else -1.0 for each in study.directions])
        model = self._model(history, signs, search_space)
        return dict(self._best(model, history, search_space))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value of a parameter that the search space does not hold."""
        seed = zlib.crc32(f"{self._seed} {trial.number} {param_name}".encode())
        return RandomSampler(seed=seed).sample_independent(study, trial, param_name, param_distribution)

    def _point(self, params: Params) -> Point | None:
        known = self._known_of(params)
        if known is None:
            return None
        return Point(dict(params), known, identity_of(params) if known.identity is None else known.identity)

    def _history(self, study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution]) -> _History:
        measured, in_flight = dict[Hashable, tuple[Point, tuple[float, ...]]](), list[Point]()
        held = set[Hashable]()
        for other in study.get_trials(deepcopy=False):
            params = {**other.system_attrs.get(FIXED_PARAMS, {}), **other.params}
            if other.number == trial.number or not all(name in params for name in space):
                continue
            point = self._point({name: params[name] for name in space})
            if point is None:
                continue
            held.add(point.identity)
            if other.state is TrialState.COMPLETE and np.isfinite(other.values).all():
                measured.setdefault(point.identity, (point, tuple(other.values)))
            elif not other.state.is_finished():
                in_flight.append(point)
        return _History(list(measured.values()), in_flight, held)

    def _drawn(self, history: _History, space: Mapping[str, BaseDistribution], count: int) -> list[Point]:
        """Random points that the study does not hold; the same for some proposals, whose known objectives are kept."""
        rng = np.random.default_rng([self._seed, len(history.held) // REDRAWN_EVERY])
        points = self._points(draw(space, rng) for _ in range(count))
        if not any(point.known.allowed for point in points):
            points = self._led_to_allowed(points, space, rng)
        allowed = [point for point in points if point.known.allowed]
        return _not_held(history, allowed or points)

    def _led_to_allowed(
        self, points: list[Point], space: Mapping[str, BaseDistribution], rng: np.random.Generator
    ) -> list[Point]:
        """Where no random point is allowed: those with the least first known objective, and better ones near them."""
        found = {point.identity: point for point in points if point.known.objectives}
        for _ in range(STEPS if found else 0):
            least = sorted(found.values(), key=lambda point: point.known.objectives or ())[:LEAST_KEPT]
            origins = [least[int(each)].params for each in rng.integers(len(least), size=self._proposals // STEPS)]
            near = (mutated(origin, space, rng, int(rng.integers(1, MOST_CHANGES + 1))) for origin in origins)
            found = {point.identity: point for point in [*least, *self._points(near)]}
            if sum(point.known.allowed for point in found.values()) >= LEAST_KEPT:
                break
        return sorted(found.values(), key=lambda point: point.known.objectives or ())[:LEAST_KEPT]

    def _promising(self, model: ObjectiveModel, points: list[Point]) -> list[Params]:
        """The front of these points as they are predicted."""
        better = _dominated(model.known_of(points), model.predict(points)[0])
        return [point.params for point, is_beaten in zip(points, better, strict=True) if not is_beaten]

    def _near(self, history: _History, space: Mapping[str, BaseDistribution], best: list[Params]) -> list[Point]:
        """Points that the study does not hold, a few parameters away from the best."""
        rng = np.random.default_rng([self._seed, len(history.held), NEAR])

        def changed() -> Params:
            origin = best[int(rng.integers(len(best)))]
            return mutated(origin, space, rng, int(rng.integers(1, MOST_CHANGES + 1)))

        near = self._points(changed() for _ in range(self._proposals // 2)) if best else []
        return _not_held(history, (point for point in near if point.known.allowed))

    def _points(self, proposed: Iterable[Params]) -> list[Point]:
        """Those of the proposed points that are any of the problem's."""
        return [point for point in map(self._point, proposed) if point is not None]

    def _stratified(self, pool: list[Point], history: _History, space: Mapping[str, BaseDistribution]) -> Params:
        """Of a part of the first known objective's range, each part in its turn, the point least like those held."""
        number = len(history.held)
        if all(point.known.objectives for point in pool):
            pool = sorted(pool, key=lambda point: (point.known.objectives or (0.0,))[0])
            begin = int(_van_der_corput(number) * len(pool))
            pool = pool[begin : begin + max(1, len(pool) // self._startup_trials)]
        others = [point.params for point, _ in history.measured] + [point.params for point in history.in_flight]
        if not others:
            return pool[0].params
        matrix = matrix_of([*(point.params for point in pool), *others], space)
        ours, theirs = matrix[: len(pool)], matrix[len(pool) :]
        nearest = ((ours[:, None] - theirs[None]) ** 2).sum(axis=2).min(axis=1)
        return pool[int(np.argmax(nearest))].params

    def _model(self, history: _History, signs: Array, space: Mapping[str, BaseDistribution]) -> ObjectiveModel:
        values = np.array([values for _, values in history.measured]).reshape(-1, len(signs)) * signs
        rest = [axis for axis in range(len(signs)) if axis != self._modelled]
        points = [point for point, _ in history.measured]
        ideal = None if self._ideal is None else self._ideal * signs[self._modelled]
        sign = float(signs[self._modelled])
        return ObjectiveModel(
            points, values[:, self._modelled], values[:, rest], signs[rest], space, ideal, self._seed, sign
        )

    def _best(self, model: ObjectiveModel, history: _History, space: Mapping[str, BaseDistribution]) -> Params:
        """The proposal that is expected to enlarge the smoothed front's hypervolume most for its price.

        What counts is the gain a second (Snoek et al. 2012, sec. 3.2).
        """
        known, values = model.known, model.smoothed
        if history.in_flight:
            known = np.vstack([known, model.known_of(history.in_flight)])
            values = np.append(values, model.predict(history.in_flight)[0])
        on_front = [
            point.params
            for point, better in zip((point for point, _ in history.measured), _dominated(known, values), strict=False)
            if not better
        ]
        drawn = self._drawn(history, space, self._proposals // 2)
        if drawn and drawn[0].known.expected is not None:
            on_front += self._promising(model, drawn)
        pool = drawn + self._near(history, space, on_front)
        if not pool:
            return {}
        proposed = model.known_of(pool)
        mean, deviation = model.predict(pool)
        # The points drawn at random stand for the space; those held and those near them are better than most.
        worst = np.percentile(mean[: len(drawn)], REFERENCE_PERCENTILE) if drawn else values.max()
        everywhere = np.vstack([known, proposed])
        ends = everywhere.max(axis=0)
        if drawn and drawn[0].known.expected is not None:
            # The front's own ends, since some points are far slower than any good one; and beyond them, or the slowest
            # of all would add nothing, however good it is expected to be.
            good = everywhere[~_dominated(everywhere, np.append(values, mean))]
            ends = good.max(axis=0) + ROOM * np.ptp(good, axis=0)
        reference = [*ends, float(worst)]
        gains = expected_improvement(proposed, mean, BOLDNESS * deviation, known, values, reference)
        gains = gains / [point.known.price for point in pool]
        return pool[int(np.argmax(gains))].params


def _dominated(known: Array, values: Array) -> NDArray[np.bool_]:
    """Whether another point is at least as good in all and better in one; shape (n,)."""
    both = np.hstack([known, values[:, None]])
    as_good = (both[None] <= both[:, None]).all(axis=2)
    better = (both[None] < both[:, None]).any(axis=2)
    dominated: NDArray[np.bool_] = np.logical_or.reduce(as_good & better, axis=1)
    return dominated


def _not_held(history: _History, points: Iterable[Point]) -> list[Point]:
    """Those that the study does not hold, each once."""
    found: dict[Hashable, Point] = {}
    for point in points:
        if point.identity not in history.held:
            found.setdefault(point.identity, point)
    return list(found.values())


def _van_der_corput(number: int) -> float:
    """The number's binary digits mirrored at the point: any first few of these are spread over [0, 1)."""
    return sum(2.0 ** -(place + 1) for place in range(number.bit_length()) if number >> place & 1)
