"""Networks as ONNX files, for one number of images or any, checked in ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch

from proxies.exports.network import Network, Options
from proxies.onnx_session import session_of

INPUT, OUTPUT = "images", "logits"


def write_onnx(network: Network, file: Path, options: Options) -> None:
    """Nothing; the file then holds the network in float32, and what it is for in its metadata.

    Its input is `images`, normalised (n, c, h, w), its output `logits`.
    """
    about = network.about
    # At least two images where any number may come: torch takes the dimension of one for a fixed one.
    example = torch.zeros(options.batch or 2, about.channels, about.image_size, about.image_size)
    shapes = None if options.batch else ({0: torch.export.Dim("n")},)
    with warnings.catch_warnings():
        # The exporter of some torch releases uses a class that they themselves deprecate: no concern of the caller.
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
        program = torch.onnx.export(
            network.module,
            (example,),
            dynamo=True,
            verbose=False,
            opset_version=options.opset,
            dynamic_shapes=shapes,
            input_names=[INPUT],
            output_names=[OUTPUT],
        )
    written = cast("torch.onnx.ONNXProgram", program)
    written.model.metadata_props.update(network.metadata())
    written.save(file)


def load_onnx(file: Path, network: Network) -> Callable[[Any], Any]:
    """The file's network in ONNX Runtime."""
    session = session_of(file)
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]
