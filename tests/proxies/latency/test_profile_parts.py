"""Where a network's time goes: shares of what was profiled, of what a model fits, and of FLOPs."""

from pathlib import Path

import onnx
import pytest

from proxies.latency.measure import prepare
from proxies.latency.profile.parts import PartTime, graph_parts, layer_times, planned_parts, unit_times
from proxies.references.networks import build_reference
from search_space import PRESETS
from search_space.cost import cost_of
from search_space.plan import Layer

V2 = PRESETS["v2-1.0x"]
NODES = ("stem.branches.0.0", "stage2.1.branches.0.slice", "stage2.1.concat")
PARTS = planned_parts(V2, 224, 1000, NODES)
FITTED = {"stem": 1.0, "classifier.branches.0.1": 3.0}
MS = {"stem.branches.0.0": 1.0, "stage2.0.branches.1.0": 2.0, "classifier.branches.0.1": 4.0, "a reorder": 3.0}


def by_name(parts: tuple[PartTime, ...]) -> dict[str, PartTime]:
    return {part.name: part for part in parts}


def test_nodes_are_of_layers_of_the_plan_and_slices_of_their_units() -> None:
    assert PARTS.of_node == {NODES[0]: NODES[0], NODES[1]: NODES[1], NODES[2]: "stage2.1.join.0"}
    assert (PARTS.layers[NODES[1]].unit, PARTS.layers[NODES[1]].channels) == ("stage2.1", 0)


def test_shares_of_layers_are_of_all_that_was_profiled() -> None:
    layers = layer_times(PARTS, MS, FITTED)
    assert [part.name for part in layers[:4]] == list(MS)
    assert [part.ms_share for part in layers[:4]] == pytest.approx([0.1, 0.2, 0.4, 0.3])
    assert sum(part.macs_share for part in layers) == pytest.approx(1.0)


def test_layers_that_cost_something_are_shown_though_no_node_was_found_for_them() -> None:
    names = set(by_name(layer_times(PARTS, MS, FITTED)))
    assert names >= {layer.name for layer in cost_of(V2).layers if layer.macs}


def test_units_sum_their_layers_and_what_is_in_none_stays() -> None:
    units = unit_times(PARTS, layer_times(PARTS, MS, FITTED))
    names = [part.name for part in units]
    assert names[0] == "stem"
    assert names[-2:] == ["classifier", "a reorder"]
    assert len(names) == 1 + 16 + 2 + 1
    assert sum(part.ms_share for part in units) == pytest.approx(1.0)
    assert sum(part.macs for part in units) == cost_of(V2).macs
    unit = by_name(units)["stage2.0"]
    assert (unit.channels, unit.size_px, unit.ms) == (116, 28, 2.0)


def test_fitted_shares_sum_to_one_and_the_stem_s_is_that_of_every_network() -> None:
    layers = layer_times(PARTS, MS, FITTED)
    for parts in (layers, unit_times(PARTS, layers)):
        assert sum(part.fitted_share or 0.0 for part in parts) == pytest.approx(1.0)
    assert by_name(layers)["stem.branches.0.0"].fitted_share == pytest.approx(0.25)
    units = by_name(unit_times(PARTS, layers))
    assert units["stem"].fitted_share == pytest.approx(0.25)
    assert units["classifier"].fitted_share == pytest.approx(0.75)
    assert units["a reorder"].fitted_share is None


def test_without_a_model_no_share_is_fitted() -> None:
    layers = layer_times(PARTS, MS, {})
    assert {part.fitted_share for part in (*layers, *unit_times(PARTS, layers))} == {None}


@pytest.mark.slow
def test_units_of_any_file_are_torch_s_modules_of_the_second_level(tmp_path: Path) -> None:
    network = build_reference("mobilenet-v2")
    parts = graph_parts(onnx.load(prepare(network, tmp_path / "x", resolution=224).file))
    units = list(dict.fromkeys(part.unit for part in parts.layers.values() if part.macs))
    assert units == [f"features.{number}" for number in range(19)] + ["classifier.1"]
    # 300.8 M with torchvision's classifier: 300.775 M of convolutions and linear layers, as fvcore counts.
    assert sum(part.macs for part in parts.layers.values()) == 300_774_272
    first = next(part for part in parts.layers.values() if part.unit == "features.1")
    assert first.layer == Layer("conv", 32, 32, 3, 1, 32)
    assert (first.channels, first.size_px, first.macs) == (32, 112, 32 * 9 * 112**2)


@pytest.mark.parametrize(
    ("macs_share", "ms_share", "much"),
    [(0.02, 0.04, True), (0.02, 0.0299, False), (0.10, 0.14, False), (0.01, 0.019, False), (0.0, 0.2, False)],
)
def test_much_time_is_half_as_much_again_as_the_share_of_flops_and_a_point_more(
    macs_share: float, ms_share: float, much: bool
) -> None:
    part = PartTime("unit", 16, 7, round(1e6 * macs_share), macs_share, ms_share, ms_share, None)
    assert part.takes_much is much
