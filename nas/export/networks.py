"""What is exported: weights that nas.train left, or random ones, each with real images to compare on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from proxies.data.load import ImageData, load
from proxies.data.names import EMBEDDED
from proxies.export.network import COMPARED, ExportedNetwork, as_taken, plain_task
from proxies.network import build
from proxies.pretrained import TrainedFor, read_trained_for
from proxies.weights import network_from
from search_space.architecture import Architecture

CALIBRATION_IMAGES = 256
"""What the range of activations is taken from before they are rounded to 8 bits."""
METRICS = "metrics.json"


@dataclass(frozen=True, eq=False, slots=True)
class Exported:
    """A network to export, the data it is compared on, and what its training left in `metrics.json` (None: nothing)."""

    network: ExportedNetwork
    data: ImageData
    metrics: dict[str, Any] | None
    weights: Path | None


def trained(weights: Path, data: str | None, root: Path | None, *, skip_unreadable: bool = False) -> Exported:
    """The network whose weights nas.train has written to that file; its data, unless other is named.

    Raises:
        InputError: the file cannot be read, or the data cannot.
    """
    about = read_trained_for(weights)
    metrics = _metrics_beside(weights, about)
    known = metrics["data"] if metrics else {}
    source = data or known.get("name", EMBEDDED)
    images = load(source, root=root, image_size=known.get("image_size"), skip_unreadable=skip_unreadable)
    name = metrics["name"] if metrics else about.architecture.short_name
    return Exported(_network(name, network_from(weights), about, images, is_trained=True), images, metrics, weights)


def untrained(
    name: str,
    architecture: Architecture,
    resolution: int,
    classes: int,
    data: str | None,
    root: Path | None,
    *,
    skip_unreadable: bool = False,
) -> Exported:
    """The architecture's network with random weights, as it is timed at the deployment's resolution and classes.

    Raises:
        InputError: the data cannot be read.
    """
    images = load(data or EMBEDDED, root=root, skip_unreadable=skip_unreadable)
    about = TrainedFor(architecture, **plain_task(classes, resolution, images.channel_stats))
    network = _network(name, build(architecture, classes).eval(), about, images, is_trained=False)
    return Exported(network, images, None, None)


def _network(
    name: str, module: torch.nn.Module, about: TrainedFor, data: ImageData, *, is_trained: bool
) -> ExportedNetwork:
    def taken(images: torch.Tensor, count: int) -> torch.Tensor:
        # Spread over all, since images may lie class by class.
        rows = torch.linspace(0, len(images) - 1, min(count, len(images))).long()
        return as_taken(images[rows], about.channels, about.image_size)

    compared, calibration = taken(data.val_images, COMPARED), taken(data.train_images, CALIBRATION_IMAGES)
    return ExportedNetwork(name, module, about, compared, calibration, is_trained)


def _metrics_beside(weights: Path, about: TrainedFor) -> dict[str, Any] | None:
    """What the training left beside its weights; None where it is gone, or of another network."""
    file = weights.with_name(METRICS)
    if not file.is_file():
        return None
    metrics: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return metrics if metrics.get("key") == about.architecture.key() else None
