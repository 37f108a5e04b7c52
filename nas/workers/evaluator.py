"""One architecture evaluated: costed, built, timed, trained. Runs in a worker process."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.calibrate.evaluator import Calibrator
from nas.search.settings import Settings
from nas.workers.remote_device import RemoteDevice
from proxies.backbone import deployed
from proxies.latency.measure import Latency, Prepared, compare, prepare
from proxies.latency.protocol import FULL, QUICK, TIMINGS, Timing
from proxies.training.trainer import train
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.presets import ANCHOR, PRESETS
from studies.ledger.latency_queue import LatencyQueue
from studies.record import Record, Rejected, is_open
from studies.storage.database import engine_of


class Evaluator(Calibrator):
    """Evaluates architectures one after the other, and trains them by other recipes; keeps the anchor's files."""

    _settings: Settings

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        self._folder = folder
        self._anchors: dict[int, Prepared] = {}

    def anchor(self) -> dict[str, Any]:
        """The latency of the anchor, by whose p10 those of a whole study are scaled, and of which device it is."""
        anchor, full = self._anchor(1), TIMINGS[FULL]
        # More processes would make its ratio to itself surer, which is 1; its own time wanders by more than that.
        timing = replace(full, max_processes=full.processes)
        return dict(self._compare(anchor, anchor, timing=timing, seed=self._settings.seed).to_dict())

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

    def evaluate(
        self,
        architecture: Architecture,
        anchor_ms: float,
        latency: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> Record | Rejected:
        """The record of `architecture`; `Rejected`, before any training, where it is over the latency budget.

        What is given is not done again. The latency is measured quickly, and fully where its error leaves open whether
        it keeps to the budget.
        """
        settings = self._settings
        limit = settings.budget.latency_ms
        timed = dict(latency) if latency else self.measure(architecture, anchor_ms, QUICK)
        if is_open(timed, limit):
            timed = self.measure(architecture, anchor_ms)
        if limit is not None and timed["latency_ms"] > limit:
            return Rejected(timed["latency_ms"], timed)
        trained = training or self._train(architecture)
        cost = cost_of(architecture, settings.resolution, settings.classes)
        return Record.of_parts(architecture, cost, timed, trained, platform.node())

    def measure(self, architecture: Architecture, anchor_ms: float, depth: str = FULL) -> dict[str, Any]:
        """The latency of `architecture`, scaled to the anchor's, by a row of `TIMINGS`.

        A full one that is noisy is taken twice, and the calmer of the two stands.
        """
        latency = self._measure(architecture, anchor_ms, TIMINGS[depth])
        if depth == QUICK or not latency["noisy"]:
            return latency
        second = self._measure(architecture, anchor_ms, TIMINGS[depth])
        calmer = min(latency, second, key=lambda each: each["spread"])
        return {**calmer, "attempts": 2, "seconds": latency["seconds"] + second["seconds"]}

    def _train(self, architecture: Architecture) -> dict[str, Any]:
        settings = self._settings
        _, training = train(architecture, self._data, settings.recipe, seed=settings.seed, device=settings.device)
        return training.to_dict()

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
            deployed(architecture, settings.classes),
            self._folder / name,
            resolution=settings.resolution,
            batch_size=batch_size,
            runtime=settings.runtime,
            device=settings.latency_device,
        )

    def _measure(self, architecture: Architecture, anchor_ms: float, timing: Timing) -> dict[str, Any]:
        started = time.perf_counter()
        candidate, seed = self._prepare(architecture, "candidate", 1), self._settings.seed
        latency = self._compare(candidate, self._anchor(1), timing=timing, reference_ms=anchor_ms, seed=seed)
        throughput = self._throughput(architecture, timing)
        return {**latency.to_dict(), **throughput, "attempts": 1, "seconds": time.perf_counter() - started}

    def _throughput(self, architecture: Architecture, timing: Timing) -> dict[str, Any]:
        batch_size = self._settings.throughput_batch
        if not batch_size:
            return {}
        candidate = self._prepare(architecture, "candidate-batch", batch_size)
        batch = self._compare(candidate, self._anchor(batch_size), timing=timing, seed=self._settings.seed)
        return {
            "throughput_batch": batch_size,
            "images_per_second": 1000 * batch_size / batch.latency_ms,
            "throughput_spread": batch.spread,
            "throughput_noisy": batch.noisy,
        }
