"""How far is the RAM that `search_space.cost` counts from what others hold for the same network?

    python tests/benchmarks/memory_plans.py --beside executorch --drawn 50
    python tests/benchmarks/memory_plans.py --beside onnxruntime --drawn 50

prints, for each preset and so many drawn networks, KiB and their ratio to what we count. Every other of the drawn
networks has a stem of stride 1, for 32 px, where units need more than the stem does.

ExecuTorch's portable program (the extra `executorch`), at fp32: what lives at once in its own graph where element-wise
layers write over their input; what lives at once as ExecuTorch plans it, which gives every layer an output of its own;
and the arena that its planner makes of that. Batch norms are folded, hard swish stands as ReLU, and the classifier as a
1x1 convolution: ExecuTorch takes hard swish apart into four layers, and copies a linear layer's weights into the arena,
as large as they are.

ONNX Runtime, by the sizes and the order that its own profile of a run tells: what lives at once where element-wise
layers write over their input, at fp32 as the file was written, at fp32 as it rewrites the file for this machine's
vectors, and so at int8, from the image in 8 bits on. Hard swish stands as ReLU: ONNX Runtime takes it apart too.
"""

import argparse
import json
import statistics
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy
import onnx
import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from proxies.network import build
from proxies.onnx_graph import model_of
from proxies.quantization.onnx_int8 import write_int8
from search_space import PRESETS, Architecture, Budget, SearchSpace, cost_of
from search_space.choosers import RandomChooser
from search_space.plan import plan_of

CLASSES = 1000
BUDGETS = ("20mflops", "41mflops", "140mflops", "300mflops")
IN_PLACE = ("relu", "add", "mul", "div", "clamp", "hardtanh", "hardsigmoid", "view_copy", "_clone_dim_order", "clone")
"""Operators of ExecuTorch of which an output may lie where an input lay."""
ONNX_IN_PLACE = ("Relu", "HardSigmoid", "Clip", "Add", "Mul", "QLinearAdd", "QLinearMul", "Reshape")
"""The same of ONNX."""
BYTES_OF = {"float": 4, "int32": 4, "int64": 8, "uint8": 1, "int8": 1}
"""Bytes an element of the types that ONNX Runtime's profile names."""


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


class Held(NamedTuple):
    """Bytes: counted by us at fp32 and int8, and in ONNX Runtime as written, as it runs, and as it runs at int8."""

    counted: int
    counted_int8: int
    written: int
    run: int
    run_int8: int


def held(network: Network) -> Held:
    """What lives at once in ONNX Runtime's own runs of the network."""
    size = network.architecture.resolution or network.resolution
    cost = cost_of(network.architecture, network.resolution, CLASSES, stem_stride=network.stem_stride)
    architecture = replace(network.architecture, activation="relu")
    with TemporaryDirectory() as folder:
        fp32, int8 = Path(folder, "fp32.onnx"), Path(folder, "int8.onnx")
        layers = dict(build(architecture, CLASSES, stem_stride=network.stem_stride).eval().named_modules())
        plan = plan_of(architecture, CLASSES, stem_stride=network.stem_stride)
        onnx.save(model_of(plan, layers, (1, 3, size, size)), fp32)
        images = numpy.random.default_rng(0).normal(size=(1, 3, size, size)).astype("float32")
        write_int8(fp32, int8, [images])
        runs = _live_in_run(fp32, images, "ORT_DISABLE_ALL"), _live_in_run(fp32, images), _live_in_run(int8, images)
    return Held(cost.ram_bytes("fp32"), cost.ram_bytes("int8"), *runs)


def _live_in_run(file: Path, images: Any, rewriting: str = "ORT_ENABLE_ALL") -> int:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, rewriting)
    options.log_severity_level = 4  # it would warn that the rewritten file is for this machine alone
    options.optimized_model_filepath = str(file.with_suffix(".run.onnx"))
    options.enable_profiling, options.profile_file_prefix = True, str(file)
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    session.run(None, {session.get_inputs()[0].name: images})
    graph = onnx.load(options.optimized_model_filepath).graph
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return _most_at_once(_spans_in_run(graph, events, images.nbytes))


