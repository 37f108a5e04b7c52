"""The latency model: it finds rates that were put in, knows blocks and groups, and says how far it is off."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from builders.fronts import SPACE, networks
from builders.measurements import made_up_ms

from search_space import PRESETS, Architecture, Stage, cost_of
from search_space.choosers import RandomChooser
from studies.latency.model import FLOPS_ALONE, errors_of, fit, leave_one_out, matrix_of, unseen_errors, work_of

NETWORKS = networks(60)


def small(**options: object) -> Architecture:
    """Three units, each with stride 2: 8 to 16, 16 to 32 and 32 to 64 channels at sizes 8, 4 and 2 of 32 pixels."""
    stages = tuple(Stage(1, width, split=Fraction(1, 2), **options) for width in (16, 32, 64))  # type: ignore[arg-type]
    return Architecture("v2", 8, 0, stages)


def test_work_is_what_a_hand_counts() -> None:
    work = work_of(small(), 4, 32, 10)
    # Each unit: two branches, 1x1 convolutions of c to c/2 at the input's size on the main one, then at the output's.
    main = 8 * 8 * 64 + 8 * 8 * 16 + 16 * 16 * 16 + 16 * 16 * 4 + 32 * 32 * 4 + 32 * 32 * 1
    other = 8 * 8 * 16 + 16 * 16 * 4 + 32 * 32 * 1
    assert work["1x1, multiply-adds in whole blocks"] == pytest.approx((main + other) / 1e6)
    assert work["1x1, weights"] == pytest.approx(3 * (8 * 8 + 16 * 16 + 32 * 32) / 1e6)
    assert work["depthwise 3x3, elements"] == pytest.approx(2 * (8 * 16 + 16 * 4 + 32 * 1) / 1e6)
    assert work["shuffle, elements"] == pytest.approx((16 * 16 + 32 * 4 + 64 * 1) / 1e6)
    assert work["concat, elements"] == work["shuffle, elements"]
    assert (work["layers"], work["linear, weights"]) == (3 * 6, 640 / 1e6)
    assert "hardswish, elements" not in work


def test_one_by_one_multiply_adds_are_those_of_the_exact_cost() -> None:
    architecture = PRESETS["v2-1.5x"]  # its branches of 88, 176 and 352 channels fill blocks of 8
    by_layer = cost_of(architecture).layers
    stem = next(layer.macs for layer in by_layer if layer.name.startswith("stem"))
    depthwise = sum(layer.macs for layer in by_layer if layer.kind == "conv" and layer.params == 9 * layer.channels)
    ours = work_of(architecture, 8, 224, 1000)["1x1, multiply-adds in whole blocks"]
    everything = sum(layer.macs for layer in by_layer if layer.kind == "conv")
    assert ours * 1e6 == pytest.approx(everything - stem - depthwise)


def test_groups_that_do_not_fill_blocks_are_another_kind_of_work() -> None:
    whole, part = work_of(small(groups=2), 4, 32, 10), work_of(small(groups=2), 8, 32, 10)
    assert "grouped 1x1 with part blocks, multiply-adds" not in whole
    assert part["grouped 1x1 with part blocks, multiply-adds"] > 0
    total = whole["grouped 1x1 in whole blocks, multiply-adds"]
    assert total == pytest.approx(
        part["grouped 1x1 with part blocks, multiply-adds"] + part["grouped 1x1 in whole blocks, multiply-adds"]
    )


def test_depthwise_convolutions_of_channels_that_are_no_multiple_of_4_do_one_more_kind_of_work() -> None:
    kind = "depthwise outside blocks, multiply-adds"
    assert kind not in work_of(small(), 4, 32, 10)
    narrow = Architecture("v2", 8, 0, (Stage(1, 12, split=Fraction(1, 2)), *small().stages[1:]))
    # The main branch of the first unit is 6 channels wide; the other one, and that of the next unit, have 8 and 12.
    assert work_of(narrow, 8, 32, 10)[kind] == pytest.approx(9 * 6 * 4 * 4 / 1e6)
    # V2 1.0x has 58 in stage 2: main branches of 4 units at 28 x 28; the other branch is of the stem's 24.
    assert work_of(PRESETS["v2-1.0x"], 16, 224, 1000)[kind] == pytest.approx(4 * 9 * 58 * 28**2 / 1e6)


def test_what_a_network_does_more_of_is_more_work() -> None:
    plain = work_of(PRESETS["v2-1.0x"], 16, 224, 1000)
    assert work_of(PRESETS["v2-se-1.0x"], 16, 224, 1000)["squeeze-and-excitations"] == 16
    slow = work_of(replace(PRESETS["v2-1.0x"], activation="hardswish"), 16, 224, 1000)
    assert slow["hardswish, elements"] > 0
    assert {kind: slow[kind] for kind in plain} == plain


def test_a_device_that_works_as_the_model_thinks_is_found_exactly() -> None:
    measured = [made_up_ms(network) for network in NETWORKS]
    model = fit(NETWORKS, measured, 224, 1000)
    assert (model.block, model.measurements) == (16, 60)
    assert model.errors.within_5_percent == 1.0
    assert model.errors.tau > 0.98
    unseen = SPACE.suggest(RandomChooser(1000))
    assert model.predict_ms(unseen) == pytest.approx(made_up_ms(unseen), rel=0.03)
    assert sum(model.ms_by_kind(unseen).values()) == model.predict_ms(unseen)
    assert min(model.ms_by_work.values()) >= 0


def test_flops_alone_do_worse_on_it() -> None:
    measured = np.array([made_up_ms(network) for network in NETWORKS])
    _, work = matrix_of(NETWORKS, FLOPS_ALONE, 224, 1000)
    assert errors_of(leave_one_out(work, measured), measured).within_5_percent < 0.9
    assert work[0, 0] == pytest.approx(cost_of(NETWORKS[0]).macs / 1e6)


def test_errors_are_those_of_the_predictions() -> None:
    errors = errors_of(np.array([1.04, 2.16, 3.0, 6.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert (errors.median, errors.worst) == pytest.approx((0.06, 0.5))
    assert (errors.within_5_percent, errors.within_10_percent, errors.tau) == (0.5, 0.75, 1.0)


def test_errors_on_unseen_networks_fall_with_what_was_seen() -> None:
    random = np.random.default_rng(0)
    measured = np.array([made_up_ms(network) for network in NETWORKS]) * random.normal(1, 0.03, 60)
    works = {block: matrix_of(NETWORKS, block, 224, 1000)[1] for block in (8, 16)}
    few, many = (unseen_errors(works, measured, count, draws=10, seed=0) for count in (12, 45))
    assert many.median < few.median
    assert unseen_errors(works, measured, 45, draws=10, seed=0) == many


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="12 networks or more, got 3"):
        fit(NETWORKS[:3], [1.0, 2.0, 3.0], 224, 1000)


def test_stems_count_where_they_differ_and_a_network_of_fewer_pixels_does_less_in_each_layer() -> None:
    smaller = [replace(each, resolution=128) for each in NETWORKS[:12]]
    whole, at_128 = (work_of(each, 4, 256, 1000) for each in (NETWORKS[0], smaller[0]))
    assert whole["stem, elements"] == 24 * 128**2 / 1e6
    for kind in ("stem, elements", "1x1, multiply-adds in whole blocks"):
        assert at_128[kind] == pytest.approx(whole[kind] / 4)
    assert at_128["1x1, weights"] == whole["1x1, weights"]
    assert "stem, elements" not in matrix_of(NETWORKS, 4, 256, 1000)[0]
    kinds, matrix = matrix_of([*NETWORKS[:12], *smaller], 4, 256, 1000)
    stems = matrix[:, kinds.index("stem, elements")]
    assert stems[0] == pytest.approx(4 * stems[12])
