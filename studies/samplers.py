"""Optuna samplers by name."""

from __future__ import annotations

from collections.abc import Callable

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from search_space.errors import InputError

STARTUP_TRIALS = 10

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP_TRIALS),
    "gp": lambda seed: GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS),
    "nsga2": lambda seed: NSGAIISampler(seed=seed, population_size=20),
    "random": lambda seed: RandomSampler(seed=seed),
}
"""Name -> sampler for a seed. TPE is the multivariate one: for two objectives it does better than Optuna's default."""

DEFAULT_SAMPLER = "tpe"


def check_sampler(name: str) -> None:
    """Nothing.

    Raises:
        InputError: there is no sampler of that name.
    """
    if name not in SAMPLERS:
        raise InputError(f"a sampler is one of {', '.join(SAMPLERS)}; got {name!r}")


def sampler_for(name: str, seed: int, position: int) -> BaseSampler:
    """The sampler for a study's trial at `position`, counted over the trials that came to an end.

    Each trial has a fresh one, seeded by the study's seed and that position: what a sampler knows it reads from the
    study, so a resumed study goes on as an unbroken one would, and no point is drawn again for having been reseeded.
    """
    check_sampler(name)
    return SAMPLERS[name]((seed * 1_000_003 + position) % 2**32)
