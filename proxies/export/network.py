"""A network as it is exported: its weights, what they are for, and images to compare what is written on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms.v2.functional import resize

from proxies.batches import in_batches
from proxies.data.load import normalise
from proxies.pretrained import TrainedFor
from search_space.reading import shown

COMPARED = 8
"""Images that every file's outputs are compared on."""
ROUNDING, SHARE_OF_CHANGE = 3e-6, 1e-4
"""Of the largest output, and of the largest change between images: what another order of float32 sums may change."""


class WrongExport(RuntimeError):
    """A file that is not what was asked: its outputs are not the network's, or it says something else of itself."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may choose of a file: images at once (None: any number), and ONNX's operator set (None: 20)."""

    batch: int | None = 1
    opset: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class ExportedNetwork:
    """A network in evaluation mode on the CPU: (n, channels, h, w) to (n, classes).

    `plain_name` is what files are called that hold no weights. `images` are real ones, uint8 (n, channels, h, w), of
    `about.image_size`; `calibration` are training images, for what must know the range of activations. `is_trained` is
    False where weights are random, for timing alone.
    """

    plain_name: str
    module: nn.Module
    about: TrainedFor
    images: Tensor
    calibration: Tensor
    is_trained: bool

    @property
    def name(self) -> str:
        """What files are called that hold weights."""
        return self.plain_name if self.is_trained else f"{self.plain_name}.untrained"

    def normalised(self, images: Tensor) -> Tensor:
        """The uint8 images as the network takes them: float32 (n, c, h, w), contiguous."""
        return normalise(images, self.about.mean, self.about.std).contiguous()

    def metadata(self) -> dict[str, str]:
        """What a file says of itself."""
        about = self.about.to_dict()
        texts = {name: json.dumps(about[name]) for name in ("classes", "mean", "std", "image_size", "architecture")}
        return {"name": self.name, "trained": str(self.is_trained).lower(), **texts}

    @torch.inference_mode()
    def outputs(self) -> NDArray[np.float32]:
        """Its logits for the first images."""
        logits: Tensor = self.module(self.normalised(self.images[:COMPARED]))
        return logits.numpy()

    def check(self, run: Callable[[NDArray[np.float32]], Any], batch: int | None) -> float:
        """The largest difference between a file's outputs on the real images and the network's own.

        Raises:
            WrongExport: it is more than rounding makes.
        """
        expected = self.outputs()
        found = in_batches(run, self.normalised(self.images[:COMPARED]).numpy(), batch)
        allowed = ROUNDING * np.abs(expected).max() + SHARE_OF_CHANGE * np.ptp(expected, axis=0).max()
        difference = float(np.abs(found - expected).max())
        if not difference <= allowed:  # so put, a NaN is refused too
            raise WrongExport(
                f"what was written must compute what torch does to within {allowed:.3g}; it is off by {difference:.3g}"
            )
        return difference


def check_said(said: Mapping[str, object], asked: Mapping[str, object]) -> None:
    """Compares what a file says of itself, read back from it, with what was asked of it.

    Raises:
        WrongExport: it does not say the same.
    """
    for name, value in asked.items():
        if said.get(name) != value:
            found = f"says {shown(said[name])}" if name in said else "does not say it"
            raise WrongExport(f"the file must be what was asked: {name} {shown(value)}; it {found}")


def as_taken(images: Tensor, channels: int, image_size: int) -> Tensor:
    """The uint8 images (n, c, h, w) with so many channels and pixels: grey is repeated, colours are averaged."""
    if images.shape[1] != channels:
        grey = images.float().mean(dim=1, keepdim=True).round().to(torch.uint8)
        images = grey.expand(-1, channels, -1, -1)
    return resize(images, [image_size, image_size]) if images.shape[-1] != image_size else images.contiguous()


def plain_task(num_classes: int, image_size: int, statistics: Sequence[Sequence[float]]) -> dict[str, Any]:
    """What untrained weights are for, but for their architecture: numbered classes and the data's own statistics."""
    mean, std = (tuple(3 * [sum(values) / len(values)]) for values in statistics)
    classes = tuple(str(number) for number in range(num_classes))
    return {"classes": classes, "channels": 3, "stem_stride": 4, "image_size": image_size, "mean": mean, "std": std}
