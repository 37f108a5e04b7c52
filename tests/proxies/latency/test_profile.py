"""ONNX Runtime's profile by node: what nodes stand for, what they take, and the blocks of this machine."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import onnx
import pytest

from proxies.backbone import deployed
from proxies.latency.measure import Timing, prepare
from proxies.latency.onnx_session import cpu_run, session_of
from proxies.latency.output_check import example
from proxies.latency.profile.blocks import Blocks, blocks_here
from proxies.latency.profile.graph import REORDERS, RunNode, names_in_profile, run_nodes
from proxies.latency.profile.process import times_of
from proxies.latency.profile.take import beyond, profile_of
from proxies.network import build
from proxies.onnx_graph import layer_of, model_of
from search_space import PRESETS, Architecture, Budget, SearchSpace
from search_space.architecture import Stage
from search_space.choosers import RandomChooser
from search_space.cost import cost_of
from search_space.plan import NO_CLASSIFIER, Layer, plan_of

SHORT = Timing(processes=2, max_processes=2, rounds=3, runs=3, warmup_runs=2, least_rounds=3, tolerance=1.0)
SPACE = SearchSpace.default(Budget.parse("140mflops"))
V2 = PRESETS["v2-1.0x"]


def changed(architecture: Architecture, **of_stages: Any) -> Architecture:
    return replace(architecture, stages=tuple(replace(stage, **of_stages) for stage in architecture.stages))


NETWORKS = {
    **{name: PRESETS[name] for name in ("v1-1.0x-g3", "v1-1.0x-g8", "v2-1.0x")},
    "se": changed(V2, se=True),
    "v1 with se": changed(PRESETS["v1-1.0x-g3"], se=True),
    "hardswish": replace(V2, activation="hardswish"),
    "residual, pre-depthwise": replace(V2, residual=True, pre_depthwise=True),
    "xception": changed(V2, xception=True),
    "grouped xception": changed(V2, xception=True, groups=2),
    "bottleneck": replace(PRESETS["v1-1.0x-g3"], bottleneck=Fraction(1, 2)),
    "no shuffle": replace(PRESETS["v1-1.0x-g3"], shuffle=False),
    **{f"drawn {seed}": SPACE.suggest(RandomChooser(seed)) for seed in range(6)},
}


def as_run(architecture: Architecture, folder: Path, classes: int = 10) -> tuple[onnx.ModelProto, list[RunNode]]:
    """The network's file, and its nodes as ONNX Runtime rewrites them here."""
    plan = plan_of(architecture, classes)
    modules = dict(build(architecture, classes).named_modules())
    written, rewritten = folder / "written.onnx", folder / "as-run.onnx"
    onnx.save(model_of(plan, modules, (1, 3, 64, 64)), written)
    session_of(written, graph=rewritten)
    model = onnx.load(written)
    return model, list(run_nodes(model, onnx.load(rewritten)).values())


# What the nodes stand for


@pytest.mark.parametrize("name", NETWORKS)
def test_each_written_node_stands_in_one_node_that_runs(name: str, tmp_path: Path) -> None:
    model, nodes = as_run(NETWORKS[name], tmp_path)
    done = [written for node in nodes for written in node.does]
    assert sorted(done) == sorted(node.name for node in model.graph.node)


@pytest.mark.parametrize("name", NETWORKS)
def test_all_layers_with_multiply_adds_are_found_in_nodes_that_can_do_them(name: str, tmp_path: Path) -> None:
    architecture = NETWORKS[name]
    _, nodes = as_run(architecture, tmp_path)
    plan = plan_of(architecture, 10)
    kinds: dict[str, set[str]] = {}
    for node in nodes:
        for written in node.does:
            kinds.setdefault(layer_of(written, plan), set()).add(node.kind)
    weighty = {layer.name: layer.kind for layer in cost_of(architecture, 64, 10).layers if layer.macs}
    assert weighty.keys() <= kinds.keys()
    for layer, kind in weighty.items():
        assert kinds[layer] & ({"Gemm", "FusedGemm"} if kind == "linear" else {"Conv", "FusedConv"}), layer


