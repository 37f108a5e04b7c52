"""Optuna samplers by name, ours among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from studies.sampling.sampler_names import check_sampler, takes_known_objectives
from studies.sampling.surrogate_sampler import KnownOf, SurrogateSampler, nothing_known

STARTUP_TRIALS = 10


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a sampler may know before anything is evaluated: of each point, of the space, of the first objective.

    The first objective is the expensive one, and `ideal` a value of it that none can surpass.
    """

    known_of: KnownOf = nothing_known
    space: Mapping[str, BaseDistribution] | None = field(default=None, hash=False)
    ideal: float | None = None


NOTHING_AHEAD = Ahead()

SAMPLERS: dict[str, Callable[[int, Ahead], BaseSampler]] = {
    "surrogate": lambda seed, ahead: SurrogateSampler(ahead.known_of, space=ahead.space, ideal=ahead.ideal, seed=seed),
    "tpe": lambda seed, _: TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS),
    "gp": lambda seed, _: GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS),
    "nsga2": lambda seed, _: NSGAIISampler(seed=seed, population_size=20),
    "random": lambda seed, _: RandomSampler(seed=seed),
}
"""Name -> sampler for a seed. TPE is the multivariate one: for two objectives it does better than Optuna's default."""


def sampler_for(name: str, seed: int, position: int, ahead: Ahead = NOTHING_AHEAD) -> BaseSampler:
    """The sampler for a study's trial at `position`, counted over the trials that came to an end.

    Each trial has a fresh one, seeded by the study's seed and that position: what a sampler knows it reads from the
    study, so a resumed study goes on as an unbroken one would, and no point is drawn again for having been reseeded.
    Ours seeds itself by how many points the study holds, which is the same.
    """
    check_sampler(name)
    seed = seed if takes_known_objectives(name) else (seed * 1_000_003 + position) % 2**32
    return SAMPLERS[name](seed, ahead)
