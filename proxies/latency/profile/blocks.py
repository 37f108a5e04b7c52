"""How many channels ONNX Runtime computes at a time on this machine, tried out, and what falls out of that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from proxies.latency.onnx_session import session_of
from proxies.latency.profile.graph import BLOCKED
from search_space.files import write_whole
from search_space.plan import Layer
from search_space.scratch import Scratch

_PIXELS = 8


@dataclass(frozen=True, slots=True)
class Blocks:
    """A convolution computes `size` channels at a time, if its channels are a multiple of `step`.

    Without blocks both are 1. A grouped convolution computes so where each group fills whole blocks.
    """

    size: int
    step: int

    def why_outside(self, layer: Layer) -> str:
        """Why a convolution is computed without blocks; "" where no such reason is known."""
        c_in, c_out = layer.c_in // layer.groups, layer.c_out // layer.groups
        if layer.groups > 1 and not layer.is_depthwise:
            if c_in % self.size or c_out % self.size:
                return f"a group's {c_in} channels in and {c_out} out are not both multiples of {self.size}"
        elif layer.c_in % self.step and layer.c_in >= self.size:
            return f"{layer.c_in} channels are no multiple of {self.step}"
        return ""

    def filled(self, channels: int) -> int:
        """So many channels, filled up to whole blocks."""
        return -(-channels // self.size) * self.size


def blocks_here() -> Blocks:
    """The blocks of the installed ONNX Runtime on this machine, as it rewrites convolutions of a few channels."""
    with Scratch() as folder:
        # A convolution of one channel, which is filled up to a block.
        (one,) = _as_run([(3, 1, 1)], Path(folder))
        if not one:
            return Blocks(1, 1)
        size = one[0]
        steps = [2**power for power in range((size - 1).bit_length())]
        pairs = [(size + step, size + step, groups) for step in steps for groups in (1, size + step)]
        filters = _as_run(pairs, Path(folder))
        fits = [step for number, step in enumerate(steps) if all(filters[2 * number : 2 * number + 2])]
        return Blocks(size, min(fits, default=size))


def _as_run(convolutions: list[tuple[int, int, int]], folder: Path) -> list[tuple[int, ...]]:
    """The shapes of the filters of convolutions (channels in and out, groups) as they are run; () without blocks."""
    nodes, tensors = [], []
    inputs: list[onnx.ValueInfoProto] = []
    outputs: list[onnx.ValueInfoProto] = []
    for number, (c_in, c_out, groups) in enumerate(convolutions):
        names = [f"{kind}.{number}" for kind in ("x", "weight", "bias", "y")]
        kernel = 1 if groups == 1 else 3
        weight: NDArray[np.float32] = np.ones((c_out, c_in // groups, kernel, kernel), dtype=np.float32)
        tensors += [numpy_helper.from_array(weight, names[1])]
        tensors += [numpy_helper.from_array(np.ones(c_out, dtype=np.float32), names[2])]
        pads = 4 * [kernel // 2]
        nodes.append(helper.make_node("Conv", names[:3], names[3:], names[3], group=groups, pads=pads))
        for values, name, channels in ((inputs, names[0], c_in), (outputs, names[3], c_out)):
            shape = (1, channels, _PIXELS, _PIXELS)
            values.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    operators = [helper.make_opsetid("", 17)]
    graph = helper.make_graph(nodes, "blocks", inputs, outputs, tensors)
    written, as_run = folder / "blocks.onnx", folder / "blocks-as-run.onnx"
    model = helper.make_model(graph, opset_imports=operators, ir_version=8)
    write_whole(written, model.SerializeToString())
    session_of(written, graph=as_run)
    found = onnx.load(as_run).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in found.initializer}
    filters = {
        node.name.removesuffix("_nchwc"): shapes[node.input[1]]
        for node in found.node
        if node.domain == BLOCKED
        if node.op_type == "Conv"
    }
    return [filters.get(f"y.{number}", ()) for number in range(len(convolutions))]
