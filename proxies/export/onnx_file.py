"""Networks as ONNX files, for one number of images or any, checked in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from proxies.export.network import ExportedNetwork, Options
from proxies.latency.onnx_session import session_of
from proxies.onnx_graph import INPUT, OUTPUT, model_of
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
