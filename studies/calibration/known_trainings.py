"""Full trainings that are known before a user trains anything: the papers' on ImageNet, and those that ship."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from search_space.errors import InputError
from search_space.presets import PRESETS
from studies.calibration import store as calibrations
from studies.calibration.accuracy_fit import AccuracyFit, Example, KnownTrainings
from studies.calibration.accuracy_prior import Label
from studies.papers.published_accuracies import PUBLISHED

IMAGENET = "ImageNet, 224 pixels, as published"
NO_SHUFFLE = "+no-shuffle"


def published_labels() -> tuple[Label, ...]:
    """The ShuffleNets of the papers' tables that are presets here, with and without shuffle, each once."""
    return tuple({label.architecture.key(): label for label in _labels()}.values())


def _labels() -> Iterator[Label]:
    for table in PUBLISHED.values():
        for row in table.rows:
            preset = (row.network or "").removesuffix(NO_SHUFFLE)
            if preset in PRESETS:
                is_shuffled = not (row.network or "").endswith(NO_SHUFFLE)
                architecture = replace(PRESETS[preset], shuffle=is_shuffled)
                yield Label(architecture, 1 - row.error_percent / 100, IMAGENET)


def known_trainings() -> KnownTrainings:
    """All of them, by recipe where they have a short training."""
    examples: dict[str, list[Example]] = {}
    for name in calibrations.SHIPPED:
        for network in calibrations.shipped(name).networks:
            for recipe, training in network.trainings.items():
                example = Example(network.architecture, training, network.accuracies, name)
                examples.setdefault(recipe, []).append(example)
    return KnownTrainings(examples, published_labels())


@cache
def shipped_fit(recipe: str) -> AccuracyFit:
    """The fit of a recipe to all of them; its level is that of no other data.

    Raises:
        InputError: what ships is damaged, or has no fit of the recipe.
    """
    for name in calibrations.SHIPPED:
        fits = calibrations.shipped(name).fits
        if recipe in fits:
            return replace(fits[recipe], is_level_known=False, source="as it ships")
    raise InputError(f"no calibration that ships has a fit of recipe {recipe!r}: install the project anew")
