"""An ONNX file that somebody gives, whoever wrote it, ready to be timed beside other networks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxies.latency.onnx_session import session_of
from proxies.latency.output_check import Expected, example, kept_of
from proxies.latency.process import Prepared
from proxies.latency.runtimes import RUNTIMES, Shape, check_runtime
from search_space.errors import InputError

ROUNDING, SHARE_OF_CHANGE, SHARE_IF_QUANTISED = 3e-6, 1e-4, 0.5
"""Of the largest output, and of what another input changes: what fusing layers may change. Where values are rounded to
8 bits, a sum that falls on the other side of a step is carried on from layer to layer."""
NUMBERS = tuple(
    f"tensor({name})"
    for name in (
        "float",
        "float16",
        "double",
        "bool",
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    )
)
"""What ONNX Runtime calls the types of outputs that can be compared."""
MOST_VALUES = 10**8
"""Of an image."""


def prepare_file(file: Path, runtime: str = "onnxruntime", *, seed: int = 0) -> Prepared:
    """The file as it is, for one image; every process that times it compares its outputs with those kept here.

    Kept are ONNX Runtime's own with all its rewriting of the graph switched off: nothing else is known of the network.

    Raises:
        InputError: the file is no such network: one input of (n, c, h, w) in float32, of which n alone may be open, and
            outputs of finite numbers, whose size no image changes, the same each time; or the runtime does not read
            ONNX files on the CPU, in float32.
    """
    check_runtime(runtime, "cpu")
    if RUNTIMES[runtime].suffix != ".onnx" or RUNTIMES[runtime].precision != "float32":
        raise InputError(
            f"an ONNX file is timed by a runtime that reads it in float32, got {runtime!r}: onnxruntime does"
        )
    session = _plain_session(file)
    shape = _shape_of(session, file)
    _check_outputs(session, file)
    ours, again, others = (_outputs(session, example(shape, each), file) for each in (seed, seed, seed + 1))
    share = SHARE_IF_QUANTISED if _is_quantised(file) else SHARE_OF_CHANGE
    kept, allowed = [], []
    for one, same, other in zip(ours, again, others, strict=True):
        if not one.shape == same.shape == other.shape or not one.size:
            raise InputError(f"each output must have one size for all images, got {one.shape} and {other.shape}")
        kept.append(tuple(kept_of(one).tolist()))
        change, by_itself = (np.abs(each.astype(float) - one.astype(float)).max() for each in (other, same))
        allowed.append(float(ROUNDING * np.abs(one.astype(float)).max() + share * change))
        if by_itself > allowed[-1]:
            raise InputError(f"outputs must be the same for the same image, and those of {str(file)!r} are drawn anew")
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
    if len(inputs) == 1 and inputs[0].type == "tensor(float)" and len(inputs[0].shape) == 4:
        n, *image = inputs[0].shape
        is_fixed = all(isinstance(size, int) and size > 0 for size in image) and math.prod(image) <= MOST_VALUES
        if is_fixed and (n == 1 or not isinstance(n, int)):
            return (1, *image)
    text = ", ".join(f"{one.type} {one.shape}" for one in inputs) or "nothing"
    raise InputError(
        f"a file must take one image of a fixed size, tensor(float) of (1, c, h, w); {str(file)!r} takes {text}"
    )


def _check_outputs(session: Any, file: Path) -> None:
    for output in session.get_outputs():
        if output.type not in NUMBERS:
            raise InputError(
                f"outputs must be tensors of numbers, and of {str(file)!r} the output {output.name!r} is {output.type}"
            )


def _outputs(session: Any, image: NDArray[np.float32], file: Path) -> list[NDArray[Any]]:
    try:
        outputs: list[NDArray[Any]] = session.run(None, {session.get_inputs()[0].name: image})
    except Exception as error:  # as above
        reason = " ".join(str(error).split())
        raise InputError(f"a file must compute something of an image, and {str(file)!r} does not: {reason}") from error
    if not all(np.isfinite(each.astype(float)).all() for each in outputs):
        raise InputError(f"outputs must be finite numbers, and of {str(file)!r} some are not for an image of noise")
    return outputs


def _is_quantised(file: Path) -> bool:
    import onnx

    graph = onnx.load(file, load_external_data=False).graph
    return any(node.op_type in ("QuantizeLinear", "ConvInteger", "QLinearConv") for node in graph.node)
