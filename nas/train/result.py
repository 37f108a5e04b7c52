"""What `metrics.json` holds of a training: cost, recipe, data, curves, and the test accuracy, looked at once."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch

from nas.train.settings import TrainSettings
from proxies.data.load import ImageData
from proxies.data.names import EMBEDDED, FOLDER
from proxies.data.test_images import HeldOut
from proxies.training.trainer import Trainer
from proxies.training.validation import evaluate
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.files import digest_of
from search_space.widths import scaled
from studies.storage.secrets import command_line

PACKAGES = ("torch", "torchvision", "numpy", "safetensors")
SCHEMA = 1
DEPLOYMENT = {"resolution": 224, "classes": 1000, "channels": 3, "stem_stride": 4}
"""The task that published costs hold at."""


def result_of(
    settings: TrainSettings, trainer: Trainer, data: ImageData, test: HeldOut | None, started_from: str | None
) -> dict[str, Any]:
    """What `metrics.json` holds."""
    training, architecture = trainer.training, trained_architecture(settings)
    task = {
        "resolution": training.image_size,
        "classes": data.num_classes,
        "channels": data.channels,
        "stem_stride": training.stem_stride,
    }
    source = settings.weights_from
    return {
        "schema": SCHEMA,
        "name": settings.name,
        "key": architecture.key(),
        "cost": {
            "training": _cost(architecture.without_resolution(), task),
            "deployment": _cost(architecture, {**DEPLOYMENT, "resolution": settings.resolution}),
        },
        "recipe": settings.recipe.to_dict(),
        "data": _data_facts(settings, data, test),
        "seed": settings.seed,
        "device": settings.device,
        "processes": settings.world,
        "started_from": source and {"file": str(source), "sha256": digest_of(source), "told": started_from},
        "curves": training.to_dict(),
        "validation_accuracy": training.accuracy,
        "doubt": training.doubt,
        **_tested(settings, trainer, data, test),
        "seconds": training.seconds,
        "images_per_second": training.images_seen / training.seconds,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "command": command_line("nas.train", [each for each in sys.argv[1:] if each != "--resume"]),
    }


def _cost(architecture: Architecture, task: Mapping[str, int]) -> dict[str, int]:
    cost = cost_of(architecture, task["resolution"], task["classes"], task["channels"], task["stem_stride"])
    counts = {name: getattr(cost, name) for name in ("macs", "params", "peak_bytes", "memory_access_bytes")}
    return {**task, "resolution": cost.resolution, **counts}


def _data_facts(settings: TrainSettings, data: ImageData, test: HeldOut | None) -> dict[str, Any]:
    return {
        "name": settings.data.name,
        "fingerprint": data.fingerprint,
        "training_images": len(data.train_images),
        "validation_images": len(data.val_images),
        "test_images": len(test.images) if test else None,
        "image_size": data.image_size,
        "channels": data.channels,
        "classes": list(data.classes),
    }


def _tested(settings: TrainSettings, trainer: Trainer, data: ImageData, test: HeldOut | None) -> dict[str, Any]:
    """Loss and accuracy on the test images; both unknown, with the reason, where the data have none."""
    if test is None:
        return {"test_loss": None, "test_accuracy": None, "no_test_because": _no_test_because(settings.data.name)}
    # In the place of the validation images, to be shrunk as those were that the recipe trains on smaller ones.
    held_out = replace(data, val_images=test.images, val_labels=test.labels).resized(trainer.data.image_size)
    with _one_thread():
        loss, accuracy = evaluate(
            trainer.trained_network, held_out.val_images, held_out.val_labels, trainer.data, settings.device
        )
    return {"test_loss": loss, "test_accuracy": accuracy, "no_test_because": None}


def _no_test_because(data: str) -> str:
    if data == EMBEDDED:
        return f"{EMBEDDED} has no test images: all its images are from Fashion-MNIST's training set"
    if data.startswith(FOLDER):
        return "the folder has no test/ beside its train/"
    return f"{data} has no test images"


def trained_architecture(settings: TrainSettings) -> Architecture:
    """The architecture whose weights are trained: narrower than the user's where the recipe says so."""
    return scaled(settings.architecture, settings.recipe.channel_scale)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The order of sums, and so their last digits, would depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