def _spans_in_run(graph: onnx.GraphProto, events: list[dict[str, Any]], image_bytes: int) -> list[tuple[int, int, int]]:
    """First node, last node and bytes of each place in memory; a float image that is first rounded is not counted."""
    named = {node.name: node for node in graph.node}
    ran = [(named[name], event["args"]) for event in events for name in [_node_of(event)] if name]
    assert len(ran) == len(named), "the profile names each node of the rewritten network once"
    last = {name: number for number, (node, _) in enumerate(ran) for name in node.input}
    last.update({output.name: len(ran) for output in graph.output})
    image = graph.input[0].name
    takes_image = [node.op_type for node, _ in ran if image in node.input]
    spans = {} if takes_image == ["QuantizeLinear"] else {image: (0, last[image], image_bytes)}
    for number, (node, facts) in enumerate(ran):
        for name, size in zip(filter(None, node.output), _sizes(facts), strict=True):
            free = [each for each in node.input if each in spans and spans[each][1:] == (number, size)]
            start = spans.pop(free[0])[0] if free and node.op_type in ONNX_IN_PLACE else number
            spans[name] = start, last.get(name, number), size
    return list(spans.values())


def _node_of(event: dict[str, Any]) -> str:
    """The node that an event times; empty where it times something else."""
    name = str(event["name"])
    return name.removesuffix("_kernel_time") if name.endswith("_kernel_time") else ""


def _sizes(facts: dict[str, Any]) -> Iterator[int]:
    """The bytes of each of a node's outputs."""
    for output in facts["output_type_shape"]:
        for kind, shape in output.items():
            yield BYTES_OF[kind] * prod(shape)


def drawn(seed: int) -> Network:
    """A network drawn from the default space, at one of several budgets."""
    budget = BUDGETS[seed // 2 % len(BUDGETS)]
    architecture = SearchSpace.default(Budget.parse(budget)).suggest(RandomChooser(seed))
    return Network(f"{budget}, seed {seed}", architecture, *((32, 1) if seed % 2 else (224, 4)))


def beside_executorch(network: Network) -> tuple[str, list[float], list[int]]:
    """The cells of a network's row beside ExecuTorch: what we count, ratios to that, and bytes."""
    counted, *others = planned(network)
    return f"{counted / 1024:9.1f}", [other / counted for other in others], list(others)


def beside_onnxruntime(network: Network) -> tuple[str, list[float], list[int]]:
    """The same beside ONNX Runtime; its ratio at int8 is to what we count at int8."""
    counted, counted_int8, *sizes = held(network)
    ratios = [sizes[0] / counted, sizes[1] / counted, sizes[2] / counted_int8]
    return f"{counted / 1024:9.1f}", ratios, sizes


BESIDE = {
    "executorch": (beside_executorch, ("in place", "as planned", "arena")),
    "onnxruntime": (beside_onnxruntime, ("fp32 as written", "fp32 as run", "int8 as run")),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawn", type=int, default=50, help="drawn networks beside the presets (default 50)")
    parser.add_argument("--beside", choices=BESIDE, default="executorch", help="whose memory (default executorch)")
    args = parser.parse_args()
    row_of, words = BESIDE[args.beside]
    print(f"{'network':22}{'counted':>9}" + "".join(f"{word:>17}" for word in words))
    ratios: list[list[float]] = []
    presets = (Network(name, architecture) for name, architecture in PRESETS.items())
    for network in (*presets, *map(drawn, range(args.drawn))):
        counted, row, sizes = row_of(network)
        ratios.append(row)
        cells = "".join(f"{size / 1024:10.1f}{ratio:7.3f}" for size, ratio in zip(sizes, row, strict=True))
        print(f"{network.name:22}{counted}{cells}", flush=True)
    for word, column in zip(words, zip(*ratios, strict=True), strict=True):
        least, middle, most = min(column), statistics.median(column), max(column)
        print(f"{word}: {least:.3f} to {most:.3f} of what we count, median {middle:.3f}")


if __name__ == "__main__":
    main()
