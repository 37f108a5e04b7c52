"""What a comparison asks of a network, answered in a worker process: its counts, a training, a latency."""

from __future__ import annotations

import math
import time
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from torch import nn

from nas.calibrate.evaluator import made_by
from nas.compare.settings import CompareSettings
from proxies.counting import count
from proxies.data.load import ImageData, load
from proxies.latency.measure import Prepared, compare, prepare
from proxies.latency.runtimes import RUNTIMES
from proxies.network import build
from proxies.references.networks import build_reference
from proxies.training.recipes import Recipe
from proxies.training.result import TrainingError
from proxies.training.trainer import train
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.presets import ANCHOR, PRESETS
from studies.ledger.trainings import HandDesigned


class CompareEvaluator:
    """Answers one question after the other; keeps the data and the anchor's file."""

    def __init__(self, settings: CompareSettings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder

    def where(self) -> dict[str, Any]:
        """On which data, of how many pixels, and on which device and runtime all is answered, as plain JSON."""
        settings = self._settings
        return {
            "data": self._data.fingerprint,
            "image_size": settings.recipe.image_size(self._data.image_size),
            "fingerprint": made_by(settings.latency_device)["fingerprint"],
            "runtime_version": RUNTIMES[settings.runtime].version(),
        }

    def made_by(self) -> dict[str, Any]:
        """The machine that trains and the versions, as plain JSON."""
        return made_by(self._settings.device)

    def count(self, network: Architecture | HandDesigned) -> tuple[int, int]:
        """The multiply-adds and the parameters at deployment."""
        settings = self._settings
        if isinstance(network, Architecture):
            cost = cost_of(network, settings.resolution, settings.classes)
            return cost.macs, cost.params
        return count(self._built(network), (1, 3, settings.resolution, settings.resolution))

    def answer(self, network: Architecture | HandDesigned, method: dict[str, Any], seed: int) -> dict[str, Any]:
        """The training by the recipe that `method` is the fields of, as plain JSON."""
        trained = network if isinstance(network, Architecture) else partial(_reference, network.name)
        _, training = train(trained, self._data, Recipe(**method), seed=seed, device=self._settings.device)
        if not all(map(math.isfinite, training.validation_losses)):
            raise TrainingError(f"the validation loss is {training.validation_losses[-1]}")
        return training.to_dict()

    def measure(self, network: Architecture | HandDesigned, anchor_ms: float | None) -> dict[str, Any]:
        """The latency, scaled to the anchor's; a noisy one is measured once more, and the calmer of the two stands.

        None for `anchor_ms` takes what the anchor took beside it.
        """
        first = self._measure(network, anchor_ms)
        if not first["noisy"]:
            return first
        second = self._measure(network, anchor_ms)
        calmer = min(first, second, key=lambda latency: latency["spread"])
        return {**calmer, "attempts": 2, "seconds": first["seconds"] + second["seconds"]}

    @cached_property
    def _data(self) -> ImageData:
        settings = self._settings
        return load(settings.data, root=settings.data_root, image_size=settings.image_size, download=settings.download)

    @cached_property
    def _anchor(self) -> Prepared:
        return self._prepare(PRESETS[ANCHOR], "anchor")

    def _measure(self, network: Architecture | HandDesigned, anchor_ms: float | None) -> dict[str, Any]:
        started = time.perf_counter()
        seed = self._settings.seeds[0]
        latency = compare(self._prepare(network, "candidate"), self._anchor, reference_ms=anchor_ms, seed=seed)
        return {**latency.to_dict(), "attempts": 1, "seconds": time.perf_counter() - started}

    def _prepare(self, network: Architecture | HandDesigned, name: str) -> Prepared:
        settings = self._settings
        return prepare(
            self._built(network),
            self._folder / name,
            resolution=settings.resolution,
            runtime=settings.runtime,
            device=settings.latency_device,
        )

    def _built(self, network: Architecture | HandDesigned) -> nn.Module:
        classes = self._settings.classes
        return build(network, classes) if isinstance(network, Architecture) else build_reference(network.name, classes)


def _reference(name: str, num_classes: int, in_channels: int, stem_stride: int, seed: int) -> nn.Module:
    return build_reference(name, num_classes, in_channels, stem_stride, seed=seed)
