"""Networks as ONNX files, for one number of images or any, checked in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from proxies.export.network import ExportedNetwork, Options, check_said
from proxies.latency.onnx_session import session_of
from proxies.onnx_graph import ANY, DEFAULT_OPSET, INPUT, OUTPUT, model_of
from proxies.quantization.onnx_int8 import layers_of
from search_space.files import write_whole
from search_space.plan import plan_of


def write_onnx(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes the network in float32, with what it is for in the file's metadata.

    Its input is `images`, normalised (n, c, h, w), its output `logits`.
    """
    about = network.about
    plan = plan_of(about.architecture, len(about.classes), about.channels, about.stem_stride)
    shape = (options.batch, about.channels, about.image_size, about.image_size)
    layers = dict(network.module.named_modules())
    model = model_of(plan, layers, shape, opset=options.opset, metadata=network.metadata())
    shown = onnx.shape_inference.infer_shapes(model, data_prop=True)  # viewers show shapes that are written
    write_whole(file, shown.SerializeToString())


def load_onnx(file: Path, network: ExportedNetwork) -> Callable[[Any], Any]:
    """The file's network in ONNX Runtime."""
    session = session_of(file)
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def check_onnx(file: Path, network: ExportedNetwork, options: Options) -> None:
    """Compares what the file says of itself with what was asked.

    Raises:
        WrongExport: it says something else, or some of its layers are rounded.
    """
    model = onnx.load(file)
    check_said(said_by(model), {**asked_of(network, options), "layers in 8 bits": 0})


def said_by(model: onnx.ModelProto) -> dict[str, object]:
    """What a model says of itself, by what it is called in messages."""
    graph = model.graph
    layers, in_8_bits = layers_of(model)
    return {
        "operator set": next((row.version for row in model.opset_import if row.domain in ("", "ai.onnx")), None),
        "input": list(map(_value, graph.input)),
        "output": list(map(_value, graph.output)),
        "layers": layers,
        "layers in 8 bits": in_8_bits,
        **{f"metadata {row.key}": row.value for row in model.metadata_props},
    }


def asked_of(network: ExportedNetwork, options: Options) -> dict[str, object]:
    """What a file must say of itself, but for its precision."""
    about = network.about
    batch = options.batch or ANY
    return {
        "operator set": DEFAULT_OPSET if options.opset is None else options.opset,
        "input": [(INPUT, "FLOAT", (batch, about.channels, about.image_size, about.image_size))],
        "output": [(OUTPUT, "FLOAT", (batch, len(about.classes)))],
        **{f"metadata {name}": text for name, text in network.metadata().items()},
    }


def _value(value: onnx.ValueInfoProto) -> tuple[str, str, tuple[int | str, ...]]:
    tensor = value.type.tensor_type
    sizes = (size.dim_param or size.dim_value for size in tensor.shape.dim)
    return value.name, onnx.TensorProto.DataType.Name(tensor.elem_type), tuple(sizes)
