"""What each node that ONNX Runtime runs stands for in the file that was written: it fuses, renames and adds nodes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import onnx

BLOCKED = "com.microsoft.nchwc"
"""The domain of what works on channels in blocks."""
REORDERS = frozenset({"ReorderInput", "ReorderOutput"})
"""What brings channels into blocks and out of them."""
TRANSPOSE = "Transpose"
"""What, where it was not written, brings channels to the last place, for convolutions in 8 bits, and back."""
_INSIDE = "_inlfunc_"
"""What ONNX Runtime puts before the names of values inside an operator that it runs in several steps."""
_ADDED = re.compile(r"(_nchwc|_token_\d+|/\w+)+$")
"""What ONNX Runtime puts behind the names of nodes."""


@dataclass(frozen=True, slots=True)
class RunNode:
    """A node as it is run. `does` names the written nodes that it stands for: none, where it was added.

    `name` is the same in each process, as ONNX Runtime's own is not. `beside` names the written node that an added one
    was added for, and `is_layout` says that it changes nothing but the order of values. `filter` is the shape of a
    convolution's weights as they are computed, blocks filled up, and `is_blocked` says that the node works on blocks of
    channels. `is_inside` says that it is a step of an operator that is run in several, such as a HardSwish.
    """

    name: str
    kind: str
    does: tuple[str, ...]
    beside: str
    is_layout: bool
    is_blocked: bool
    filter: tuple[int, ...]
    is_inside: bool = False


def run_nodes(written: onnx.ModelProto, as_run: onnx.ModelProto) -> dict[str, RunNode]:
    """The nodes of the network as ONNX Runtime rewrote it, by the names that they have in this process."""
    file, run = _Nodes(written.graph), _Nodes(as_run.graph)
    anchors = {name: anchor for name in run.by_name if (anchor := _anchor(name, file))}
    does = _does(file, run, anchors)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in as_run.graph.initializer}
    nodes = {}
    for name, node in run.by_name.items():
        weights = shapes.get(node.input[1], ()) if _is_convolution(node) and len(node.input) > 1 else ()
        mine = tuple(each for each in file.by_name if does.get(each) == name)
        beside = "" if mine else _beside(name, run, does, file.maker)
        lasting = _ADDED.sub("", name) if name in anchors else name
        moves = _is_layout(node, name in anchors)
        if moves:
            lasting = f"{node.op_type} {_moved(node, file)}"
        inside = bool(beside) and node.output[0].startswith(_INSIDE)
        if inside:
            lasting = f"{node.op_type} in {beside}"
        nodes[name] = RunNode(lasting, node.op_type, mine, beside, moves, node.domain == BLOCKED, weights, inside)
    return nodes


def names_in_profile(told: Iterable[str], as_run: onnx.ModelProto) -> dict[str, str]:
    """Name in a profile -> that of `run_nodes`, of the nodes that a profile tells in the order of the run.

    A profile calls nodes without a name, the steps of a HardSwish for one, by kind and a number: they are told in the
    order in which the graph holds them.
    """
    named = {node.name for node in as_run.graph.node if node.name}
    unnamed = [node for node in as_run.graph.node if not node.name]
    names = {name: name for name in told}
    for name in names:
        if name not in named:
            node = next((each for each in unnamed if name.rpartition("_")[0] == each.op_type), None)
            if node is None:
                raise RuntimeError(f"each node of a profile must stand in the graph that is run, and {name!r} does not")
            unnamed.remove(node)
            names[name] = node_name(node)
    return names


def node_name(node: onnx.NodeProto) -> str:
    """A node's name; one that has none is called after what it gives."""
    return str(node.name or node.output[0])


class _Nodes:
    """The nodes of a graph by name, in order."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.by_name = {node_name(node): node for node in graph.node}

    @cached_property
    def maker(self) -> Mapping[str, str]:
        """Value -> the name of the node that gives it."""
        return {value: name for name, node in self.by_name.items() for value in node.output}

    def before(self, name: str) -> Iterator[str]:
        """The names of the nodes whose values a node takes."""
        return (self.maker[value] for value in self.by_name[name].input if value in self.maker)

    def after(self, name: str) -> Iterator[str]:
        """The names of the nodes that take what a node gives."""
        given = set(self.by_name[name].output)
        return (other for other, node in self.by_name.items() if given & set(node.input))


def _anchor(name: str, file: _Nodes) -> str:
    """The written node that a node as it is run is called after: itself, or what gives a value of that name."""
    own = _ADDED.sub("", name)
    return own if own in file.by_name else file.maker.get(own, "")


def _is_layout(node: onnx.NodeProto, is_written: bool) -> bool:
    return node.op_type in REORDERS or (node.op_type == TRANSPOSE and not is_written)


def _does(file: _Nodes, run: _Nodes, anchors: Mapping[str, str]) -> dict[str, str]:
    """Written node -> the node that computes it as it is run."""
    does: dict[str, str] = {}
    computing = {name: node for name, node in run.by_name.items() if not _is_layout(node, name in anchors)}
    for name, node in computing.items():
        if anchor := anchors.get(name, ""):
            does.setdefault(anchor, name)
            if _is_convolution(node):  # which may bear the name of the activation that was fused with it
                does.setdefault(_convolution_before(anchor, file), name)
    for name, node in computing.items():
        for value in node.output:
            if value in file.maker:
                does.setdefault(file.maker[value], name)
    order = {name: position for position, name in enumerate(run.by_name)}
    for name in file.by_name:  # what is left was fused into what computes the last of its inputs
        if name not in does and (computed := [does[each] for each in file.before(name) if each in does]):
            does[name] = max(computed, key=order.__getitem__)
    return does


def _is_convolution(node: onnx.NodeProto) -> bool:
    return "Conv" in node.op_type


def _convolution_before(name: str, file: _Nodes) -> str:
    """The name of the convolution whose output a chain of nodes ends with."""
    at = name
    while not _is_convolution(file.by_name[at]):
        befores = list(file.before(at))
        if len(befores) != 1:
            return name
        at = befores[0]
    return at


def _moved(node: onnx.NodeProto, file: _Nodes) -> str:
    """The value that is brought into another order or back, by its name in the file."""
    value = next((each for each in node.output if each in file.maker), "")
    return f"to {value}" if value else f"of {node.input[0]}"


def _beside(name: str, run: _Nodes, does: Mapping[str, str], written: Collection[str]) -> str:
    """The written node that an added one was added for: that whose input it makes, or whose output it takes."""
    computed: dict[str, str] = {}
    for each, computes in does.items():
        computed.setdefault(computes, each)
    backwards = any(value in written for value in run.by_name[name].output)
    others = run.before(name) if backwards else run.after(name)
    return next((computed[other] for other in others if other in computed), "")
