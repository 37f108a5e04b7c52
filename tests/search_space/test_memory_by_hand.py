"""Memory that is read, written and live, layer by layer: by hand, and as the guidelines state it."""

from fractions import Fraction
from typing import Any

import pytest
from builders.places import FACTS, needs_facts, read_json

from search_space import PRESETS, Architecture, Cost, InputError, LayerCost, Stage, cost_of
from search_space.plan import NO_CLASSIFIER

HALF = Fraction(1, 2)


def layer_of(cost: Cost, name: str) -> LayerCost:
    (layer,) = [layer for layer in cost.layers if layer.name == name]
    return layer


@needs_facts
def test_memory_access_of_a_1x1_convolution_is_that_of_g1() -> None:
    # The main branch of a stride-2 unit begins with a 1x1 convolution from the stem's c1 to c2 channels; at 112 px a
    # stem of stride 2 leaves 56 x 56.
    rows = read_json(FACTS / "reference_units.json")["g1_memory_access"]
    assert len(rows) == 8
    for row in rows:
        stage = Stage(1, 2 * row["c2"], split=HALF)
        cost = cost_of(Architecture("v2", row["c1"], 0, (stage,) * 3), 112, stem_stride=2)
        layer = layer_of(cost, "stage2.0.branches.1.0")
        assert (layer.memory_access_bytes, layer.macs) == (4 * row["mac"], row["flops"])


@needs_facts
def test_memory_access_of_a_grouped_convolution_is_that_of_g2() -> None:
    rows = read_json(FACTS / "reference_units.json")["g2_memory_access"]
    assert [row["legal_grouped_conv"] for row in rows].count(True) == 7
    for row in rows:
        stage = Stage(1, 2 * row["c"], row["g"], HALF)
        if not row["legal_grouped_conv"]:
            with pytest.raises(InputError, match=f"{row['g']}.*{row['c']}"):
                Architecture("v2", row["c"], 0, (stage,) * 3)
            continue
        cost = cost_of(Architecture("v2", row["c"], 0, (stage,) * 3), 112, stem_stride=2)
        layer = layer_of(cost, "stage2.0.branches.1.0")
        assert (layer.memory_access_bytes, layer.macs) == (4 * row["mac"], row["flops"])


def test_v2_1x_peaks_at_its_stem() -> None:
    # The image and the stem's output: 4 x (3 x 224^2 + 24 x 112^2).
    cost = cost_of(PRESETS["v2-1.0x"])
    assert cost.peak_bytes == 1_806_336 == 4 * (3 * 224**2 + 24 * 112**2)
    assert layer_of(cost, "stem.branches.0.0").live_bytes == 1_806_336


def test_v1_1x_g8_peaks_in_stage_2_before_it_adds() -> None:
    # At the branch's last 1x1 the shortcut and what is to be added to it, each 384 x 28^2, and the bottleneck of 96 are
    # alive at once; the addition then writes over one of its operands.
    cost = cost_of(PRESETS["v1-1.0x-g8"])
    assert cost.peak_bytes == 2_709_504 == 4 * (2 * 384 + 96) * 28**2
    assert layer_of(cost, "stage2.1.branches.0.6").live_bytes == 2_709_504
    assert layer_of(cost, "stage2.1.join.0").live_bytes == 4 * 2 * 384 * 28**2


