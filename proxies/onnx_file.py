"""Writes a network as an ONNX file and checks that ONNX Runtime computes from it what torch computes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import cast

import torch
from torch import nn

from proxies.runtimes import Shape, onnx_session

# Folding batch norms into convolutions and another order of sums differ by 1e-6 or so; a wrong weight by far more.
LARGEST_DIFFERENCE = 1e-4


def export(network: nn.Module, file: Path, shape: Shape) -> None:
    """Nothing; the file then holds the network, in float32, for inputs of exactly this shape `(n, c, h, w)`.

    The network must be on the CPU and in evaluation mode.
    """
    with warnings.catch_warnings():
        # The exporter of some torch releases uses a class that they themselves deprecate: no concern of the caller.
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
        # verbose=False: the exporter else prints its steps on stdout.
        program = torch.onnx.export(network, (torch.zeros(shape),), dynamo=True, verbose=False)
    cast(torch.onnx.ONNXProgram, program).save(file)


def check_file(file: Path, network: nn.Module, shape: Shape, seed: int) -> None:
    """Nothing, if the file gives the network's outputs on a random input of this shape `(n, c, h, w)`.

    Raises:
        RuntimeError: an output differs by more than `LARGEST_DIFFERENCE` of the largest one.
    """
    example = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        expected: torch.Tensor = network(example)
    session = onnx_session(file)
    (output,) = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    difference = float((torch.from_numpy(output) - expected).abs().max())
    largest = float(expected.abs().max())
    if not difference <= LARGEST_DIFFERENCE * largest:  # so put, a NaN is refused too
        raise RuntimeError(
            f"the ONNX file must give torch's outputs to {LARGEST_DIFFERENCE:g} of the largest, {largest:.3g}; "
            f"one differs by {difference:.3g}: report this network, its latency was not measured"
        )
