"""ONNX files whose convolutions and linear layers compute in 8 bits, quantised after training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from proxies.export.network import ExportedNetwork, Options, check_said, whole_batches
from proxies.export.onnx_file import asked_of, said_by, write_onnx
from proxies.onnx_graph import INPUT
from search_space.files import replacing
from search_space.scratch import Scratch, libraries_use


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Normalised training images, as many at once as the file takes; the last of them fills up the last batch."""

    def __init__(self, network: ExportedNetwork, batch: int) -> None:
        self._parts: Iterator[Any] = whole_batches(network.normalised(network.calibration).numpy(), batch)

    def get_next(self) -> dict[str, Any] | None:
        part = next(self._parts, None)
        return None if part is None else {INPUT: part}


def write_int8(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes the network with weights (by channel) and activations in 8 bits.

    The range of activations is that of the calibration images (ONNX Runtime's static quantisation, QDQ).
    """
    with Scratch() as folder, libraries_use(folder), replacing(file) as partial:
        plain, prepared = Path(folder, "plain.onnx"), Path(folder, "prepared.onnx")
        write_onnx(network, plain, options)
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(partial),
            _Images(network, options.batch or 1),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def check_int8(file: Path, network: ExportedNetwork, options: Options) -> None:
    """Compares what the file says of itself with what was asked.

    Raises:
        WrongExport: it says something else, or some of its layers are not in 8 bits.
    """
    said = said_by(onnx.load(file))
    check_said(said, {**asked_of(network, options), "layers in 8 bits": said["layers"]})
