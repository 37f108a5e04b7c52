"""ONNX files whose convolutions and linear layers compute in 8 bits, quantised after training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from proxies.export.network import ExportedNetwork, Options
from proxies.export.onnx_file import write_onnx
from proxies.onnx_graph import INPUT
from search_space.files import replacing


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Normalised training images, as many at once as the file takes."""

    def __init__(self, network: ExportedNetwork, batch: int) -> None:
        images = network.normalised(network.calibration).numpy()
        self._parts: Iterator[Any] = (
            images[start : start + batch] for start in range(0, len(images) - batch + 1, batch)
        )

    def get_next(self) -> dict[str, Any] | None:
        part = next(self._parts, None)
        return None if part is None else {INPUT: part}


def write_int8(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes the network with weights (by channel) and activations in 8 bits.

    The range of activations is that of the calibration images (ONNX Runtime's static quantisation, QDQ).
    """
    with tempfile.TemporaryDirectory() as folder, replacing(file) as partial:
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
