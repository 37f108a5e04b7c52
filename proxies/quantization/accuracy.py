"""How good a trained network is in 8 bits: quantised on training images, evaluated on the validation images."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from proxies.batches import in_batches, spread, whole_batches
from proxies.data.load import ImageData, normalise
from proxies.latency.onnx_session import session_of
from proxies.latency.runtimes.onnx_file import write_onnx
from proxies.quantization.onnx_int8 import write_int8
from search_space.scratch import Scratch

CALIBRATION_IMAGES = 256
"""Training images that the range of activations is taken from, before they are rounded to 8 bits."""
_AT_ONCE = 250


@dataclass(frozen=True, slots=True)
class Quantised:
    """How good a trained network is in 8 bits: its `accuracy`, in [0, 1], on so many validation `images`.

    Of these it gets `lost` wrong that the network in float32 gets right, and `gained` the other way round. The range of
    its activations was taken from so many `calibration_images`; `runtime_version` is ONNX Runtime's.
    """

    accuracy: float
    images: int
    lost: int
    gained: int
    calibration_images: int
    runtime_version: str

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as plain JSON values."""
        return asdict(self)


def quantised_accuracy(network: nn.Module, data: ImageData) -> Quantised:
    """How good a network that was trained on the data's training images is in 8 bits, in ONNX Runtime.

    The images are those, and of that size, that it was trained and validated on. No validation image has a part in the
    quantisation.
    """
    network = copy.deepcopy(network).cpu().eval()

    def normalised(images: torch.Tensor) -> NDArray[np.float32]:
        made: NDArray[np.float32] = normalise(images, *data.channel_stats).contiguous().numpy()
        return made

    calibration, images = normalised(spread(data.train_images, CALIBRATION_IMAGES)), normalised(data.val_images)
    with Scratch() as folder:
        float32, int8 = Path(folder, "float32.onnx"), Path(folder, "int8.onnx")
        write_onnx(network, float32, (1, *images.shape[1:]), "cpu")
        write_int8(float32, int8, whole_batches(calibration, 1))
        session = session_of(int8)
        name = session.get_inputs()[0].name
        found = in_batches(lambda part: session.run(None, {name: part})[0], images, 1).argmax(axis=1)
    expected = in_batches(lambda part: _in_torch(network, part), images, min(_AT_ONCE, len(images))).argmax(axis=1)
    labels = data.val_labels.numpy()
    right, was_right = found == labels, expected == labels
    return Quantised(
        accuracy=float(np.mean(right)),
        images=len(labels),
        lost=int(np.sum(was_right & ~right)),
        gained=int(np.sum(right & ~was_right)),
        calibration_images=len(calibration),
        runtime_version=version("onnxruntime"),
    )


@torch.inference_mode()
def _in_torch(network: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    logits: NDArray[np.float32] = network(torch.from_numpy(images)).numpy()
    return logits
