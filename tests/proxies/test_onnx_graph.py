"""ONNX models written from plans: valid, with torch's outputs, for every unit, option, batch and operator set."""

import copy
from collections import Counter
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from builders.exported import ALL, IMAGE_SIZE, V1_WIDTHS, network, v2
from builders.wide_space import drawn_wide
from torch import nn

from proxies.backbone import deployed
from proxies.latency.onnx_session import session_of
from proxies.latency.output_check import example
from proxies.latency.runtimes import Shape, onnx_file
from proxies.latency.runtimes.torch_eager import outputs_of
from proxies.network import PlannedNetwork, build, network_of
from proxies.onnx_graph import LAYERS, OPSETS, model_of
from search_space import PRESETS, Architecture, InputError, Stage
from search_space.baseline_units import OTHER_UNITS, other_plan
from search_space.plan import NO_CLASSIFIER

ROUNDING, TIMES_TORCHS_OWN = 2e-6, 3
"""How far off what float64 gives: of the largest output, and as a multiple of how far torch's float32 is off.

The statistics of noise leave some networks of ten layers and more so steep that the latter is 7e-5 of the output."""
V1 = Architecture(
    "v1",
    stem=24,
    head=0,
    stages=tuple(Stage(2, width, 4, None, kernel, se=True) for width, kernel in zip(V1_WIDTHS, (3, 5, 7), strict=True)),
    activation="hardswish",
)
V2 = replace(v2([(2, stage.split) for stage in PRESETS["v2-1.0x"].stages], se=True), activation="hardswish")


def with_noise(module: nn.Module, shape: Shape) -> nn.Module:
    """The module, whose batch norms have the statistics of noise: as initialised they would pass wrongly folded."""
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.5, 1.5, generator=torch.Generator().manual_seed(len(norm.weight)))
        nn.init.normal_(norm.bias, std=0.1, generator=torch.Generator().manual_seed(len(norm.weight)))
    with torch.no_grad():
        module.train()(torch.from_numpy(example((4, *shape[1:]), 1)))
    return module.eval()


@torch.inference_mode()
def check(model: onnx.ModelProto, module: nn.Module, images: torch.Tensor, folder: Path) -> None:
    """The model is valid, and ONNX Runtime's outputs, its rewriting of the graph switched off, are torch's."""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "network.onnx")
    exactly = copy.deepcopy(module).double()
    found = session_of(folder / "network.onnx", is_plain=True).run(None, {"images": images.numpy()})
    for one, expected, exact in zip(
        found, outputs_of(module(images)), outputs_of(exactly(images.double())), strict=True
    ):
        assert one.shape == expected.shape
        allowed = ROUNDING * exact.abs().max() + TIMES_TORCHS_OWN * (expected - exact).abs().max()
        assert (torch.from_numpy(one) - exact).abs().max() < allowed


def check_planned(module: PlannedNetwork, shape: Shape, folder: Path) -> None:
    assert module.plan is not None
    with_noise(module, shape)
    model = model_of(module.plan, dict(module.named_modules()), shape)
    check(model, module, torch.from_numpy(example(shape, 0)), folder)


@pytest.mark.parametrize("name", ALL)
def test_every_group_count_split_and_option_computes_what_torch_computes(name: str, tmp_path: Path) -> None:
    made = network(ALL[name])
    assert isinstance(made.module, PlannedNetwork)
    assert made.module.plan is not None
    for batch, counts in ((8, [8]), (None, [8, 3])):
        shape = (batch, 1, IMAGE_SIZE, IMAGE_SIZE)
        model = model_of(made.module.plan, dict(made.module.named_modules()), shape)
        for count in counts:
            check(model, made.module, made.normalised(made.images[:count]), tmp_path)


