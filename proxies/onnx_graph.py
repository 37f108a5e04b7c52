"""Plan -> ONNX model: node for node what torch's exporter writes of the same network, in a hundredth of its time.

What is inside a unit stands in `search_space.plan` alone; here is one row for each kind of layer. Batch norms are
folded into the convolutions before them, as the exporter does it, but in float64.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

from search_space.errors import InputError
from search_space.plan import Branch, Layer, Plan, Unit

INPUT, OUTPUT, ANY = "images", "logits", "n"
"""The names of what goes in, of what comes out, and of a number of images that is open."""
OPSETS = range(11, 24)
"""ONNX's operator sets that a model can be written in."""
DEFAULT_OPSET = 20
"""What torch's exporter writes too: for ONNX Runtime from 1.17 on."""
_AXES_ARE_AN_INPUT, _HAS_HARDSWISH = 18, 14
"""The operator sets from which ReduceMean takes its axes as an input, and there is HardSwish."""
_NODE = re.compile(
    r"(?P<unit>stage\d+\.\d+|[a-z]+)\.(?P<place>branches\.\d+\.(\d+|slice|residual)|tail\.\d+|concat|add)(?![\w])"
)
"""The beginning of a node's name: its unit, and its place there."""


class Map(NamedTuple):
    """A value in the graph and its shape but for the batch."""

    name: str
    c: int
    h: int
    w: int


@dataclass
class Graph:
    """The nodes and tensors so far. `batch` is the number of images, None any; `layers` are torch's modules by name."""

    batch: int | None
    opset: int
    layers: Mapping[str, Any]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        """`name`, which is the output of a new node of that kind now."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def tensor(self, name: str, values: Any) -> str:
        """`name`, which the tensor has in the graph now."""
        self.tensors[name] = values.detach().cpu().numpy()
        return name

    def whole(self, *numbers: int) -> str:
        """The name of a constant of these whole numbers."""
        name = f"whole.{'.'.join(map(str, numbers))}"
        self.tensors[name] = np.array(numbers, dtype=np.int64)
        return name


def model_of(
    plan: Plan,
    layers: Mapping[str, nn.Module],
    shape: tuple[int | None, int, int, int],
    *,
    opset: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """The network of a plan, in evaluation mode and float32, as an ONNX model.

    `layers` are torch's modules by the names that `plan.layers` gives; weights and statistics are copied. `shape` is
    that of the images (n, c, h, w), in which None stands for any number n. The input is `images`; the output `logits`,
    of a backbone its maps `stage2`, `stage3` and `stage4`. `opset` is ONNX's operator set, None the usual one.

    Raises:
        InputError: no model can be written in that operator set.
    """
    opset = DEFAULT_OPSET if opset is None else opset
    if opset not in OPSETS:
        raise InputError(f"an ONNX operator set must be {OPSETS[0]} to {OPSETS[-1]}, got {opset}: give one of these")
    graph = Graph(shape[0], opset, layers)
    outputs = _outputs(graph, plan, Map(INPUT, *shape[1:]))
    _rename(graph.nodes, {output.name: name for name, output in outputs.items()})
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [shape[0] or ANY, *_sizes(output, plan)])
        for name, output in outputs.items()
    ]
    start = helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, [shape[0] or ANY, *shape[1:]])
    tensors = [numpy_helper.from_array(_plain(values), name) for name, values in graph.tensors.items()]
    return _model(helper.make_graph(graph.nodes, "network", [start], ends, tensors), opset, metadata or {})


def _model(graph: onnx.GraphProto, opset: int, metadata: Mapping[str, str]) -> onnx.ModelProto:
    operators = [helper.make_opsetid("", opset)]
    # The oldest version that has these operators: newer ones only shut out older programs.
    version = helper.find_min_ir_version_for(operators)
    model = helper.make_model(graph, opset_imports=operators, ir_version=version, producer_name="shufflenet-nas")
    helper.set_model_props(model, dict(metadata))
    return model


def _sizes(output: Map, plan: Plan) -> tuple[int, ...]:
    return (output.c,) if plan.classifier else output[1:]


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype == np.float64 else values


def _rename(nodes: Sequence[onnx.NodeProto], names: Mapping[str, str]) -> None:
    for node in nodes:
        for ends in (node.input, node.output):
            ends[:] = [names.get(name, name) for name in ends]


def layer_of(node: str, plan: Plan) -> str:
    """The layer, or the join, that a node of this name was written for, as `search_space.cost` names it; "" for none.

    A slice of a branch's channels is no layer of the plan, and stands under its own name.
    """
    found = _NODE.match(node)
    units = dict(plan.units())
    if found is None or (unit := found["unit"]) not in units:
        return ""
    place = found["place"]
    if place == units[unit].join:
        return f"{unit}.join.0"
    branch = re.fullmatch(r"branches\.(\d+)\.residual", place)
    return f"{unit}.branches.{branch[1]}.{len(units[unit].branches[int(branch[1])].layers)}" if branch else found[0]


# Units


def _outputs(graph: Graph, plan: Plan, x: Map) -> dict[str, Map]:
    """What the network gives, by the names of the model's outputs."""
    if plan.classifier is None:
        ends = {
            f"stage{number}.{len(stage) - 1}": f"stage{number}" for number, stage in enumerate(plan.stages, start=2)
        }
    else:
        ends = {"classifier": OUTPUT}
    outputs = {}
    for name, unit in plan.units():
        x = _unit(graph, name, unit, x)
        if name in ends:
            outputs[ends[name]] = x
    return outputs


