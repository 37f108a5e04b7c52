"""A network's layers and units, and where its time goes among them: as profiled, as a model fits it, beside FLOPs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx

from proxies.latency.profile.graph import node_name
from proxies.latency.profile.take import NodeTime, Profile
from proxies.onnx_graph import layer_of
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.plan import Layer, plan_of, unit_of

NOTICED, TIMES = 0.01, 1.5
"""A part takes much time for its FLOPs where its share of the time is so much more than its share of the FLOPs, and
so many times as much."""
SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter writes the modules that a node is of, the outermost first."""
POOLS = {"MaxPool": "maxpool", "AveragePool": "avgpool"}


@dataclass(frozen=True, slots=True)
class Part:
    """A layer: its unit, what it gives out, its multiply-adds, and what it is, where that is known.

    Channels and pixels are 0 where they are not known.
    """

    name: str
    unit: str
    channels: int
    size_px: int
    macs: int
    layer: Layer | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A network's layers by their names, in order, and for each node of its file the name of its layer."""

    layers: Mapping[str, Part]
    of_node: Mapping[str, str]

    def of(self, each: NodeTime) -> str:
        """The name of the layer that a node as it is run counts as; of what is none, a name that says what it is.

        A node that computes several counts as the one with multiply-adds, or the first.
        """
        node = each.node
        if names := self.all_of(each):
            return next((name for name in names if self.layers[name].macs), names[0])
        return node.name

    def all_of(self, each: NodeTime) -> list[str]:
        """The names of all layers that a node as it is run computes."""
        does = (each.node.beside,) if each.node.is_inside else each.node.does
        return [name for written in does if (name := self.of_node.get(written, ""))]


def planned_parts(architecture: Architecture, resolution: int, classes: int, nodes: Iterable[str]) -> Parts:
    """The layers of an architecture, named as in `search_space.cost`, whose file was written from its plan."""
    plan = plan_of(architecture, classes)
    known = dict(plan.layers())
    layers = {
        cost.name: Part(cost.name, unit_of(cost.name), cost.channels, cost.size, cost.macs, known.get(cost.name))
        for cost in cost_of(architecture, resolution, classes).layers
    }
    of_node = {node: name for node in nodes if (name := layer_of(node, plan))}
    slices = {name: Part(name, unit_of(name), 0, 0, 0) for name in of_node.values() if name not in layers}
    return Parts({**layers, **slices}, of_node)


