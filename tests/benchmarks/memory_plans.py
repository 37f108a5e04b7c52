"""How far is the RAM that `search_space.cost` counts from what ExecuTorch plans for the same network?

    python tests/benchmarks/memory_plans.py --drawn 50

exports each preset and so many drawn networks to ExecuTorch's portable program (the extra `executorch`) and prints, in
KiB at fp32: what we count; what lives at once in ExecuTorch's own graph where element-wise layers write over their
input; what lives at once as ExecuTorch plans it, which gives every layer an output of its own; and the arena that its
planner makes of that. After each stands its ratio to what we count.

Every other of the drawn networks has a stem of stride 1, for 32 px, where units need more than the stem does. Batch
norms are folded, hard swish stands as ReLU, and the classifier as a 1x1 convolution: ExecuTorch takes hard swish apart
into four layers, and copies a linear layer's weights into the arena, as large as they are.
"""

import argparse
import statistics
import warnings
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from proxies.network import build
from search_space import PRESETS, Architecture, Budget, SearchSpace, cost_of
from search_space.choosers import RandomChooser

CLASSES = 1000
BUDGETS = ("20mflops", "41mflops", "140mflops", "300mflops")
IN_PLACE = ("relu", "add", "mul", "div", "clamp", "hardtanh", "hardsigmoid", "view_copy", "_clone_dim_order", "clone")
"""Operators of which an output may lie where an input lay."""


class Network(NamedTuple):
    """An architecture, and the task that it is planned for."""

    name: str
    architecture: Architecture
    resolution: int = 224
    stem_stride: int = 4


class Planned(NamedTuple):
    """Bytes: counted by us, in ExecuTorch's graph with layers in place, as it plans them, and its arena."""

    counted: int
    in_place: int
    live: int
    arena: int


class _Classifier(nn.Module):
    """The mean over the pixels, and a 1x1 convolution."""

    def __init__(self, c_in: int, classes: int) -> None:
        super().__init__()
        self.pool, self.conv = nn.AdaptiveAvgPool2d(1), nn.Conv2d(c_in, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The logits of a batch."""
        return self.conv(self.pool(x))


def planned(network: Network) -> Planned:
    """What ExecuTorch plans for the network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from executorch.exir import ExecutorchBackendConfig, to_edge
        from executorch.exir.passes import MemoryPlanningPass

        size = network.architecture.resolution or network.resolution
        program = torch.export.export(_as_planned(network), (torch.zeros(1, 3, size, size),))
        edge = to_edge(program)
        in_place = _live_in_place(edge.exported_program())
        made = edge.to_executorch(ExecutorchBackendConfig(memory_planning_pass=MemoryPlanningPass()))
    arena = sum(made.executorch_program.execution_plan[0].non_const_buffer_sizes)
    cost = cost_of(network.architecture, network.resolution, CLASSES, stem_stride=network.stem_stride)
    return Planned(cost.ram_bytes("fp32"), in_place, _live(made.exported_program().graph), arena)


def _as_planned(network: Network) -> nn.Module:
    architecture = network.architecture
    module = build(architecture, CLASSES, stem_stride=network.stem_stride).eval()
    for parent in list(module.modules()):
        children = list(parent.named_children())
        for (name, layer), (after, norm) in pairwise(children):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                setattr(parent, after, nn.Identity())
        for name, layer in children:
            if isinstance(layer, nn.Hardswish):
                setattr(parent, name, nn.ReLU())
    c_in = architecture.head or architecture.stages[-1].width
    return nn.Sequential(*list(module.children())[:-1], _Classifier(c_in, CLASSES))


def _live_in_place(program: Any) -> int:
    """The most bytes of tensors at once in the graph's order, where what can writes over its input."""
    nodes = list(program.graph.nodes)
    given = set(program.graph_signature.user_inputs)
    last = {used: number for number, node in enumerate(nodes) for used in node.all_input_nodes}
    place: dict[fx.Node, fx.Node] = {}
    for number, node in enumerate(nodes):
        place[node] = node
        name = str(node.target).split(".")[1] if "." in str(node.target) else str(node.target)
        if "getitem" in str(node.target) or name in IN_PLACE:
            for used in node.all_input_nodes:
                ends = max(last[each] for each, at in place.items() if at is place[used] and each is not node)
                if _bytes_of(used) == _bytes_of(node) and ends <= number:
                    place[node] = place[used]
                    break
    spans: dict[fx.Node, tuple[int, int, int]] = {}
    for number, node in enumerate(nodes):
        if node.op == "call_function" or node.name in given:
            start, _, size = spans.get(place[node], (number, 0, _bytes_of(node)))
            spans[place[node]] = start, max(last.get(node, number), spans.get(place[node], (0, 0, 0))[1]), size
    return _most_at_once(spans.values())


def _bytes_of(node: fx.Node) -> int:
    value = node.meta["val"]
    return sum(4 * each.numel() for each in (value[:1] if isinstance(value, tuple | list) else [value]))


def _live(graph: fx.Graph) -> int:
    """The most bytes of tensors at once, by the lifetimes that ExecuTorch gave them."""
    from executorch.exir.tensor import TensorSpec

    leaves = (each for node in graph.nodes for each in torch.utils._pytree.tree_leaves(node.meta.get("spec")))
    specs = {id(each): each for each in leaves if isinstance(each, TensorSpec) and each.mem_offset is not None}
    return _most_at_once((*each.lifetime, each.allocated_memory) for each in specs.values())


def _most_at_once(spans: Any) -> int:
    spans = list(spans)
    return max(sum(size for start, end, size in spans if start <= at <= end) for at, _, _ in spans)


def drawn(seed: int) -> Network:
    """A network drawn from the default space, at one of several budgets."""
    budget = BUDGETS[seed // 2 % len(BUDGETS)]
    architecture = SearchSpace.default(Budget.parse(budget)).suggest(RandomChooser(seed))
    return Network(f"{budget}, seed {seed}", architecture, *((32, 1) if seed % 2 else (224, 4)))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawn", type=int, default=50, help="drawn networks beside the presets (default 50)")
    args = parser.parse_args()
    print(f"{'network':22}{'counted':>9}{'in place':>16}{'as planned':>16}{'arena':>16}")
    ratios: list[list[float]] = []
    presets = (Network(name, architecture) for name, architecture in PRESETS.items())
    for network in (*presets, *map(drawn, range(args.drawn))):
        counted, *others = planned(network)
        ratios.append([other / counted for other in others])
        cells = "".join(f"{other / 1024:9.1f}{other / counted:7.3f}" for other in others)
        print(f"{network.name:22}{counted / 1024:9.1f}{cells}", flush=True)
    for word, column in zip(("in place", "as planned", "arena"), zip(*ratios, strict=True), strict=True):
        least, middle, most = min(column), statistics.median(column), max(column)
        print(f"{word}: {least:.3f} to {most:.3f} of what we count, median {middle:.3f}")


if __name__ == "__main__":
    main()