def _unit(graph: Graph, name: str, unit: Unit, x: Map) -> Map:
    ends = [_branch(graph, f"{name}.branches.{number}", branch, x) for number, branch in enumerate(unit.branches)]
    joined = ends[0] if len(ends) == 1 else JOINS[unit.join](graph, f"{name}.{unit.join}", ends)
    return _chain(graph, f"{name}.tail", unit.tail, joined)


def _branch(graph: Graph, place: str, branch: Branch, x: Map) -> Map:
    part = x
    if (branch.start, branch.stop) != (0, x.c):
        ends = (graph.whole(number) for number in (branch.start, branch.stop, 1, 1))  # over axis 1, in steps of 1
        part = x._replace(name=graph.add("Slice", f"{place}.slice", [x.name, *ends]), c=branch.stop - branch.start)
    made = _chain(graph, place, branch.layers, part)
    return _added(graph, f"{place}.residual", [made, part]) if branch.residual else made


def _chain(graph: Graph, place: str, layers: Sequence[Layer], x: Map) -> Map:
    for number, layer in enumerate(layers):
        x = LAYERS[layer.kind](graph, f"{place}.{number}", layer, x)
    return x


def _added(graph: Graph, name: str, ends: Sequence[Map]) -> Map:
    return ends[0]._replace(name=graph.add("Add", name, [end.name for end in ends]))


def _concatenated(graph: Graph, name: str, ends: Sequence[Map]) -> Map:
    made = graph.add("Concat", name, [end.name for end in ends], axis=1)
    return ends[0]._replace(name=made, c=sum(end.c for end in ends))


JOINS: dict[str, Callable[[Graph, str, Sequence[Map]], Map]] = {"concat": _concatenated, "add": _added}
"""One row for each way in which a unit joins its branches."""


# Layers


