"""Ma 2018's guidelines read off a plan: against the paper's formulas, by hand on small networks."""

import math
from fractions import Fraction

import pytest

from search_space import PRESETS, Architecture, Stage, cost_of
from search_space.guidelines import guidelines_of
from search_space.plan import plan_of

HALF = Fraction(1, 2)
EVEN = Architecture("v2", 24, 0, (Stage(1, 48, 1, HALF), Stage(1, 48, 1, HALF), Stage(1, 48, 1, HALF)))


def test_a_network_of_even_1x1_convolutions_has_no_imbalance() -> None:
    """Stage 2 maps 24 to 24 channels everywhere; stages 3 and 4 map 48 to 24 once in each branch, 24 to 24 else."""
    pixels = {3: 28 * 28, 4: 14 * 14}  # the main branch's first 1x1 of a stride-2 unit runs before its stride
    uneven = sum((n * (48 + 24) + 48 * 24) for n in pixels.values()) + sum(
        (n // 4) * 72 + 1152 for n in pixels.values()
    )
    bound = sum(2 * n * math.sqrt(48 * 24) + 48 * 24 for n in pixels.values())
    bound += sum(2 * (n // 4) * math.sqrt(48 * 24) + 1152 for n in pixels.values())
    even = [(56 * 56, 1), (28 * 28, 2), (14 * 14, 1), (7 * 7, 1)]
    same = sum(times * (n * 48 + 576) for n, times in even)
    assert guidelines_of(EVEN).channel_imbalance == pytest.approx((uneven + same) / (bound + same))


def test_grouped_share_is_that_of_the_multiply_adds_of_grouped_1x1s() -> None:
    for name, preset in PRESETS.items():
        layers, grouped = dict(plan_of(preset).layers()), 0
        for row in cost_of(preset).layers:
            layer = layers.get(row.name)
            if layer and layer.kind == "conv" and layer.kernel == 1 and layer.groups > 1:
                grouped += row.size**2 * layer.c_in * layer.c_out // layer.groups
        assert guidelines_of(preset).grouped_share == pytest.approx(grouped / cost_of(preset).macs), name
    assert guidelines_of(PRESETS["v2-1.0x"]).grouped_share == 0
    assert guidelines_of(PRESETS["v1-1.0x-g8"]).grouped_share > 0.8


def test_kernels_are_what_is_left_when_norms_and_activations_are_folded() -> None:
    """Stem: convolution, pool; stride-2 units: five convolutions, concatenation, shuffle; pool, linear at the end."""
    assert guidelines_of(EVEN).kernels == 2 + 3 * 7 + 2


def test_v2_obeys_its_own_guidelines_better_than_v1() -> None:
    ours, theirs = guidelines_of(PRESETS["v2-1.0x"]), guidelines_of(PRESETS["v1-1.0x-g3"])
    assert ours.channel_imbalance < theirs.channel_imbalance
    assert ours.grouped_share < theirs.grouped_share
    assert 0 < ours.element_wise_share < theirs.element_wise_share < 1
