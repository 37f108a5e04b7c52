"""An ONNX file that somebody gives, whoever wrote it, ready to be timed beside other networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from proxies.latency.onnx_session import session_of
from proxies.latency.output_check import Expected, example, kept_of
from proxies.latency.process import Prepared
from proxies.latency.runtimes import RUNTIMES, Shape, check_runtime
from search_space.errors import InputError

ROUNDING, SHARE_OF_CHANGE, SHARE_IF_QUANTISED = 3e-6, 1e-4, 0.5
"""Of the largest output, and of what another input changes: what fusing layers may change. Where values are rounded to
8 bits, a sum that falls on the other side of a step is carried on from layer to layer."""


def prepare_file(file: Path, runtime: str = "onnxruntime", *, seed: int = 0) -> Prepared:
    """The file as it is, for one image; every process that times it compares its outputs with those kept here.

    Kept are ONNX Runtime's own with all its rewriting of the graph switched off: nothing else is known of the network.

    Raises:
        InputError: the file is no such network: one input of (n, c, h, w) in float32, of which n alone may be open, and
            outputs whose size no image changes; or the runtime does not read ONNX files on the CPU, in float32.
    """
    check_runtime(runtime, "cpu")
    if RUNTIMES[runtime].suffix != ".onnx" or RUNTIMES[runtime].precision != "float32":
        raise InputError(
            f"an ONNX file is timed by a runtime that reads it in float32, got {runtime!r}: onnxruntime does"
        )
    session = _plain_session(file)
    shape = _shape_of(session, file)
    name = session.get_inputs()[0].name
    ours, others = (session.run(None, {name: example(shape, seed + number)}) for number in range(2))
    share = SHARE_IF_QUANTISED if _is_quantised(file) else SHARE_OF_CHANGE
    kept, allowed = [], []
    for one, other in zip(ours, others, strict=True):
        if one.shape != other.shape or not one.size:
            raise InputError(f"each output must have one size for all images, got {one.shape} and {other.shape}")
        kept.append(tuple(kept_of(one).tolist()))
        change = np.abs(other.astype(float) - one.astype(float)).max()
        allowed.append(float(ROUNDING * np.abs(one.astype(float)).max() + share * change))
    return Prepared(str(file), shape, runtime, "cpu", Expected(seed, tuple(kept), tuple(allowed)))


def _plain_session(file: Path) -> Any:
    if not file.is_file():
        raise InputError(f"what is timed must be an ONNX file, and {str(file)!r} is none")
    try:
        return session_of(file, is_plain=True)
    except Exception as error:  # ONNX Runtime has a class for each way a file may be wrong
        reason = " ".join(str(error).split())
        raise InputError(
            f"what is timed must be an ONNX file, and ONNX Runtime cannot read {str(file)!r}: {reason}"
        ) from error


def _shape_of(session: Any, file: Path) -> Shape:
    """The shape of the only input for one image."""
    inputs = session.get_inputs()
    given = inputs[0].shape
    if len(inputs) == 1 and len(given) == 4 and inputs[0].type == "tensor(float)":
        n, *image = given
        if all(isinstance(size, int) for size in image) and (n == 1 or not isinstance(n, int)):
            return (1, *image)
    text = ", ".join(f"{one.type} {one.shape}" for one in inputs)
    raise InputError(
        f"a file must take one image of a fixed size, tensor(float) of (1, c, h, w); {str(file)!r} takes {text}"
    )


def _is_quantised(file: Path) -> bool:
    import onnx

    graph = onnx.load(file, load_external_data=False).graph
    return any(node.op_type in ("QuantizeLinear", "ConvInteger", "QLinearConv") for node in graph.node)