def _window(layer: Layer) -> dict[str, list[int]]:
    return {
        "kernel_shape": 2 * [layer.kernel],
        "strides": 2 * [layer.stride],
        "pads": 4 * [layer.kernel // 2],
    }


def _moved(layer: Layer, name: str, x: Map) -> Map:
    """What a window that moves over `x` makes of it."""
    h, w = ((side + 2 * (layer.kernel // 2) - layer.kernel) // layer.stride + 1 for side in (x.h, x.w))
    return Map(name, layer.c_out, h, w)


def _conv(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    inputs = [x.name, graph.tensor(f"{place}.weight", graph.layers[place].weight)]
    return _moved(layer, graph.add("Conv", place, inputs, group=layer.groups, **_window(layer)), x)


def _batchnorm(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    """`x` itself, the norm folded into the convolution that makes it."""
    conv = graph.nodes[-1]
    assert (conv.op_type, conv.output[0], len(conv.input)) == ("Conv", x.name, 2), place
    norm = graph.layers[place]
    weight, bias, mean, variance = (
        values.detach().cpu().double().numpy()
        for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    scale = weight / np.sqrt(variance + norm.eps)
    graph.tensors[conv.input[1]] = graph.tensors[conv.input[1]] * scale[:, None, None, None]
    conv.input.append(f"{x.name}.bias")
    graph.tensors[f"{x.name}.bias"] = bias - mean * scale
    return x


def _relu(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    return x._replace(name=graph.add("Relu", place, [x.name]))


def _hardswish(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    if graph.opset >= _HAS_HARDSWISH:
        return x._replace(name=graph.add("HardSwish", place, [x.name]))
    return x._replace(name=graph.add("Mul", place, [x.name, _hard_sigmoid(graph, f"{place}.sigmoid", x.name)]))


def _hard_sigmoid(graph: Graph, name: str, x: str) -> str:
    return graph.add("HardSigmoid", name, [x], alpha=1 / 6, beta=0.5)


def _shuffle(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    n = graph.batch or -1
    grouped = graph.whole(n, layer.groups, x.c // layer.groups, x.h, x.w)
    split = graph.add("Reshape", f"{place}.split", [x.name, grouped])
    turned = graph.add("Transpose", f"{place}.turned", [split], perm=[0, 2, 1, 3, 4])
    return x._replace(name=graph.add("Reshape", place, [turned, graph.whole(n, *x[1:])]))


def _se(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    def conv(number: int, given: str) -> str:
        module = graph.layers[f"{place}.fc{number}"]
        inputs = [graph.tensor(f"{place}.fc{number}.{name}", getattr(module, name)) for name in ("weight", "bias")]
        return graph.add("Conv", f"{place}.fc{number}", [given, *inputs], kernel_shape=[1, 1])

    squeezed = graph.add("Relu", f"{place}.relu", [conv(1, _pixel_mean(graph, f"{place}.mean", x))])
    scale = _hard_sigmoid(graph, f"{place}.scale", conv(2, squeezed))
    return x._replace(name=graph.add("Mul", place, [scale, x.name]))


def _pixel_mean(graph: Graph, name: str, x: Map) -> str:
    if graph.opset >= _AXES_ARE_AN_INPUT:
        return graph.add("ReduceMean", name, [x.name, graph.whole(2, 3)], keepdims=1)
    return graph.add("ReduceMean", name, [x.name], axes=[2, 3], keepdims=1)


def _maxpool(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    return _moved(layer, graph.add("MaxPool", place, [x.name], **_window(layer)), x)


def _avgpool(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    # As in torch, the zeros around the map count.
    return _moved(layer, graph.add("AveragePool", place, [x.name], count_include_pad=1, **_window(layer)), x)


def _globalpool(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    mean = _pixel_mean(graph, f"{place}.mean", x)
    return Map(graph.add("Flatten", place, [mean], axis=1), x.c, 1, 1)


def _linear(graph: Graph, place: str, layer: Layer, x: Map) -> Map:
    module = graph.layers[place]
    inputs = [graph.tensor(f"{place}.{name}", getattr(module, name)) for name in ("weight", "bias")]
    return Map(graph.add("Gemm", place, [x.name, *inputs], transB=1), layer.c_out, 1, 1)


LAYERS: dict[str, Callable[[Graph, str, Layer, Map], Map]] = {
    "conv": _conv,
    "batchnorm": _batchnorm,
    "relu": _relu,
    "hardswish": _hardswish,
    "shuffle": _shuffle,
    "se": _se,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "globalpool": _globalpool,
    "linear": _linear,
}
"""One row for each kind of layer a plan can hold: what adds its nodes and gives its output."""