@pytest.mark.parametrize("stem_stride", [4, 2, 1])
@pytest.mark.parametrize("architecture", [V1, V2], ids=["v1", "v2"])
def test_every_stem_and_rectangles_too(architecture: Architecture, stem_stride: int, tmp_path: Path) -> None:
    check_planned(build(architecture, 7, 2, stem_stride, seed=1), (2, 2, 41, 64), tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_drawn_networks_of_a_space_with_every_choice_open_too(seed: int, tmp_path: Path) -> None:
    check_planned(build(drawn_wide(1, seed)[0], 7, stem_stride=2, seed=1), (2, 3, 32, 32), tmp_path)


@pytest.mark.parametrize("unit", OTHER_UNITS)
def test_the_papers_other_units_too(unit: str, tmp_path: Path) -> None:
    check_planned(network_of(other_plan(unit, 38_000_000, num_classes=10)), (1, 3, 64, 64), tmp_path)


@pytest.mark.parametrize("opset", OPSETS)
def test_every_operator_set_too(opset: int, tmp_path: Path) -> None:
    made = with_noise(build(V1, 10, stem_stride=2), (1, 3, 32, 32))
    model = model_of(made.plan, dict(made.named_modules()), (1, 3, 32, 32), opset=opset)
    assert [one.version for one in model.opset_import] == [opset]
    check(model, made, torch.from_numpy(example((1, 3, 32, 32), 0)), tmp_path)


@pytest.mark.parametrize("opset", [OPSETS[0] - 1, OPSETS[-1] + 1])
def test_an_operator_set_that_is_none_is_refused(opset: int) -> None:
    made = build(PRESETS["v2-0.5x"])
    with pytest.raises(InputError, match=f"must be 11 to 23, got {opset}"):
        model_of(made.plan, dict(made.named_modules()), (1, 3, 32, 32), opset=opset)


def test_every_kind_of_layer_has_a_row() -> None:
    from proxies import network

    assert set(LAYERS) == set(network.LAYERS)


# Which networks are written so


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """What torch's exporter was asked for, in whose place nothing is written."""
    asked: list[nn.Module] = []
    monkeypatch.setattr(onnx_file, "export_onnx", lambda module, *rest: asked.append(module))
    return asked


@pytest.mark.parametrize("classes", [10, NO_CLASSIFIER])
def test_what_a_task_deploys_needs_no_exporter(classes: int, exporter: list[nn.Module], tmp_path: Path) -> None:
    module, shape = with_noise(deployed(V2, classes), (2, 3, 64, 64)), (2, 3, 64, 64)
    onnx_file.write_onnx(module, tmp_path / "written.onnx", shape, "cpu")
    assert exporter == []
    model = onnx.load(tmp_path / "written.onnx")
    assert [one.name for one in model.graph.output] == (["logits"] if classes else ["stage2", "stage3", "stage4"])
    check(model, module, torch.from_numpy(example(shape, 0)), tmp_path)


def test_a_network_without_a_plan_or_changed_since_is_exported(exporter: list[nn.Module], tmp_path: Path) -> None:
    longer, other = build(PRESETS["v2-0.5x"]), build(PRESETS["v2-0.5x"])
    longer.append(nn.Softmax(1))
    other.get_submodule("stem.branches.0").add_module("2", nn.GELU())
    assert isinstance(longer, PlannedNetwork)
    plain = nn.Conv2d(3, 4, 1)
    for module in (longer, other, plain):
        onnx_file.write_onnx(module, tmp_path / "network.onnx", (1, 3, 32, 32), "cpu")
    assert exporter == [longer, other, plain]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [V1, V2], ids=["v1", "v2"])
def test_the_nodes_are_those_that_torchs_exporter_writes(architecture: Architecture, tmp_path: Path) -> None:
    module, shape = with_noise(build(architecture, 10), (1, 3, 64, 64)), (1, 3, 64, 64)
    kinds, outputs = [], []
    for write in (onnx_file.write_onnx, onnx_file.export_onnx):
        write(module, tmp_path / "network.onnx", shape, "cpu")
        kinds.append([node.op_type for node in onnx.load(tmp_path / "network.onnx").graph.node])
        session = session_of(tmp_path / "network.onnx")
        outputs.append(session.run(None, {session.get_inputs()[0].name: example(shape, 0)})[0])
    ours, theirs = (Counter("Reshape" if kind == "Flatten" else kind for kind in each) for each in kinds)
    assert ours == theirs
    assert abs(outputs[0] - outputs[1]).max() < 1e-5 * abs(outputs[1]).max(), "both round"
