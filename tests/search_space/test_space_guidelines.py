"""Ma 2018's guidelines read off a plan: against the paper's formulas, by hand on small networks."""

import math
from dataclasses import replace
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


def element_wise_elements() -> int:
    """What EVEN reads and writes outside 1x1 convolutions, by hand: the weights of a depthwise one are 9 a channel."""

    def depthwise(channels: int, size: int) -> int:
        return channels * (size**2 + (size // 2) ** 2 + 9)

    stem_pool, last_pool = 24 * (112**2 + 56**2), 48 * (7**2 + 1)
    # The branches' depthwise convolutions; then all 48 channels are read and written by concatenation and shuffle.
    stages = [(24, 56), (48, 28), (48, 14)]
    return (
        stem_pool
        + last_pool
        + sum(depthwise(c_in, size) + depthwise(24, size) + 4 * 48 * (size // 2) ** 2 for c_in, size in stages)
    )


def test_element_wise_share_is_that_of_the_bytes_outside_1x1_convolutions() -> None:
    assert guidelines_of(EVEN).element_wise_share == pytest.approx(
        4 * element_wise_elements() / cost_of(EVEN).memory_access_bytes
    )


def test_squeeze_and_excitation_counts_as_element_wise_work() -> None:
    """It reads 24 channels for their means, reads them again and writes them scaled; 24 x 8 weights twice."""
    squeezed = replace(EVEN, stages=tuple(replace(stage, se=True) for stage in EVEN.stages))
    added = sum(3 * 24 * size**2 + 2 * 24 * 8 for size in (28, 14, 7))
    plain = cost_of(EVEN).memory_access_bytes
    assert cost_of(squeezed).memory_access_bytes == plain + 4 * added
    expected = 4 * (element_wise_elements() + added) / (plain + 4 * added)
    assert guidelines_of(squeezed).element_wise_share == pytest.approx(expected)


@pytest.mark.parametrize("resolution", [32, 96, 224])
@pytest.mark.parametrize("name", ["v2-0.5x", "v2-1.0x", "v2-2.0x", "v1-1.0x-g3"])
def test_squeeze_and_excitation_makes_no_network_look_faster(name: str, resolution: int) -> None:
    plain = PRESETS[name]
    squeezed = replace(plain, stages=tuple(replace(stage, se=True) for stage in plain.stages))
    without, with_it = (guidelines_of(each, resolution) for each in (plain, squeezed))
    assert with_it.element_wise_share > without.element_wise_share
    assert with_it.kernels > without.kernels