def rows_of(cost: Cost, unit: str) -> dict[str, tuple[str, int, int]]:
    layers = [layer for layer in cost.layers if layer.name.startswith(f"{unit}.")]
    return {
        layer.name.removeprefix(f"{unit}."): (layer.kind, layer.live_bytes // 4, layer.memory_access_bytes // 4)
        for layer in layers
    }


def test_a_stride_1_unit_of_v1_by_hand() -> None:
    # 16 px, stem of stride 1: stage 2 puts out 8 x 8 = 64 pixels. Width 32: 2,048 elements; bottleneck 8: 512.
    stages = (Stage(2, 32, groups=2), Stage(1, 64), Stage(1, 128))
    cost = cost_of(Architecture("v1", 16, 0, stages), 16, stem_stride=1)
    assert rows_of(cost, "stage2.1") == {
        "branches.0.0": ("conv", 2048 + 512, 2048 + 512 + 16 * 8),  # grouped: 32/2 x 8 weights
        "branches.0.1": ("batchnorm", 512 + 2048, 0),  # the shortcut, 2,048, lives on
        "branches.0.2": ("relu", 512 + 2048, 0),
        "branches.0.3": ("shuffle", 512 + 512 + 2048, 512 + 512),
        "branches.0.4": ("conv", 512 + 512 + 2048, 512 + 512 + 9 * 8),
        "branches.0.5": ("batchnorm", 512 + 2048, 0),
        "branches.0.6": ("conv", 512 + 2048 + 2048, 512 + 2048 + 4 * 32),
        "branches.0.7": ("batchnorm", 2048 + 2048, 0),
        "join.0": ("add", 2 * 2048, 3 * 2048),  # over one of its operands
        "tail.0": ("relu", 2048, 0),
    }


def test_a_stride_2_unit_of_v1_by_hand() -> None:
    # In: 16 x 16^2 = 4,096 elements; bottleneck 8; 16 of 32 channels from the branch, 16 from the pool: 1,024 each.
    stages = (Stage(1, 32), Stage(1, 64), Stage(1, 128))
    cost = cost_of(Architecture("v1", 16, 0, stages), 16, stem_stride=1)
    assert rows_of(cost, "stage2.0") == {
        "branches.0.0": ("conv", 4096 + 2048, 4096 + 2048 + 16 * 8),
        "branches.0.1": ("batchnorm", 2048 + 4096, 0),
        "branches.0.2": ("relu", 2048 + 4096, 0),
        "branches.0.3": ("conv", 2048 + 512 + 4096, 2048 + 512 + 9 * 8),
        "branches.0.4": ("batchnorm", 512 + 4096, 0),
        "branches.0.5": ("conv", 512 + 1024 + 4096, 512 + 1024 + 8 * 16),
        "branches.0.6": ("batchnorm", 1024 + 4096, 0),
        "branches.1.0": ("avgpool", 4096 + 1024 + 1024, 4096 + 1024),  # the branch's output waits
        "join.0": ("concat", 1024 + 1024 + 2048, 2048 + 2048),
        "tail.0": ("relu", 2048, 0),
    }


def v2_unit(**options: Any) -> dict[str, tuple[str, int, int]]:
    # 16 px, stem of stride 1: stage 2 at 8 x 8. Width 16: 1,024 elements; 1/4 of them, 256, go through the branch.
    stage = Stage(2, 16, split=Fraction(1, 4), se=options.pop("se", False))
    return rows_of(cost_of(Architecture("v2", 8, 0, (stage,) * 3, **options), 16, stem_stride=1), "stage2.1")


PASSED = 768
"""Both the passed channels and the branch's are copies of the unit's input, which is done with once they are made."""

V2_UNIT = {
    "branches.1.0": ("conv", 512 + PASSED, 256 + 256 + 16),
    "branches.1.1": ("batchnorm", 256 + PASSED, 0),
    "branches.1.2": ("relu", 256 + PASSED, 0),
    "branches.1.3": ("conv", 512 + PASSED, 256 + 256 + 36),
    "branches.1.4": ("batchnorm", 256 + PASSED, 0),
    "branches.1.5": ("conv", 512 + PASSED, 256 + 256 + 16),
    "branches.1.6": ("batchnorm", 256 + PASSED, 0),
    "branches.1.7": ("relu", 256 + PASSED, 0),
    "join.0": ("concat", 256 + PASSED + 1024, 1024 + 1024),
    "tail.0": ("shuffle", 1024 + 1024, 1024 + 1024),
}


def test_a_stride_1_unit_of_v2_by_hand() -> None:
    assert v2_unit() == V2_UNIT


def test_a_residual_reads_the_branchs_input_again() -> None:
    # So its input, 256, lives on after the first layer, until the addition has written over the branch's output.
    plain = {f"branches.1.{number}": V2_UNIT[f"branches.1.{number}"] for number in range(1, 8)}
    longer = {name: (kind, live + 256, access) for name, (kind, live, access) in plain.items()}
    residual = {"branches.1.8": ("add", 256 + 256 + PASSED, 3 * 256)}
    assert v2_unit(residual=True) == V2_UNIT | longer | residual


def test_squeeze_and_excitation_reads_its_input_twice() -> None:
    # 4 channels, squeezed to 8 (never fewer): weights 4 x 8 + 8 x 4 = 64. Once read to pool, once to scale in place,
    # and never more beside it than the means of 4 channels and the 8 values.
    se = {"branches.1.8": ("se", 256 + 4 + 8 + PASSED, 2 * 256 + 256 + 64)}
    assert v2_unit(se=True) == V2_UNIT | se


def test_head_and_classifier_by_hand() -> None:
    # 16 px, stem of stride 1: stage 4 is 2 x 2 pixels, 64 x 4 = 256 elements; head 10.
    stages = (Stage(1, 16, split=HALF), Stage(1, 32, split=HALF), Stage(1, 64, split=HALF))
    cost = cost_of(Architecture("v2", 8, 10, stages), 16, num_classes=5, stem_stride=1)
    assert rows_of(cost, "head")["branches.0.0"] == ("conv", 256 + 40, 256 + 40 + 640)
    assert rows_of(cost, "classifier") == {
        "branches.0.0": ("globalpool", 40 + 10, 40 + 10),
        "branches.0.1": ("linear", 10 + 5, 10 + 5 + 50),  # the bias is part of the accumulator, as a folded batch norm
    }
    assert layer_of(cost, "head.branches.0.0").macs == 64 * 10 * 4
    assert (layer_of(cost, "classifier.branches.0.1").macs, layer_of(cost, "classifier.branches.0.1").params) == (
        50,
        55,
    )


def test_squeeze_and_excitation_by_hand() -> None:
    # v2-se-1.0x over v2-1.0x: 58, 116 and 232 channels squeezed to 14, 29 and 58; in 4, 8 and 4 units.
    counts = ((4, 58, 14), (8, 116, 29), (4, 232, 58))
    plain, se = cost_of(PRESETS["v2-1.0x"]), cost_of(PRESETS["v2-se-1.0x"])
    assert se.macs - plain.macs == sum(n * 2 * c * squeeze for n, c, squeeze in counts)
    assert se.params - plain.params == sum(n * (2 * c * squeeze + c + squeeze) for n, c, squeeze in counts)


def test_a_backbones_maps_are_live_until_the_end() -> None:
    # V1 1.0x g8 at 320 px gives out 384 x 40^2, 768 x 20^2 and 1536 x 10^2.
    cost = cost_of(PRESETS["v1-1.0x-g8"], 320, NO_CLASSIFIER)
    stage2, stage3, stage4 = 384 * 40**2, 768 * 20**2, 1536 * 10**2
    live = {
        "stage2.1.join.0": 2 * stage2,
        "stage3.0.tail.0": stage2 + stage3,
        "stage3.1.join.0": stage2 + 2 * stage3,
        "stage4.0.join.0": stage2 + stage3 + 2 * stage4,
        "stage4.1.join.0": stage2 + stage3 + 2 * stage4,
    }
    assert {name: layer_of(cost, name).live_bytes for name in live} == {name: 4 * n for name, n in live.items()}


def test_ram_at_int8_is_a_quarter_of_that_at_fp32() -> None:
    # V2 1.0x at its stem: a byte each for the image and what the stem makes of it.
    cost = cost_of(PRESETS["v2-1.0x"])
    assert cost.ram_bytes("fp32") == cost.peak_bytes
    assert cost.ram_bytes("int8") == 3 * 224**2 + 24 * 112**2 == 451_584


def test_flash_of_v2_1x_by_hand() -> None:
    # Output channels: stem; stages 2 to 4, 58, 116 and 232 a branch, 5 convolutions in their first unit (of which the
    # other branch's depthwise has the channels that come in) and 3 in each other; head; classes.
    channels = 24 + 1024 + 1000
    for c_in, half, depth in ((24, 58, 4), (116, 116, 8), (232, 232, 4)):
        channels += c_in + 4 * half + (depth - 1) * 3 * half
    # Of 2,278,604 parameters a batch norm has 2 a channel, of which 1 is left; the linear layer's 1000 biases stay.
    cost = cost_of(PRESETS["v2-1.0x"])
    assert cost.biases == channels
    assert cost.weights == 2_278_604 - 2 * (channels - 1000) - 1000
    assert cost.flash_bytes("fp32") == 4 * (cost.weights + channels)
    assert cost.flash_bytes("int8") == cost.weights + 8 * channels
