"""Writes a network as an ONNX file and checks that ONNX Runtime computes from it what torch computes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import cast

import torch
from torch import nn

from proxies.runtimes import Shape, onnx_session

# Folded batch norms and another order of sums differ by rounding alone: by less than 1e-6 of the largest output. An
# untrained network's outputs are nearly all bias, the image's share may be 1e-4 of them: the limit must lie below that.
ROUNDING = 3e-6
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
        RuntimeError: an output differs by more than rounding and `LARGEST_DIFFERENCE` of what another input changes.
    """
    draws = torch.Generator().manual_seed(seed)
    example, other = torch.randn(shape, generator=draws), torch.randn(shape, generator=draws)
    with torch.inference_mode():
        expected: torch.Tensor = network(example)
        change = float((network(other) - expected).abs().max())
    session = onnx_session(file)
    (output,) = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    difference = float((torch.from_numpy(output) - expected).abs().max())
    allowed = LARGEST_DIFFERENCE * change + ROUNDING * float(expected.abs().max())
    if not difference <= allowed:  # so put, a NaN is refused too
        raise RuntimeError(
            f"the ONNX file must give torch's outputs to within {allowed:.3g}; one differs by {difference:.3g}: "
            "report this network, its latency was not measured"
        )
