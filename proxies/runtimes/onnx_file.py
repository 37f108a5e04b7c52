"""ONNX files in ONNX Runtime, on the CPU, CUDA and TensorRT."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from proxies.onnx_session import bound_run, cpu_run, session_of
from proxies.runtimes.loaded import Loaded, Shape
from proxies.stopwatch import core_timed, wall_timed

if TYPE_CHECKING:
    import torch
    from torch import nn


def write_onnx(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Nothing; the file then holds the network, in float32, for inputs of exactly this shape `(n, c, h, w)`.

    The network must be on the CPU and in evaluation mode.
    """
    import torch

    with warnings.catch_warnings():
        # The exporter of some torch releases uses a class that they themselves deprecate: no concern of the caller.
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
        # verbose=False: the exporter else prints its steps on stdout.
        program = torch.onnx.export(network, (torch.zeros(shape),), dynamo=True, verbose=False)
    cast("torch.onnx.ONNXProgram", program).save(file)


def load_onnx(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in ONNX Runtime."""
    if device == "cuda":
        return _on_gpu(file, "cuda", example)
    run = cpu_run(session_of(file), example)
    return Loaded(core_timed(run), run)


def load_tensorrt(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in ONNX Runtime's TensorRT provider."""
    return _on_gpu(file, "tensorrt", example)


def _on_gpu(file: Path, provider: str, example: Any) -> Loaded:
    run = bound_run(session_of(file, provider), example)
    return Loaded(wall_timed(run), lambda: run().copy_outputs_to_cpu())
