"""Where a network's time goes: shares of what was profiled, of what a model fits, and of FLOPs."""

import pytest

from search_space import PRESETS
from search_space.cost import cost_of
from studies.latency.model import EVERY_NETWORK, ExpectedLatency
from studies.latency.unit_times import PartTime, layer_times, unit_times

V2 = PRESETS["v2-1.0x"]
MODEL = ExpectedLatency({EVERY_NETWORK: 1.0, "linear, weights": 3.0 / 1.024}, 16, 224, 1000)
"""A millisecond for the stem and three for the classifier, of 1024 x 1000 weights."""
PARTS = {"stem.branches.0.0": 1.0, "stage2.0.branches.1.0": 2.0, "classifier.branches.0.1": 4.0, "a reorder": 3.0}


def by_name(parts: tuple[PartTime, ...]) -> dict[str, PartTime]:
    return {part.name: part for part in parts}


def test_shares_of_layers_are_of_all_that_was_profiled() -> None:
    layers = layer_times(V2, PARTS, MODEL)
    assert [part.name for part in layers[:4]] == list(PARTS)
    assert [part.ms_share for part in layers[:4]] == pytest.approx([0.1, 0.2, 0.4, 0.3])
    assert sum(part.macs_share for part in layers) == pytest.approx(1.0)


def test_layers_that_cost_something_are_shown_though_no_node_was_found_for_them() -> None:
    names = set(by_name(layer_times(V2, PARTS, MODEL)))
    assert names >= {layer.name for layer in cost_of(V2).layers if layer.macs}


def test_units_sum_their_layers_and_what_is_in_none_stays() -> None:
    units = unit_times(V2, {**PARTS, "stage2.0.join.0": 0.0}, MODEL)
    names = [part.name for part in units]
    assert names[0] == "stem"
    assert names[-2:] == ["classifier", "a reorder"]
    assert len(names) == 1 + 16 + 2 + 1
    assert sum(part.ms_share for part in units) == pytest.approx(1.0)
    assert sum(part.macs for part in units) == cost_of(V2).macs
    unit = by_name(units)["stage2.0"]
    assert (unit.channels, unit.size_px, unit.ms) == (116, 28, 2.0)


def test_fitted_shares_sum_to_one_and_the_stem_s_is_that_of_every_network() -> None:
    units = by_name(unit_times(V2, PARTS, MODEL))
    assert units["stem"].fitted_share == pytest.approx(0.25)
    assert units["classifier"].fitted_share == pytest.approx(0.75)
    assert sum(part.fitted_share or 0.0 for part in units.values()) == pytest.approx(1.0)
    assert units["a reorder"].fitted_share is None
    layers = by_name(layer_times(V2, PARTS, MODEL))
    assert layers["stem.branches.0.0"].fitted_share == pytest.approx(0.25)
    assert sum(part.fitted_share or 0.0 for part in layers.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("macs_share", "ms_share", "much"),
    [(0.02, 0.04, True), (0.02, 0.0299, False), (0.10, 0.14, False), (0.01, 0.019, False), (0.0, 0.2, False)],
)
def test_much_time_is_half_as_much_again_as_the_share_of_flops_and_a_point_more(
    macs_share: float, ms_share: float, much: bool
) -> None:
    part = PartTime("unit", 16, 7, round(1e6 * macs_share), macs_share, ms_share, ms_share, None)
    assert part.takes_much is much
