"""What commands ask of a network, answered in a worker process: its counts, scores, trainings and latencies."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas.workers.remote_device import RemoteDevice
from nas.workers.setup import EvaluatorSetup
from proxies.backbone import deployed
from proxies.counting import count
from proxies.data.load import ImageData, normalise
from proxies.latency.machine import device_facts, fingerprint
from proxies.latency.measure import Latency, Prepared, compare, gpu_name, prepare
from proxies.latency.protocol import FULL, QUICK, TIMINGS, Timing
from proxies.latency.runtimes import RUNTIMES
from proxies.network import build
from proxies.references.networks import build_reference
from proxies.training.recipes import Recipe
from proxies.training.trainer import train, training_rows
from proxies.zero_cost.method import ZERO_COST
from proxies.zero_cost.rows import zero_cost_scores
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.hand_designed import HandDesigned
from search_space.precision import FP32, INT8
from search_space.presets import ANCHOR, PRESETS
from studies.checked_facts import LEARNED, LEDGERED, checked_latency, checked_scores, checked_training
from studies.facts import LatencyFacts, TrainingFacts
from studies.ledger.latency_queue import LatencyQueue
from studies.record import Record, Rejected
from studies.storage.database import engine_of

PACKAGES = ("torch", "torchvision", "numpy")
Network = Architecture | HandDesigned


def made_by(device: str = "cpu") -> dict[str, Any]:
    """The machine, with the GPU where the device is cuda, and the versions, as plain JSON.

    `fingerprint` names the device as it does in a latency: what was trained and what was timed there have the same.
    """
    facts = device_facts(gpu_name() if device == "cuda" else "")
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return {"host": platform.node(), **facts, "fingerprint": fingerprint(facts), "versions": versions}


class Evaluator:
    """Answers one question after the other; keeps the data and the anchor's files, which lie in the folder."""

    def __init__(self, setup: EvaluatorSetup, folder: Path) -> None:
        self._setup = setup
        self._folder = folder
        self._anchors: dict[tuple[int, str], Prepared] = {}
        self._fp32_anchor_ms: dict[float, float] = {}

    # Where answers come from

    def data_fingerprint(self) -> str:
        """What identifies the data."""
        return self._data.fingerprint

    def data_notes(self) -> tuple[str, ...]:
        """What a user should know of the data, in lines."""
        return self._data.notes

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

    def made_by(self) -> dict[str, Any]:
        """The machine that trains and the versions, as plain JSON."""
        return made_by(self._setup.device)

    def where(self) -> dict[str, Any]:
        """On which data, of how many pixels, and on which device and runtime all is answered, as plain JSON."""
        setup = self._setup
        return {
            "data": self._data.fingerprint,
            "image_size": setup.recipe.image_size(self._data.image_size),
            "fingerprint": made_by(setup.latency.device)["fingerprint"],
            "runtime_version": RUNTIMES[setup.latency.runtime].version(),
        }

    # Costs and trainings

    def count(self, network: Network) -> tuple[int, int]:
        """The multiply-adds and the parameters at deployment."""
        task = self._setup.task
        if isinstance(network, Architecture):
            cost = cost_of(network, task.resolution, task.num_classes)
            return cost.macs, cost.params
        return count(self._built(network), (1, 3, task.resolution, task.resolution))

    def answer(self, network: Network, method: dict[str, Any], seed: int, in_int8: bool = False) -> dict[str, Any]:
        """The training by the recipe that `method` is the fields of, or the scores at initialisation, as plain JSON.

        With `in_int8` the trained network is quantised, and its accuracy in 8 bits is among them.
        """
        if method["name"] == ZERO_COST["name"]:
            assert isinstance(network, Architecture)
            return self._zero_cost(network, method, seed)
        trained = network if isinstance(network, Architecture) else partial(_reference, network.name)
        made, training = train(trained, self._data, Recipe(**method), seed=seed, device=self._setup.device)
        plain = training.to_dict()
        if in_int8:
            from proxies.quantization.accuracy import quantised_accuracy  # here, for it imports ONNX Runtime's tools

            plain["int8"] = quantised_accuracy(made, self._data.resized(training.image_size)).to_dict()
        return dict(checked_training(plain, LEARNED).plain)

    def _zero_cost(self, architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
        shrunk = {"image_scale": method["image_scale"], "resolution_share": method.get("resolution_share", 1.0)}
        recipe, own = Recipe("", 1, 0.1, max_images=method["images"], **shrunk), self._data.image_size
        data = self._data.resized(recipe.image_size(own))
        rows = training_rows(len(data.train_images), recipe)
        network = build(architecture, data.num_classes, data.channels, recipe.stem_stride_at(own), seed=seed)
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
        return dict(checked_scores({"scores": found.scores, "score_seconds": found.seconds, "seconds": seconds}))

    # A search's evaluation

    def evaluate(
        self,
        architecture: Architecture,
        anchor_ms: float,
        latency: LatencyFacts | None = None,
        training: TrainingFacts | None = None,
    ) -> Record | Rejected:
        """The record of `architecture`; `Rejected`, before any training, where it is over the latency budget.

        What is given is not done again. The latency is measured quickly, and fully where its error leaves open whether
        it keeps to the budget.
        """
        task, limit = self._setup.task, self._setup.limit_ms
        timed = latency or self.measure(architecture, anchor_ms, QUICK)
        if timed.is_open(limit):
            timed = self.measure(architecture, anchor_ms)
        if limit is not None and timed.latency_ms > limit:
            return Rejected(timed.latency_ms, timed)
        trained = training or self._train(architecture)
        cost = cost_of(architecture, task.resolution, task.num_classes)
        return Record.of_parts(architecture, cost, timed, trained, platform.node())

    def _train(self, architecture: Architecture) -> TrainingFacts:
        setup = self._setup
        recipe = setup.recipe.of(architecture, setup.task.resolution)
        _, training = train(architecture, self._data, recipe, seed=setup.seed, device=setup.device)
        return checked_training(training.to_dict(), LEARNED)

    # Latencies

    def anchor(self) -> dict[str, Any]:
        """The latency of the anchor, by whose p10 those of a whole study are scaled, and of which device it is."""
        anchor, full = self._anchor(1), TIMINGS[FULL]
        # More processes would make its ratio to itself surer, which is 1; its own time wanders by more than that.
        timing = replace(full, max_processes=full.processes)
        latency = self._compare(anchor, anchor, timing=timing, seed=self._setup.seed)
        return dict(checked_latency(latency.to_dict(), LEDGERED).plain)

    def measure(self, network: Network, anchor_ms: float | None, depth: str = FULL) -> LatencyFacts:
        """The latency of `network`, scaled to the anchor's, by a row of `TIMINGS`.

        A full one that is noisy is taken twice, and the calmer of the two stands. None for `anchor_ms` takes what the
        anchor took beside it.
        """
        latency = self._measure(network, anchor_ms, TIMINGS[depth])
        if depth == QUICK or not latency.noisy:
            return latency
        second = self._measure(network, anchor_ms, TIMINGS[depth])
        calmer = min(latency, second, key=lambda each: each.spread)
        return calmer.changed(attempts=2, seconds=latency.seconds + second.seconds)

    def measure_in_fp32(self, network: Network, anchor_ms: float) -> LatencyFacts:
        """The latency of `network` in fp32, taken quickly, on the scale of latencies in int8: the anchor's is that.

        The anchor's own in fp32, by which it is scaled, is its whole ratio to the one in int8.
        """
        if anchor_ms not in self._fp32_anchor_ms:
            anchors, seed = (self._anchor(1, precision) for precision in (FP32, INT8)), self._setup.seed
            anchor = self._compare(*anchors, timing=TIMINGS[FULL], reference_ms=anchor_ms, seed=seed)
            self._fp32_anchor_ms[anchor_ms] = anchor.latency_ms
        started = time.perf_counter()
        latency = self._compare(
            self._prepare(network, "candidate", 1, FP32),
            self._anchor(1, FP32),
            timing=TIMINGS[QUICK],
            reference_ms=self._fp32_anchor_ms[anchor_ms],
            seed=self._setup.seed,
        )
        return checked_latency({**latency.to_dict(), "attempts": 1, "seconds": time.perf_counter() - started}, LEDGERED)

    def _measure(self, network: Network, anchor_ms: float | None, timing: Timing) -> LatencyFacts:
        started = time.perf_counter()
        candidate, seed = self._prepare(network, "candidate", 1), self._setup.seed
        latency = self._compare(candidate, self._anchor(1), timing=timing, reference_ms=anchor_ms, seed=seed)
        throughput = self._throughput(network, timing)
        seconds = time.perf_counter() - started
        return checked_latency({**latency.to_dict(), **throughput, "attempts": 1, "seconds": seconds}, LEDGERED)

    def _throughput(self, network: Network, timing: Timing) -> dict[str, Any]:
        batch_size = self._setup.latency.throughput_batch
        if not batch_size:
            return {}
        candidate = self._prepare(network, "candidate-batch", batch_size)
        batch = self._compare(candidate, self._anchor(batch_size), timing=timing, seed=self._setup.seed)
        return {
            "throughput_batch": batch_size,
            "images_per_second": 1000 * batch_size / batch.latency_ms,
            "throughput_spread": batch.spread,
            "throughput_noisy": batch.noisy,
        }

    @cached_property
    def _compare(self) -> Callable[..., Latency]:
        latency = self._setup.latency
        if latency.remote is None:
            return compare
        queue = LatencyQueue(engine_of(self._setup.storage))
        return RemoteDevice(queue, latency.remote, latency.timeout_seconds).compare

    def _anchor(self, batch_size: int, precision: str | None = None) -> Prepared:
        which = batch_size, precision or self._setup.latency.precision
        if which not in self._anchors:
            self._anchors[which] = self._prepare(PRESETS[ANCHOR], f"anchor-{which[1]}-{batch_size}", *which)
        return self._anchors[which]

    def _prepare(self, network: Network, name: str, batch_size: int, precision: str | None = None) -> Prepared:
        setup = self._setup
        task = setup.task.of(network) if isinstance(network, Architecture) else setup.task
        return prepare(
            self._built(network),
            self._folder / name,
            resolution=task.resolution,
            batch_size=batch_size,
            runtime=setup.latency.runtime,
            device=setup.latency.device,
            precision=precision or setup.latency.precision,
        )

    # What answers rest on

    @cached_property
    def _data(self) -> ImageData:
        return self._setup.data.load()

    def _built(self, network: Network) -> nn.Module:
        classes = self._setup.task.num_classes
        if isinstance(network, Architecture):
            return deployed(network, classes)
        return build_reference(network.name, classes)


def _reference(name: str, num_classes: int, in_channels: int, stem_stride: int, seed: int) -> nn.Module:
    return build_reference(name, num_classes, in_channels, stem_stride, seed=seed)
