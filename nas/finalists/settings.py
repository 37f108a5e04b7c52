"""The settings of finalists: the study's own settings, a recipe and seeds. Without torch."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import Any

from optuna.study import Study

from nas.cli.flags import data_at
from nas.search.accuracy import Accuracy
from nas.search.references import ANCHOR_MS
from nas.search.settings import Settings, settings_of_study
from proxies.data.names import check_images
from proxies.training.recipes import RECIPES, Recipe
from search_space.bounds import SEEDS
from search_space.errors import InputError
from search_space.precision import INT8
from studies.accuracy_scale import ACCURACY
from studies.storage.studies import SETTINGS

NEEDED = {
    *("budget", "data", "data_fingerprint", "image_size", "recipe", "seed"),
    *("device", "runtime", "latency_device", "resolution", "classes"),
}
"""What a study must have kept of its settings."""


@dataclass(frozen=True, slots=True)
class FinalistsSettings:
    """All that finalists need to know: `search` are the settings of the search that found them.

    `fingerprint` is that of its data, `anchor_ms` what its latencies are scaled by, `accuracy` how its accuracies are
    had (None: they are the trainings' own).
    """

    search: Settings
    fingerprint: str
    anchor_ms: float
    accuracy: Accuracy | None
    recipe: Recipe
    seeds: tuple[int, ...]

    @property
    def error(self) -> float:
        """How far the study's accuracies are off, as far as that is known; else 0."""
        return self.accuracy.fit.error if self.accuracy and self.accuracy.fit else 0.0

    @property
    def in_int8(self) -> bool:
        """Whether the search is for int8: finalists are quantised then, and their accuracies are those in 8 bits."""
        return self.search.latency.precision == INT8

    @property
    def are_predicted(self) -> bool:
        """Whether the finalists' accuracies are predictions, as the search's own: by its own recipe they are."""
        has_fit = self.accuracy is not None and self.accuracy.fit is not None
        return has_fit and self.recipe.to_dict() == self.search.recipe.to_dict()

    def trained_by(self, recipe: Recipe, seeds: int) -> FinalistsSettings:
        """The same for another recipe and so many seeds."""
        return replace(self, recipe=recipe, seeds=seeds_of(self.search, seeds))

    def identity(self) -> dict[str, Any]:
        """What decides what the accuracies mean, as plain JSON."""
        return {
            "finalists_of": self.search.study,
            "recipe": self.recipe.to_dict(),
            "seeds": list(self.seeds),
            "device": self.search.device,
            "data_fingerprint": self.fingerprint,
        }


def settings_from(study: Study, search: Settings, recipe: Recipe, seeds: int) -> FinalistsSettings:
    """The settings for finalists of an open study, `search` being its own; so many seeds, none of them its own.

    Images a second are not measured: a front needs the latency alone.
    """
    kept = study.user_attrs.get(ACCURACY)
    return FinalistsSettings(
        search=replace(search, latency=replace(search.latency, throughput_batch=0)),
        fingerprint=study.user_attrs[SETTINGS]["data_fingerprint"],
        anchor_ms=study.user_attrs[ANCHOR_MS],
        accuracy=Accuracy.from_dict(kept) if kept else None,
        recipe=recipe,
        seeds=seeds_of(search, seeds),
    )


def seeds_of(search: Settings, number: int) -> tuple[int, ...]:
    """So many seeds for finalists, none of them the search's own."""
    return tuple((search.seed + 1 + each) % (int(SEEDS.most) + 1) for each in range(number))


def settings_for(study: Study, url: str, flags: argparse.Namespace) -> FinalistsSettings:
    """The settings that those kept by the study and the flags of `nas.finalists` amount to.

    Raises:
        InputError: the study does not say how its networks were trained and timed, its data are not there, or they
            cannot be timed here.
    """
    kept = study.user_attrs.get(SETTINGS, {})
    if not kept.keys() >= NEEDED or ANCHOR_MS not in study.user_attrs:
        raise InputError(
            f"the study {study.study_name!r} does not say which data it was trained on and how it was timed: "
            "search anew"
        )
    data = data_at(flags, _data_here(flags.data, kept["data"]), kept["image_size"])
    device = flags.device or kept["device"]
    search = settings_of_study(study.study_name, kept, url, data, device, flags.workers)
    return settings_from(study, search, RECIPES[flags.recipe], flags.seeds)


def _data_here(given: str | None, kept: str) -> str:
    """The name of the search's images on this machine, which may be another than the search's."""
    try:
        check_images(given or kept)
    except InputError as error:
        cure = "" if given else ": say with --data where they lie"
        raise InputError(f"finalists are trained on the search's own images, {kept!r}: {error}{cure}") from error
    return given or kept
