"""One architecture evaluated: costed, built, timed, trained. Runs in a worker process."""

from __future__ import annotations

import platform
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.settings import ANCHOR, Settings
from proxies.data import ImageData, load
from proxies.latency import Prepared, compare, prepare
from proxies.network import build
from proxies.training import train
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.presets import PRESETS
from studies.record import Record, Rejected


class Evaluator:
    """Evaluates architectures one after the other; keeps the data and the anchor's file."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder

    def anchor_ms(self) -> float:
        """The latency of the anchor, by which those of a whole study are scaled."""
        return compare(self._anchor, self._anchor, seed=self._settings.seed).p10_ms

    def data_facts(self) -> dict[str, Any]:
        """What identifies and describes the data, as plain JSON."""
        data = self._data
        return {
            "fingerprint": data.fingerprint,
            "training_images": len(data.train_images),
            "validation_images": len(data.val_images),
            "image_size": data.image_size,
            "channels": data.channels,
            "classes": list(data.classes),
        }

    def evaluate(self, architecture: Architecture, anchor_ms: float) -> Record | Rejected:
        """The record of `architecture`; `Rejected`, before any training, where it is over the latency budget."""
        settings = self._settings
        cost = cost_of(architecture, settings.resolution, settings.classes)
        latency = self._measure(architecture, anchor_ms)
        limit = settings.budget.latency_ms
        if limit is not None and latency["latency_ms"] > limit:
            return Rejected(latency["latency_ms"], latency)
        _, training = train(architecture, self._data, settings.recipe, seed=settings.seed, device=settings.device)
        return Record(
            architecture=architecture,
            macs=cost.macs,
            params=cost.params,
            peak_bytes=cost.peak_bytes,
            memory_access_bytes=cost.memory_access_bytes,
            accuracy=training.accuracy,
            latency_ms=latency["latency_ms"],
            latency=latency,
            training=training.to_dict(),
            where=platform.node(),
        )

    @cached_property
    def _data(self) -> ImageData:
        settings = self._settings
        return load(settings.data, root=settings.data_root, image_size=settings.image_size, download=settings.download)

    @cached_property
    def _anchor(self) -> Prepared:
        return self._prepare(PRESETS[ANCHOR], "anchor")

    def _prepare(self, architecture: Architecture, name: str) -> Prepared:
        network = build(architecture, self._settings.classes)
        return prepare(
            network,
            self._folder / name,
            resolution=self._settings.resolution,
            runtime=self._settings.runtime,
            device=self._settings.latency_device,
        )

    def _measure(self, architecture: Architecture, anchor_ms: float) -> dict[str, Any]:
        started = time.perf_counter()
        candidate = self._prepare(architecture, "candidate")
        latency = compare(candidate, self._anchor, reference_ms=anchor_ms, seed=self._settings.seed)
        return {**latency.to_dict(), "seconds": time.perf_counter() - started}
