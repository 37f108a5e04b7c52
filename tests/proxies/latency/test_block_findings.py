"""Channels that do not fill blocks, by hand for V2 1.0x (58, 116 and 232 channels) in blocks of 16 and of 8."""

import pytest

from proxies.latency.profile.blocks import Blocks
from proxies.latency.profile.findings import Unfilled, unfilled
from proxies.latency.profile.graph import RunNode
from proxies.latency.profile.parts import planned_parts
from proxies.latency.profile.take import NodeTime, Profile
from search_space import PRESETS
from search_space.plan import plan_of

V2 = PRESETS["v2-1.0x"]
PARTS = planned_parts(V2, 224, 1000, dict(plan_of(V2).layers()))


def node(layer: str, ms: float, filter_: tuple[int, ...] = (), blocked: bool = True) -> NodeTime:
    return NodeTime(RunNode(layer, "Conv", (layer,), "", False, blocked, filter_), ms, ms)


def found(blocks: Blocks, *nodes: NodeTime) -> list[Unfilled]:
    ms = sum(each.ms for each in nodes)
    return unfilled(Profile(nodes, 0.0, ms, ms, 1, 1, blocks), PARTS)


def test_116_channels_are_computed_as_128_in_blocks_of_16() -> None:
    (one,) = found(Blocks(16, 4), node("stage3.1.branches.1.0", 0.6, (128, 128, 1, 1)))
    assert (one.units, one.kind, one.channels, one.filled) == (("stage3.1",), "1x1", (116,), (128,))
    assert one.more == pytest.approx(128**2 / 116**2 - 1)  # 22 %
    assert one.lost_ms == pytest.approx(0.6 * (1 - 116**2 / 128**2))


def test_116_channels_are_computed_as_120_in_blocks_of_8_and_232_fill_them() -> None:
    blocks = Blocks(8, 4)
    narrow, wide = node("stage3.1.branches.1.3", 1.0, (120, 1, 3, 3)), node("stage4.1.branches.1.0", 1.0, (232,) * 2)
    (one,) = found(blocks, narrow, wide)
    assert (one.kind, one.channels, one.filled) == ("depthwise 3x3", (116,), (120,))
    assert one.more == pytest.approx(120 / 116 - 1)


def test_232_channels_are_computed_as_240_in_blocks_of_16() -> None:
    (one,) = found(Blocks(16, 4), node("stage4.1.branches.1.5", 1.0, (240, 240, 1, 1)))
    assert (one.filled, one.more) == ((240,), pytest.approx(240**2 / 232**2 - 1))


def test_58_channels_are_no_multiple_of_4_and_run_without_blocks() -> None:
    # 0.3 ms for 58 x 9 x 28^2 multiply-adds beside 0.05 ms for 116 x 9 x 14^2: three times as long each.
    outside = [node(f"stage2.{unit}.branches.1.3", 0.3, (58, 1, 3, 3), blocked=False) for unit in (1, 2)]
    one, other = found(Blocks(16, 4), *outside, node("stage3.1.branches.1.3", 0.05, (128, 1, 3, 3)))
    assert (one.units, one.layers, one.why) == (("stage2.1", "stage2.2"), 2, "58 channels are no multiple of 4")
    assert (one.ms, one.times) == (pytest.approx(0.6), pytest.approx(0.3 / (58 * 28**2) / (0.05 / (116 * 14**2))))
    assert one.times == pytest.approx(3.0)
    assert one.lost_ms == pytest.approx(0.4)
    assert other.filled == (128,)


def test_an_input_that_is_read_as_it_is_is_not_filled_up() -> None:
    (one,) = found(Blocks(16, 4), node("stem.branches.0.0", 0.3, (32, 3, 3, 3)))
    assert (one.channels, one.filled, one.more) == ((24,), (32,), pytest.approx(1 / 3))


def test_both_ends_of_a_convolution_are_filled_up() -> None:
    (one,) = found(Blocks(16, 4), node("stage2.0.branches.1.0", 0.1, (64, 32, 1, 1)))
    assert (one.channels, one.filled) == ((24, 58), (32, 64))
    assert one.more == pytest.approx(64 * 32 / (58 * 24) - 1)


def test_a_pool_fills_whole_blocks_or_runs_without_them() -> None:
    (one,) = found(Blocks(16, 4), node("stem.branches.0.3", 0.1, blocked=False))
    assert (one.kind, one.why, one.times) == ("maxpool", "24 channels are no multiple of 16", None)
    assert (one.lost_ms, one.most_ms) == (0.0, 0.1)


def test_nothing_is_found_where_there_are_no_blocks() -> None:
    assert found(Blocks(1, 1), node("stage2.1.branches.1.3", 0.3, (58, 1, 3, 3), blocked=False)) == []


def test_nothing_is_found_of_convolutions_in_8_bits() -> None:
    one = NodeTime(RunNode("a", "QLinearConv", ("stage2.1.branches.1.3",), "", False, False, ()), 1.0, 1.0)
    assert found(Blocks(16, 4), one) == []


def test_what_costs_most_comes_first() -> None:
    nodes = [node("stage4.1.branches.1.5", 1.0, (240, 240, 1, 1)), node("stage3.1.branches.1.0", 1.0, (128, 128, 1, 1))]
    assert [one.channels for one in found(Blocks(16, 4), *nodes)] == [(116,), (232,)]
