"""A network's ONNX file in 8 bits, made of its file in float32: one file, which every reader of ONNX takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from search_space.files import replacing, write_whole
from search_space.scratch import Scratch, libraries_use

LAYERS_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")


def write_int8(float32: Path, int8: Path, batches: Iterable[Any]) -> None:
    """Writes the network of the file `float32` with weights (by channel) and activations in 8 bits.

    The range of activations is that of these images, numpy arrays (n, c, h, w) as the file takes them: ONNX Runtime's
    static quantisation, with QuantizeLinear and DequantizeLinear around each layer. Weights take 127 of the 255 steps
    that 8 bits have: an x86 processor without VNNI adds pairs of products in 16 bits, which 255 steps overflow.
    """
    with Scratch() as folder, libraries_use(folder), replacing(int8) as partial:
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(str(float32), str(prepared), skip_symbolic_shape=True)
        _name_steps(prepared)
        quantize_static(
            str(prepared),
            str(partial),
            _Batches(onnx.load(prepared).graph.input[0].name, iter(batches)),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        model = onnx.load(partial)
        _pad_apart(model.graph)
        write_whole(partial, model.SerializeToString())


def _name_steps(file: Path) -> None:
    """Names what ONNX Runtime has made of a HardSwish: the last step after what it gives, those before after that."""
    model = onnx.load(file)
    last = ""
    for node in reversed(model.graph.node):
        if not node.name:
            inside = node.output[0].startswith("_inlfunc_")
            last = last if inside else node.output[0]
            node.name = f"{last}.{node.op_type}" if inside else last
    write_whole(file, model.SerializeToString())


def _pad_apart(graph: onnx.GraphProto) -> None:
    """Pads the maps of average pools in nodes of their own, by what stands for 0, where that is not the number 0.

    OpenVINO pools in 8 bits and pads with the number 0 whatever that stands for: values below 0, behind a hardswish.
    """
    made_by = {output: node for node in graph.node for output in node.output}
    tensors = {each.name: each for each in graph.initializer}
    nodes = []
    for node in graph.node:
        pads = next((list(each.ints) for each in node.attribute if each.name == "pads"), [])
        given = made_by.get(node.input[0]) if node.op_type == "AveragePool" and any(pads) else None
        if given is not None and numpy_helper.to_array(tensors[given.input[2]]).any():
            top, left, bottom, right = pads
            sides, padded, pooled = (f"{node.name}.{name}" for name in ("sides", "pad", "padded"))
            shape = np.array([0, 0, top, left, 0, 0, bottom, right], dtype=np.int64)
            graph.initializer.append(numpy_helper.from_array(shape, sides))
            nodes.append(helper.make_node("Pad", [given.input[0], sides, given.input[2]], [padded], padded))
            nodes.append(helper.make_node("DequantizeLinear", [padded, *given.input[1:]], [pooled], pooled))
            node.input[0] = pooled
            kept = [each for each in node.attribute if each.name not in ("pads", "count_include_pad")]
            del node.attribute[:]
            node.attribute.extend(kept)
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def layers_of(model: onnx.ModelProto) -> tuple[int, int]:
    """How many layers with weights a model has, and how many of them compute in 8 bits."""
    made_by = {output: node for node in model.graph.node for output in node.output}
    kept_in_8_bits = {each.name for each in model.graph.initializer if each.data_type == onnx.TensorProto.INT8}
    layers = [node for node in model.graph.node if node.op_type in LAYERS_WITH_WEIGHTS]
    return len(layers), sum(_is_in_8_bits(node, made_by, kept_in_8_bits) for node in layers)


def _is_in_8_bits(node: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto], kept_in_8_bits: set[str]) -> bool:
    """Whether what the layer takes was rounded, and its weights are kept in 8 bits."""
    sources = [made_by.get(name) for name in node.input[:2]]
    if not all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
        return False
    return sources[1] is not None and sources[1].input[0] in kept_in_8_bits


class _Batches(CalibrationDataReader):  # type: ignore[misc]
    """Images for the input of this name, one batch at a time."""

    def __init__(self, name: str, batches: Iterator[Any]) -> None:
        self._name, self._batches = name, batches

    def get_next(self) -> dict[str, Any] | None:
        part = next(self._batches, None)
        return None if part is None else {self._name: part}
