"""The trainings of a study's finalists: what they are told, what is asked, and what the ledger has of it. No torch."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import Study

from nas.settings import check_device
from proxies.data_names import FOLDER, check_name, folder_path
from proxies.image_folder import class_files
from proxies.recipes import RECIPES, Recipe
from search_space.errors import InputError
from studies.evaluations import Question
from studies.finalists import Finalist
from studies.record import Record
from studies.store import SETTINGS

LEAST = {"seeds": 1, "most": 1, "workers": 1}
"""Flag -> the smallest number that it takes."""


@dataclass(frozen=True, slots=True)
class FinalistsSettings:
    """All that the trainings need to know; data and `fingerprint` are those of the study's own trainings."""

    study: str
    data: str
    data_root: Path | None
    download: bool
    image_size: int | None
    fingerprint: str
    recipe: Recipe
    seeds: tuple[int, ...]
    device: str
    workers: int

    def identity(self) -> dict[str, Any]:
        """What decides what the accuracies mean, as plain JSON."""
        return {
            "finalists_of": self.study,
            "recipe": self.recipe.to_dict(),
            "seeds": list(self.seeds),
            "device": self.device,
            "data_fingerprint": self.fingerprint,
        }


def check_flags(flags: argparse.Namespace) -> None:
    """Nothing.

    Raises:
        InputError: any of the flags is not usable, whatever the study.
    """
    for name, least in LEAST.items():
        if getattr(flags, name) < least:
            raise InputError(f"--{name} must be at least {least}, got {getattr(flags, name)}")
    if flags.recipe not in RECIPES:
        raise InputError(f"--recipe must be one of {', '.join(RECIPES)}, got {flags.recipe!r}")
    check_device(flags.device)


def settings_for(study: Study, flags: argparse.Namespace) -> FinalistsSettings:
    """The settings that the study's own and the flags amount to: the data are the study's, the seeds are not.

    Raises:
        InputError: the study does not say which data it was trained on, or they are not there.
    """
    kept = study.user_attrs.get(SETTINGS, {})
    if not {"data", "image_size", "seed", "data_fingerprint"} <= kept.keys():
        raise InputError(f"the study {study.study_name!r} does not say which data it was trained on: search anew")
    check_name(kept["data"])
    if kept["data"].startswith(FOLDER):
        class_files(folder_path(kept["data"]))
    return FinalistsSettings(
        study=study.study_name,
        data=kept["data"],
        data_root=flags.data_root,
        download=flags.download,
        image_size=kept["image_size"],
        fingerprint=kept["data_fingerprint"],
        recipe=RECIPES[flags.recipe],
        seeds=tuple(kept["seed"] + 1 + number for number in range(flags.seeds)),
        device=flags.device,
        workers=flags.workers,
    )


def questions(settings: FinalistsSettings, records: Sequence[Record]) -> list[Question]:
    """All that is to be asked, seed by seed, the costliest network of each first."""
    costliest_first = sorted(records, key=lambda record: record.macs, reverse=True)
    return [_question(settings, record, seed) for seed in settings.seeds for record in costliest_first]


def trained(
    settings: FinalistsSettings, records: Sequence[Record], answers: Mapping[str, Mapping[str, Any]]
) -> list[Finalist]:
    """The finalists whose every training is among the ledger's answers."""
    finalists = []
    for record in records:
        found = {seed: answers.get(_question(settings, record, seed).digest) for seed in settings.seeds}
        accuracies = {seed: float(each["validation_accuracies"][-1]) for seed, each in found.items() if each}
        if len(accuracies) == len(settings.seeds):
            finalists.append(Finalist(record, accuracies))
    return finalists


def _question(settings: FinalistsSettings, record: Record, seed: int) -> Question:
    return Question(record.architecture, settings.recipe.to_dict(), settings.fingerprint, seed, settings.device)