@pytest.mark.parametrize("name", NETWORKS)
def test_an_activation_stands_in_the_node_of_its_own_convolution(name: str, tmp_path: Path) -> None:
    _, nodes = as_run(NETWORKS[name], tmp_path)
    plan = plan_of(NETWORKS[name], 10)
    layers = dict(plan.layers())
    for node in nodes:
        convolutions = [each for each in node.does if each in layers and layers[each].kind == "conv"]
        assert len(convolutions) <= 1
        assert len({each.rsplit(".", 1)[0] for each in node.does if each in layers and "branches" in each}) <= 1


def test_what_is_added_names_what_it_was_added_for(tmp_path: Path) -> None:
    model, nodes = as_run(V2, tmp_path)
    added = [node for node in nodes if not node.does]
    assert {node.kind for node in added} == REORDERS
    assert {node.beside for node in added} <= {node.name for node in model.graph.node}


def test_in_8_bits_layers_are_found_and_what_turns_maps_is_of_none(tmp_path: Path) -> None:
    prepared = prepare(build(changed(V2, se=True), 10), tmp_path / "x", resolution=64, precision="int8")
    session_of(prepared.file, graph=tmp_path / "as-run.onnx")
    nodes = run_nodes(onnx.load(prepared.file), onnx.load(tmp_path / "as-run.onnx")).values()
    plan = plan_of(changed(V2, se=True), 10)
    for name, layer in plan.layers():
        if layer.kind in ("conv", "linear"):
            (node,) = [node for node in nodes if name in node.does]
            assert node.kind in ("QLinearConv", "QGemm")
    moved = [node for node in nodes if node.is_layout]
    assert {node.kind for node in moved} == {"Transpose"}
    assert all(node.beside and not node.does for node in moved)
    assert len({node.name for node in nodes}) == len(nodes)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_each_step_of_a_hardswish_is_told_of_its_layer(precision: str, tmp_path: Path) -> None:
    architecture = replace(PRESETS["v1-0.25x-g8"], activation="hardswish")
    prepared = prepare(build(architecture, 10), tmp_path / "x", resolution=64, precision=precision)
    graph = tmp_path / "as-run.onnx"
    session = session_of(prepared.file, graph=graph, profile=tmp_path / "profile")
    cpu_run(session, example(prepared.shape, 0))()
    told = times_of(json.loads(Path(session.end_profiling()).read_text()), 1.0, 1.0).ms
    rewritten = onnx.load(graph)
    nodes, names = run_nodes(onnx.load(prepared.file), rewritten), names_in_profile(told, rewritten)
    assert len(set(names.values())) == len(names)
    steps = [nodes[names[each]] for each in told if nodes[names[each]].kind == "HardSigmoid"]
    plan = plan_of(architecture, 10)
    layers = [layer_of(written, plan) for step in steps for written in step.does or (step.beside,)]
    swishes = sorted(name for name, layer in plan.layers() if layer.kind == "hardswish")
    assert sorted(layers) == (swishes if precision == "int8" else [name for name in swishes if name in layers])
    assert len(layers) > 20


def test_a_node_that_the_graph_has_not_is_refused() -> None:
    with pytest.raises(RuntimeError, match="must stand in the graph that is run, and 'Mul_7' does not"):
        names_in_profile(["Mul_7"], onnx.ModelProto())


def test_names_are_the_same_in_each_session(tmp_path: Path) -> None:
    first, second = ({(node.name, node.does) for node in as_run(V2, tmp_path)[1]} for _ in range(2))
    assert first == second


# What they take


def events(*runs: tuple[int, dict[str, int]]) -> list[dict[str, Any]]:
    """What ONNX Runtime writes of runs: microseconds of the whole and of each node."""
    found = [{"cat": "Session", "name": "session_initialization", "dur": 9999}]
    for whole, nodes in runs:
        found += [{"cat": "Node", "name": f"{name}_kernel_time", "dur": each} for name, each in nodes.items()]
        found += [{"cat": "Node", "name": "a_fence_after", "dur": 77}]
        found.append({"cat": "Session", "name": "model_run", "dur": whole})
    return json.loads(json.dumps(found))