def graph_parts(model: onnx.ModelProto) -> Parts:
    """The nodes of any ONNX file as layers; units are torch's modules, as far as its exporter has noted them."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.output, *graph.input)
    shapes = {value.name: tuple(each.dim_value for each in value.type.tensor_type.shape.dim) for value in values} | {
        tensor.name: tuple(tensor.dims) for tensor in graph.initializer
    }
    layers = {}
    for node in graph.node:
        name = node_name(node)
        gives, weights = (shapes.get(value, ()) for value in (node.output[0], (*node.input, "")[1]))
        channels, size_px = {4: gives[1:3], 2: (*gives[1:], 1)}.get(len(gives), (0, 0))
        macs = _macs(node, gives, weights)
        layers[name] = Part(name, _module_of(node), channels, size_px, macs, _layer(node, channels, weights, shapes))
    return Parts(layers, {name: name for name in layers})


def _module_of(node: onnx.NodeProto) -> str:
    """The unit that a node is of: the module of the second level, if there is one; else itself."""
    noted = next((each.value for each in node.metadata_props if each.key == SCOPES), "")
    scopes = [scope for scope in noted.strip("[]").replace("'", "").split(", ") if scope]
    modules = [scope for number, scope in enumerate(scopes[:-1]) if scope.count(".") == number][:2]
    return modules[-1] if modules else unit_of(node_name(node))


def _macs(node: onnx.NodeProto, gives: Sequence[int], weights: Sequence[int]) -> int:
    if node.op_type == "Conv" and len(gives) == 4:
        return math.prod(weights) * math.prod(gives[2:])
    if node.op_type in ("Gemm", "MatMul") and len(weights) == 2:
        return math.prod(weights) * math.prod(gives[:-1])
    return 0


def _layer(
    node: onnx.NodeProto, channels: int, weights: Sequence[int], shapes: Mapping[str, Sequence[int]]
) -> Layer | None:
    if node.op_type in POOLS:
        return Layer(POOLS[node.op_type], channels, channels)
    if node.op_type != "Conv" or len(weights) != 4:
        return None
    numbers = {each.name: (each.i or (each.ints[0] if each.ints else 0)) for each in node.attribute}
    groups = numbers.get("group", 1)
    return Layer("conv", weights[1] * groups, weights[0], weights[2], numbers.get("strides", 1), groups)


# Times


@dataclass(frozen=True, slots=True)
class PartTime:
    """A layer, a unit or what the runtime adds: what it gives out, its multiply-adds, its milliseconds, and shares.

    `fitted_share` is None for what no model gives a time, and channels and pixels of what has none are 0.
    """

    name: str
    channels: int
    size_px: int
    macs: int
    macs_share: float
    ms: float
    ms_share: float
    fitted_share: float | None

    @property
    def takes_much(self) -> bool:
        """Whether it takes much time for its FLOPs, where it has any."""
        more = self.ms_share - self.macs_share
        return self.macs > 0 and more >= NOTICED and self.ms_share >= TIMES * self.macs_share


def ms_by_part(profile: Profile, parts: Parts, fitted: Mapping[str, float]) -> dict[str, float]:
    """The milliseconds of each layer as the network runs, and of each node that stands for none.

    Layers that are computed with another one have 0 ms, and are there if they are fitted a time.
    """
    found: dict[str, float] = {}
    for each in profile.nodes:
        name = parts.of(each)
        found[name] = found.get(name, 0.0) + each.ms
        for layer in parts.all_of(each):
            if fitted.get(layer):
                found.setdefault(layer, 0.0)
    return found


def layer_times(parts: Parts, ms: Mapping[str, float], fitted: Mapping[str, float]) -> tuple[PartTime, ...]:
    """What takes these milliseconds, with what is known of it.

    Layers that cost something or are fitted a time and take none of them come last. What a model gives no layer is
    fitted to the first one.
    """
    fitted_ms, macs = sum(fitted.values()), sum(part.macs for part in parts.layers.values())
    missing = [name for name, part in parts.layers.items() if (part.macs or fitted.get(name)) and name not in ms]
    rest = sum(each for name, each in fitted.items() if name not in parts.layers)
    first, total_ms = next(iter(parts.layers)), sum(ms.values())
    times = []
    for name in (*ms, *missing):
        part = parts.layers.get(name) or Part(name, name, 0, 0, 0)
        fits = fitted.get(name, 0.0) + (rest if name == first else 0.0)
        share = fits / fitted_ms if fits or (fitted and name in fitted) else None
        own = ms.get(name, 0.0)
        share_of_macs = part.macs / macs if macs else 0.0
        times.append(PartTime(name, part.channels, part.size_px, part.macs, share_of_macs, own, own / total_ms, share))
    return tuple(times)


def unit_times(parts: Parts, layers: Sequence[PartTime]) -> tuple[PartTime, ...]:
    """The times by unit, in the network's order; what is in none stays as it is and comes last."""
    last = {part.unit: part for part in parts.layers.values() if part.channels}
    return tuple(_sums(parts, layers, last)) + tuple(each for each in layers if each.name not in parts.layers)


def _sums(parts: Parts, layers: Sequence[PartTime], last: Mapping[str, Part]) -> Iterator[PartTime]:
    for unit, output in last.items():
        mine = [each for each in layers if each.name in parts.layers and parts.layers[each.name].unit == unit]
        macs, ms = sum(each.macs for each in mine), sum(each.ms for each in mine)
        shares = [each.fitted_share for each in mine if each.fitted_share is not None]
        yield PartTime(
            unit,
            output.channels,
            output.size_px,
            macs,
            sum(each.macs_share for each in mine),
            ms,
            sum(each.ms_share for each in mine),
            sum(shares) if shares else None,
        )
