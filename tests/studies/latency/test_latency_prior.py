"""Latencies before anything was measured: those that ship, those of other tasks, and what a device's own change."""

import json
from typing import Any

import numpy as np
import pytest
from builders.fronts import SPACE, networks
from builders.measurements import made_up_ms

from search_space import PRESETS, Architecture, cost_of
from search_space.choosers import RandomChooser
from search_space.errors import InputError
from search_space.precision import PRECISIONS, precision_named
from studies.latency.model import FLOPS_ALONE, errors_of, fit, leave_one_out, matrix_of
from studies.latency.prior import ANCHOR, ENOUGH, LatencyPrior, expected_latency, prior_from, shipped_prior

NETWORKS = networks(60)
UNSEEN = [SPACE.suggest(RandomChooser(number)) for number in range(1000, 1030)]
ANCHOR_MS = 3.0


def prior() -> LatencyPrior:
    """What a made-up device measured: 60 networks and the anchor."""
    networks = [PRESETS[ANCHOR], *NETWORKS]
    ratios = tuple(made_up_ms(network) / made_up_ms(PRESETS[ANCHOR]) for network in networks)
    return LatencyPrior(tuple(networks), ratios, 224, 1000, 16, {})


def other_ms(architecture: Architecture) -> float:
    """A device like the made-up one, whose networks all take longer, the longer the more FLOPs they have."""
    return made_up_ms(architecture) * (1 + cost_of(architecture).macs / 140e6)


def median_error(own: list[Architecture]) -> float:
    """Of predictions for the other device, once it has measured these networks of its own."""
    anchor_ms = other_ms(PRESETS[ANCHOR])
    model = expected_latency(own, [other_ms(each) for each in own], anchor_ms, 224, 1000, prior())
    predicted = np.array([model.predict_ms(each) for each in UNSEEN])
    return errors_of(predicted, np.array([other_ms(each) for each in UNSEEN])).median


def test_on_a_like_device_the_anchors_latency_is_enough() -> None:
    model = expected_latency([], [], ANCHOR_MS, 224, 1000, prior())
    scale = ANCHOR_MS / made_up_ms(PRESETS[ANCHOR])
    for network in UNSEEN:
        assert model.predict_ms(network) == pytest.approx(scale * made_up_ms(network), rel=0.04)


def test_ratios_of_another_task_are_those_of_what_each_layer_does_there() -> None:
    assert prior().ratios_at(224, 1000) == pytest.approx(np.array(prior().ratios))
    anchors = made_up_ms(PRESETS[ANCHOR], 320)
    there = [made_up_ms(network, 320) / anchors for network in prior().architectures]
    assert prior().ratios_at(320, 1000) == pytest.approx(np.array(there), rel=0.03)


def test_a_devices_own_latencies_correct_the_prior_the_more_the_more_they_are() -> None:
    none, few, many = (median_error(NETWORKS[:count]) for count in (0, 10, 40))
    assert none > few > many


def test_on_a_device_unlike_the_priors_twenty_of_its_own_networks_are_worth_more_than_the_priors() -> None:
    def call_ms(architecture: Architecture) -> float:
        return 0.5 + 0.1 * sum(stage.depth for stage in architecture.stages) + 0.01 * made_up_ms(architecture)

    measured = np.array([call_ms(each) for each in UNSEEN])
    errors = []
    for count in (0, 20):
        own, anchor_ms = NETWORKS[:count], call_ms(PRESETS[ANCHOR])
        model = expected_latency(own, [call_ms(each) for each in own], anchor_ms, 224, 1000, prior())
        errors.append(errors_of(np.array([model.predict_ms(each) for each in UNSEEN]), measured))
    before, after = errors
    assert before.median > 0.2
    assert after.median < 0.06
    assert after.tau > 0.85 > before.tau


def test_a_device_with_enough_of_its_own_needs_no_other() -> None:
    own = NETWORKS[:ENOUGH]
    measured = [other_ms(each) for each in own]
    model, alone = expected_latency(own, measured, 1.0, 224, 1000, prior()), fit(own, measured, 224, 1000)
    assert [model.predict_ms(each) for each in UNSEEN] == [alone.predict_ms(each) for each in UNSEEN]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_ships_is_of_both_units_over_the_range_of_a_search_and_says_how_it_was_measured(precision: str) -> None:
    shipped = shipped_prior(precision)
    costs = [cost_of(each).macs / 1e6 for each in shipped.architectures]
    for unit in ("v1", "v2"):
        own = [cost for each, cost in zip(shipped.architectures, costs, strict=True) if each.unit == unit]
        assert len(own) >= 20
        assert min(own) < 40 < 120 < max(own)
    assert dict(zip(shipped.architectures, shipped.ratios, strict=True))[PRESETS[ANCHOR]] == 1.0
    assert {"runtime", "runtime_version", "processor", "measured_on", "protocol"} <= shipped.made.keys()
    assert precision_named(shipped.made["precision"]) == precision


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_ships_predicts_its_own_networks_better_than_flops_do(precision: str) -> None:
    shipped = shipped_prior(precision)
    ratios = np.array(shipped.ratios)
    errors = {
        block: errors_of(leave_one_out(matrix_of(shipped.architectures, block, 224, 1000)[1], ratios), ratios)
        for block in (shipped.block, FLOPS_ALONE)
    }
    assert errors[shipped.block].median < 0.75 * errors[FLOPS_ALONE].median
    assert errors[shipped.block].tau > errors[FLOPS_ALONE].tau


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 9}, "must be of schema 1, got 9 in a.json"),
        ({"networks": []}, "cannot be read from a.json"),
        ({"networks": [{"architecture": {}, "ratio": 1.0}]}, "cannot be read from a.json"),
        ({"networks": [{"architecture": PRESETS[ANCHOR].to_dict(), "ratio": 0.0}]}, "cannot be read from a.json"),
    ],
)
def test_a_damaged_file_is_one_line(change: dict[str, Any], said: str) -> None:
    whole = {"schema": 1, "resolution": 224, "classes": 1000, "block": 8, "made": {}, "networks": []}
    row = {"architecture": PRESETS[ANCHOR].to_dict(), "ratio": 1.0}
    with pytest.raises(InputError, match=said):
        prior_from(json.dumps({**whole, "networks": [row], **change}), "a.json")


def test_a_file_that_is_no_json_or_lacks_a_part_is_one_line() -> None:
    with pytest.raises(InputError, match=r"cannot be read from a\.json, KeyError"):
        prior_from(json.dumps({"schema": 1, "resolution": 224, "classes": 1000}), "a.json")
    with pytest.raises(InputError, match="install the project anew"):
        prior_from("{", "a.json")