def test_times_are_means_of_the_quickest_quarter_of_the_runs() -> None:
    runs = [(100 + 10 * number, {"a": 50 + number, "b": 10}) for number in range(8)]
    times = times_of(events(*reversed(runs)), 0.09, 0.12)
    assert times.ms == {"a": pytest.approx(0.0505), "b": pytest.approx(0.010)}  # of the runs of 100 and 110 us
    assert times.runs == 8


@pytest.mark.parametrize(
    ("values", "total", "each"),
    [((5.0, 3.0), 6.0, 1.0), ((5.0, 3.0), 8.0, 0.0), ((5.0, 3.0), 9.0, 0.0), ((7.0, 5.0, 1.0), 6.0, 3.0)],
)
def test_what_is_beyond_a_sum_is_taken_off_each_alike(values: tuple[float, ...], total: float, each: float) -> None:
    assert beyond(values, total) == pytest.approx(each)


def test_a_profile_holds_all_that_a_run_takes(tmp_path: Path) -> None:
    profile = profile_of(prepare(build(PRESETS["v2-0.5x"], 10), tmp_path / "x", resolution=64), timing=SHORT)
    assert (profile.processes, profile.runs) == (2, 2 * (1 + 2 + 3 * 4))
    assert all(each.told_ms > 0 for each in profile.nodes)
    assert profile.nodes_ms == pytest.approx(sum(each.ms for each in profile.nodes))
    assert profile.nodes_ms == pytest.approx(profile.plain_ms), "the profile's own time is taken off"
    assert profile.plain_ms < profile.profiled_ms
    assert all(each.told_ms - each.ms <= profile.own_ms + 1e-9 for each in profile.nodes)


def test_what_is_made_to_do_more_takes_most(tmp_path: Path) -> None:
    half = Fraction(1, 2)
    architecture = Architecture("v2", 16, 0, tuple(Stage(2, width, split=half) for width in (64, 1024, 64)))
    profile = profile_of(prepare(build(architecture, 10), tmp_path / "x", resolution=224), timing=SHORT)
    plan, by_stage = plan_of(architecture, 10), dict[str, float]()
    for each in profile.nodes:
        for written in each.node.does[:1]:
            stage = layer_of(written, plan).partition(".")[0]
            by_stage[stage] = by_stage.get(stage, 0.0) + each.ms
    assert by_stage["stage3"] > profile.nodes_ms / 2


def test_a_backbone_has_a_profile(tmp_path: Path) -> None:
    network = deployed(V2, NO_CLASSIFIER)
    profile = profile_of(prepare(network, tmp_path / "x", resolution=64), timing=SHORT)
    plan = plan_of(V2, NO_CLASSIFIER)
    assert {layer_of(written, plan) for each in profile.nodes for written in each.node.does} >= {
        name for name, layer in plan.layers() if layer.kind == "conv"
    }


# Blocks


def processor_flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


@pytest.mark.skipif("avx2" not in processor_flags(), reason="needs an x86 processor under Linux")
def test_blocks_are_as_wide_as_the_processor_s_registers() -> None:
    # As MLAS says: 16 floats where there is AVX-512, else 8.
    assert blocks_here().size == (16 if "avx512f" in processor_flags() else 8)


def test_why_a_convolution_is_outside_of_blocks() -> None:
    blocks = Blocks(16, 4)
    assert blocks.why_outside(Layer("conv", 58, 58, 3, 1, 58)) == "58 channels are no multiple of 4"
    assert blocks.why_outside(Layer("conv", 58, 64)) == "58 channels are no multiple of 4"
    assert blocks.why_outside(Layer("conv", 240, 960, groups=3)) == "", "80 in and 320 out are"
    assert blocks.why_outside(Layer("conv", 120, 480, groups=3)) == (
        "a group's 40 channels in and 160 out are not both multiples of 16"
    )
    assert blocks.filled(58) == 64
    assert blocks.filled(64) == 64
