"""What is exported: weights that nas.train left, or random ones, each with real images to compare on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nas.export.finalists import TrainedAnew
from nas.export.metrics import Metrics, metrics_beside
from proxies.batches import spread
from proxies.data.load import ImageData
from proxies.data.names import EMBEDDED
from proxies.data.source import DataSource
from proxies.export import FORMATS
from proxies.export.network import COMPARED, ExportedNetwork, as_taken, plain_task
from proxies.network import build
from proxies.pretrained import TrainedFor, read_trained_for
from proxies.quantization.accuracy import CALIBRATION_IMAGES
from proxies.weights import network_from
from search_space.architecture import Architecture
from search_space.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Exported:
    """A network to export, the data it is compared on, and what its training left in `metrics.json` (None: nothing).

    `finalist` is what its study knows of it, whose weights were not kept; None where it was none.
    """

    network: ExportedNetwork
    data: ImageData
    metrics: dict[str, Any] | None
    finalist: TrainedAnew | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A file of weights, what they are for, and what their training left beside them (None: nothing)."""

    file: Path
    about: TrainedFor
    metrics: Metrics | None

    @property
    def name(self) -> str:
        """What files are called after."""
        return self.metrics.name if self.metrics else self.about.architecture.short_name


def trained(weights: Path) -> Trained:
    """The weights that nas.train has written to that file; of them nothing but what they are for is read.

    Raises:
        InputError: the file cannot be read, or what lies beside it is damaged.
    """
    about, metrics = read_trained_for(weights), metrics_beside(weights)
    is_theirs = metrics and (metrics.key, metrics.classes) == (about.architecture.key(), about.classes)
    return Trained(weights, about, metrics if is_theirs else None)


def of_trained(one: Trained, formats: Sequence[str], data: str | None, place: DataSource) -> Exported:
    """The trained network, to be written in these formats.

    Its outputs are compared on the embedded images; a format that rounds needs those that it was trained on. `data`
    names others for both, and `place` says where torchvision's lie.

    Raises:
        InputError: weights or images cannot be read.
    """
    rounding = [name for name in formats if not FORMATS[name].is_exact]
    place = replace(place, image_size=one.metrics.image_size if one.metrics else one.about.image_size)
    if data:
        images = replace(place, name=data).load()
    elif rounding:
        images = _trained_on(one, rounding[0], place)
    else:
        images = DataSource().load()
    network = _network(one.name, network_from(one.file), one.about, images, is_trained=True)
    return Exported(network, images, one.metrics.plain if one.metrics else None)


def _trained_on(one: Trained, rounding: str, place: DataSource) -> ImageData:
    cure = "give --data, such as folder:PATH, or leave that format out"
    if one.metrics is None:
        raise InputError(
            f"{rounding} rounds by training images, and nothing beside {str(one.file)!r} names them: {cure}"
        )
    try:
        return replace(place, name=one.metrics.data).load()
    except InputError as error:
        named = f"{rounding} rounds by training images, and those of {str(one.file)!r} cannot be read here"
        raise InputError(f"{named} ({error}): {cure}") from error


def untrained(
    name: str, architecture: Architecture, resolution: int, classes: int, data: str | None, place: DataSource
) -> Exported:
    """The architecture's network with random weights, as it is timed at the deployment's resolution and classes.

    Where the architecture has a resolution of its own, that counts.

    Raises:
        InputError: the data cannot be read.
    """
    images = replace(place, name=data or EMBEDDED).load()
    about = TrainedFor(architecture, **plain_task(classes, architecture.pixels(resolution), images.channel_stats))
    network = _network(name, build(architecture, classes).eval(), about, images, is_trained=False)
    return Exported(network, images, None)


def _network(
    name: str, module: torch.nn.Module, about: TrainedFor, data: ImageData, *, is_trained: bool
) -> ExportedNetwork:
    def taken(images: torch.Tensor, count: int) -> torch.Tensor:
        return as_taken(spread(images, count), about.channels, about.image_size)

    compared, calibration = taken(data.val_images, COMPARED), taken(data.train_images, CALIBRATION_IMAGES)
    if len(compared) < COMPARED:  # one alone says nothing of what changes between images
        compared = torch.cat([compared, calibration])[:COMPARED]
    return ExportedNetwork(name, module, about, compared, calibration, is_trained)
