"""A calibration of made-up networks and trainings."""

from dataclasses import replace
from functools import cache
from math import exp, log
from typing import Any

import numpy as np

from proxies.training.recipes import RECIPES
from search_space import Budget, SearchSpace, cost_of
from search_space.choosers import RandomChooser
from studies.calibration.results import (
    Calibration,
    Made,
    Trained,
    calibration_of,
)
from studies.calibration.scores import AT_INITIALISATION
from studies.facts import TrainingFacts

CLASSES = 10
SHORT, LONG = RECIPES["short"], RECIPES["long"]


def made(**changes: Any) -> Made:
    recipes = {recipe.name: recipe.to_dict() for recipe in (SHORT, LONG, RECIPES["full"])}
    usual = Made("photos", "0123456789abcdef", "41mflops", 224, 1000, "full", recipes, (0, 1), "cpu", 1e9)
    return replace(usual, **changes)


def curves(quality: float, epochs: int, seconds: float) -> TrainingFacts:
    """A training that goes the faster the better the network is."""
    losses = [log(CLASSES) * exp(-2 * quality * (epoch + 1) / epochs) for epoch in range(epochs)]
    return TrainingFacts(
        {
            "training_losses": losses,
            "validation_losses": [losses[-1] + 0.1],
            "validation_accuracies": [round(quality, 2)],
            "seconds": seconds,
            "num_classes": CLASSES,
        }
    )


@cache
def networks(stratified: int = 12, equal: int = 12, seeds: int = 2) -> tuple[Trained, ...]:
    """Architectures of the space with made-up trainings; those of the set at equal FLOPs are told to cost as much."""
    space = SearchSpace.default(Budget.parse("41mflops"))
    random = np.random.default_rng(0)
    found = []
    for number in range(stratified + equal):
        architecture = space.suggest(RandomChooser(number))
        cost = cost_of(architecture)
        is_equal = number >= stratified
        macs = 41_000_000 if is_equal else cost.macs
        quality = 0.5 + 0.1 * log(macs / 41e6) + 0.05 * random.normal()
        found.append(
            Trained(
                architecture=architecture,
                macs=macs,
                params=cost.params,
                sets=("equal",) if is_equal else ("stratified",),
                zero_cost={name: float(random.normal()) for name in AT_INITIALISATION},
                zero_cost_seconds=dict.fromkeys(AT_INITIALISATION, 0.1 + number),
                trainings={"short": curves(quality, 4, 30.0 + number), "long": curves(quality, 8, 90.0)},
                accuracies=tuple(quality + 0.01 * float(random.normal()) for _ in range(seeds)),
            )
        )
    return tuple(found)


@cache
def calibration(**sizes: int) -> Calibration:
    return calibration_of(made(), networks(**sizes), ["short", "long"])
