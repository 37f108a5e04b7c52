"""ONNX files whose convolutions and linear layers compute in 8 bits, quantised after training."""

from __future__ import annotations

from pathlib import Path

import onnx

from proxies.batches import whole_batches
from proxies.export.network import ExportedNetwork, Options, check_said
from proxies.export.onnx_file import asked_of, said_by, write_onnx
from proxies.quantization import onnx_int8
from search_space.scratch import Scratch


def write_int8(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes the network in 8 bits, with the range of activations that the calibration images have."""
    with Scratch() as folder:
        float32 = Path(folder, "float32.onnx")
        write_onnx(network, float32, options)
        images = network.normalised(network.calibration).numpy()
        # The last of them fills up the last batch.
        onnx_int8.write_int8(float32, file, whole_batches(images, options.batch or 1))


def check_int8(file: Path, network: ExportedNetwork, options: Options) -> None:
    """Compares what the file says of itself with what was asked.

    Raises:
        WrongExport: it says something else, or some of its layers are not in 8 bits.
    """
    said = said_by(onnx.load(file))
    check_said(said, {**asked_of(network, options), "layers in 8 bits": said["layers"]})
