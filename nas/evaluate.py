"""One architecture evaluated: costed, built, timed, trained. Runs in a worker process."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.remote_device import RemoteDevice
from nas.settings import ANCHOR, Settings
from proxies.data import ImageData, load
from proxies.latency import Latency, Prepared, compare, prepare
from proxies.network import build
from proxies.training import train
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.presets import PRESETS
from studies.database import engine_of
from studies.latency_queue import LatencyQueue
from studies.record import Record, Rejected


class Evaluator:
    """Evaluates architectures one after the other; keeps the data and the anchor's files."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._anchors: dict[int, Prepared] = {}

    def anchor_ms(self) -> float:
        """The latency of the anchor, by which those of a whole study are scaled."""
        anchor = self._anchor(1)
        return self._compare(anchor, anchor, seed=self._settings.seed).p10_ms

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
        """The record of `architecture`; `Rejected`, before any training, where it is over the latency budget.

        A noisy latency is measured once more: at once where it decides on a rejection, else after the training, when
        what disturbed it may be over. The calmer of the two stands.
        """
        settings = self._settings
        cost = cost_of(architecture, settings.resolution, settings.classes)
        latency = self._measure(architecture, anchor_ms)
        limit = settings.budget.latency_ms
        if limit is not None and latency["noisy"]:
            latency = self._calmer(latency, architecture, anchor_ms)
        if limit is not None and latency["latency_ms"] > limit:
            return Rejected(latency["latency_ms"], latency)
        _, training = train(architecture, self._data, settings.recipe, seed=settings.seed, device=settings.device)
        if latency["noisy"] and limit is None:
            latency = self._calmer(latency, architecture, anchor_ms)
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
    def _compare(self) -> Callable[..., Latency]:
        settings = self._settings
        if settings.latency_from is None:
            return compare
        queue = LatencyQueue(engine_of(settings.storage))
        return RemoteDevice(queue, settings.latency_from, settings.latency_timeout_seconds).compare

    def _anchor(self, batch_size: int) -> Prepared:
        if batch_size not in self._anchors:
            self._anchors[batch_size] = self._prepare(PRESETS[ANCHOR], f"anchor-{batch_size}", batch_size)
        return self._anchors[batch_size]

    def _prepare(self, architecture: Architecture, name: str, batch_size: int) -> Prepared:
        settings = self._settings
        return prepare(
            build(architecture, settings.classes),
            self._folder / name,
            resolution=settings.resolution,
            batch_size=batch_size,
            runtime=settings.runtime,
            device=settings.latency_device,
        )

    def _measure(self, architecture: Architecture, anchor_ms: float) -> dict[str, Any]:
        started = time.perf_counter()
        candidate = self._prepare(architecture, "candidate", 1)
        latency = self._compare(candidate, self._anchor(1), reference_ms=anchor_ms, seed=self._settings.seed)
        throughput = self._throughput(architecture)
        return {**latency.to_dict(), **throughput, "attempts": 1, "seconds": time.perf_counter() - started}

    def _calmer(self, first: dict[str, Any], architecture: Architecture, anchor_ms: float) -> dict[str, Any]:
        second = self._measure(architecture, anchor_ms)
        calmer = min(first, second, key=lambda latency: latency["spread"])
        return {**calmer, "attempts": 2, "seconds": first["seconds"] + second["seconds"]}

    def _throughput(self, architecture: Architecture) -> dict[str, Any]:
        batch_size = self._settings.throughput_batch
        if not batch_size:
            return {}
        candidate = self._prepare(architecture, "candidate-batch", batch_size)
        batch = self._compare(candidate, self._anchor(batch_size), seed=self._settings.seed)
        return {
            "throughput_batch": batch_size,
            "images_per_second": 1000 * batch_size / batch.latency_ms,
            "throughput_spread": batch.spread,
            "throughput_noisy": batch.noisy,
        }
