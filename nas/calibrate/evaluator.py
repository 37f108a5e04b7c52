"""What a calibration asks of an architecture, answered in a worker process: trainings and scores at initialisation."""

from __future__ import annotations

import math
import platform
import time
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nas.calibrate.settings import CalibrationSettings
from nas.search.settings import Settings
from proxies.data.load import ImageData, load, normalise
from proxies.latency.machine import device_facts, fingerprint
from proxies.latency.measure import gpu_name
from proxies.network import build
from proxies.training.recipes import Recipe
from proxies.training.result import TrainingError
from proxies.training.trainer import train, training_rows
from proxies.zero_cost.method import ZERO_COST
from proxies.zero_cost.rows import zero_cost_scores
from search_space.architecture import Architecture

PACKAGES = ("torch", "torchvision", "numpy")


def made_by(device: str = "cpu") -> dict[str, Any]:
    """The machine, with the GPU where the device is cuda, and the versions, as plain JSON.

    `fingerprint` names the device as it does in a latency: what was trained and what was timed there have the same.
    """
    facts = device_facts(gpu_name() if device == "cuda" else "")
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return {"host": platform.node(), **facts, "fingerprint": fingerprint(facts), "versions": versions}


class Calibrator:
    """Answers one question after the other; keeps the data."""

    def __init__(self, settings: CalibrationSettings | Settings, folder: Path) -> None:
        self._settings = settings

    def data_fingerprint(self) -> str:
        """What identifies the data."""
        return self._data.fingerprint

    def made_by(self) -> dict[str, Any]:
        """The machine and the versions, as plain JSON."""
        return made_by(self._settings.device)

    def answer(self, architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
        """The training by the recipe that `method` is the fields of, or the scores at initialisation, as plain JSON."""
        if method["name"] == ZERO_COST["name"]:
            return self._zero_cost(architecture, seed)
        _, training = train(architecture, self._data, Recipe(**method), seed=seed, device=self._settings.device)
        if not all(map(math.isfinite, training.validation_losses)):
            raise TrainingError(f"the validation loss is {training.validation_losses[-1]}")
        return training.to_dict()

    def _zero_cost(self, architecture: Architecture, seed: int) -> dict[str, Any]:
        recipe = Recipe("", 1, 0.1, image_scale=ZERO_COST["image_scale"], max_images=ZERO_COST["images"])
        data = self._data.resized(recipe.image_size(self._data.image_size))
        rows = training_rows(len(data.train_images), recipe)
        network = build(
            architecture, data.num_classes, data.channels, recipe.stem_stride_at(data.image_size), seed=seed
        )
        network.to(memory_format=torch.channels_last)
        started = time.perf_counter()
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            images = normalise(data.train_images[rows], *data.channel_stats)
            found = zero_cost_scores(network, images, data.train_labels[rows])
        finally:
            torch.set_num_threads(threads)
        seconds = time.perf_counter() - started
        return {"scores": found.scores, "score_seconds": found.seconds, "seconds": seconds}

    @cached_property
    def _data(self) -> ImageData:
        settings = self._settings
        return load(settings.data, root=settings.data_root, image_size=settings.image_size, download=settings.download)
