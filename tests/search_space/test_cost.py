"""1 FLOP = 1 multiply-add of convolutions and linear layers. Independent counts: published tables, fvcore, hooks."""

import json
import random
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
import torch
from builders.layer_counts import fvcore_macs, hooked_layers
from builders.places import FACTS, needs_facts
from torch import nn

from proxies.backbone import Backbone, FeatureMaps, deployed
from proxies.network import build
from search_space import PRESETS, Architecture, Budget, Cost, InputError, LayerCost, SearchSpace, Stage, cost_of
from search_space.choosers import RandomChooser
from search_space.cost import counts_of
from search_space.plan import NO_CLASSIFIER

HALF = Fraction(1, 2)


def facts(name: str) -> Any:
    file = FACTS / name
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def check_against_the_network(architecture: Architecture, resolution: int, **task: int) -> None:
    """cost == fvcore == hooks, in sum and by layer, and the module's own parameters."""
    check_against(build(architecture, **task), architecture, resolution, **task)


def check_against(network: nn.Module, architecture: Architecture, resolution: int, **task: int) -> None:
    cost = cost_of(architecture, resolution, **task)
    image = torch.zeros(1, task.get("in_channels", 3), resolution, resolution)
    hooked = hooked_layers(network, image)
    assert cost.macs == sum(macs for macs, _ in hooked.values())
    assert cost.macs == fvcore_macs(FeatureMaps(network) if isinstance(network, Backbone) else network, image)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    for layer in cost.layers:
        if layer.kind in ("conv", "linear"):
            assert (layer.macs, layer.memory_access_bytes) == (hooked[layer.name][0], 4 * hooked[layer.name][1])
        elif layer.kind == "se":
            assert layer.macs == hooked[f"{layer.name}.fc1"][0] + hooked[f"{layer.name}.fc2"][0]
        if layer.kind not in ("concat", "add"):
            module = network.get_submodule(layer.name)
            assert layer.params == sum(parameter.numel() for parameter in module.parameters())


def layer_of(cost: Cost, name: str) -> LayerCost:
    (layer,) = [layer for layer in cost.layers if layer.name == name]
    return layer


# published and computed counts of other people's networks

OFFICIAL = "the authors' stage2.0: the shortcut branch keeps its c_in channels, ours makes half of the output"
NOT_DIVISIBLE = "a quarter of the width does not divide into the groups; the paper gives no counts"
NOT_EXPRESSED = {
    "pytorchcv/shufflenetv2b_w1": OFFICIAL,
    "megvii/shufflenet_v2_1.0x": OFFICIAL,
    "megvii/shufflenet_v2_1.5x": OFFICIAL,
    "megvii/shufflenet_v2_2.0x": OFFICIAL,
    "paper/shufflenet_v2_1x@v2table8": OFFICIAL,
    "paper/shufflenet_v2_1.5x@v2table8": OFFICIAL,
    "paper/shufflenet_v2_2x@v2table8": OFFICIAL,
    "paper/shufflenet_v2_2x_SE@v2table8": "no counts and no widths are given",
    "paper/shufflenet_v1_g2_0.5x": NOT_DIVISIBLE,
    "paper/shufflenet_v1_g2_0.25x": NOT_DIVISIBLE,
    "paper/shufflenet_v1_g4_0.5x": NOT_DIVISIBLE,
    "paper/shufflenet_v1_g4_0.25x": NOT_DIVISIBLE,
    "paper/shufflenet_v1_g3_2x_SE": "where SE stands and how wide it is is not stated; no exact counts",
    "paper/shufflenet_v1_g3_0.5x_shallow": "its widths are not given",
    "paper/shufflenet_v1_50_g3": "four stages",
}
# At 0.5x stage 2 has 48 outputs from 24 inputs: the authors' stage2.0 is torchvision's.
WITHOUT_FC_BIAS = ("megvii/", "paper/")

ROWS = {
    row["name"]: row for row in facts("reference_models.json") if row["family"] in ("shufflenet_v1", "shufflenet_v2")
}


def of_row(row: dict[str, Any]) -> Architecture:
    unit = row["family"].removeprefix("shufflenet_")
    split = HALF if unit == "v2" else None
    shapes = zip(row["repeats"], row["channels"], strict=True)
    stages = tuple(Stage(depth, width, row["groups"], split) for depth, width in shapes)
    return Architecture(unit, row["stem_channels"], row["last_channels"] or 0, stages)


@needs_facts
def test_every_reference_row_is_either_checked_or_named_with_a_reason() -> None:
    assert len(ROWS) == 68
    assert set(NOT_EXPRESSED) <= set(ROWS)
    assert len(ROWS) - len(NOT_EXPRESSED) == 53
    for name in set(ROWS) - set(NOT_EXPRESSED):
        assert ROWS[name]["macs"]
        assert ROWS[name]["params"]


@needs_facts
@pytest.mark.parametrize("name", [name for name in ROWS if name not in NOT_EXPRESSED])
def test_counts_equal_the_reference_to_the_unit(name: str) -> None:
    row = ROWS[name]
    cost = cost_of(of_row(row), row["resolution"], row["num_classes"])
    # Our classifier always has a bias.
    fc_bias = row["num_classes"] if name.startswith(WITHOUT_FC_BIAS) else 0
    assert cost.macs == row["macs"]
    assert cost.params == row["params"] + fc_bias
    if "conv_macs" in row:
        assert sum(layer.macs for layer in cost.layers if layer.kind == "conv") == row["conv_macs"]


@needs_facts
@pytest.mark.parametrize("name", [name for name, reason in NOT_EXPRESSED.items() if reason == OFFICIAL])
def test_the_authors_v2_differs_by_its_first_unit_alone(name: str) -> None:
    # The authors' stage2.0 from 24 channels at 56 x 56 to c at 28 x 28: left depthwise 24, 1x1 24 -> 24; right
    # 1x1 24 -> c/2, depthwise c/2, 1x1 c/2 -> c - 24. Ours: c/2 where they have 24 or c - 24 outputs.
    row = ROWS[name]
    half = row["channels"][0] // 2
    outputs = 24 * (24 - half) + half * (row["channels"][0] - 24 - half)
    cost = cost_of(of_row(row))
    assert row["macs"] - cost.macs == 28 * 28 * outputs
    fc_bias = 1000 if name.startswith(WITHOUT_FC_BIAS) else 0
    assert row["params"] + fc_bias - cost.params == outputs


@needs_facts
@pytest.mark.parametrize("name", [name for name, reason in NOT_EXPRESSED.items() if reason == NOT_DIVISIBLE])
def test_the_rows_without_counts_cannot_be_built(name: str) -> None:
    with pytest.raises(InputError, match="bottleneck"):
        of_row(ROWS[name])


UNITS = {
    f"{family} {name}": row
    for family in ("shufflenet_v1", "shufflenet_v2")
    for name, row in (facts("reference_units.json") or {}).get(family, {}).items()
}
OUR_NAMES = {"conv5": "head", "fc": "classifier"}


def sums_by_unit(cost: Cost) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for layer in cost.layers:
        first, second, *_ = layer.name.split(".")
        unit = f"{first}.{second}" if first.startswith("stage") else first
        macs, params = sums.get(unit, (0, 0))
        sums[unit] = macs + layer.macs, params + layer.params
    return sums


@needs_facts
@pytest.mark.parametrize("name", UNITS)
def test_every_unit_equals_the_reference(name: str) -> None:
    row = UNITS[name]
    unit = name[len("shufflenet_") :][:2]
    shapes = zip((4, 8, 4), row["channels"], strict=True)
    stages = tuple(Stage(d, width, row.get("groups", 1), HALF if unit == "v2" else None) for d, width in shapes)
    ours = sums_by_unit(cost_of(Architecture(unit, row["stem"], row.get("last", 0), stages)))
    theirs = {OUR_NAMES.get(r["unit"], r["unit"]): (r["macs"], r["params"]) for r in row["units"]}
    if not row.get("fc_bias", True):
        theirs["classifier"] = (theirs["classifier"][0], theirs["classifier"][1] + 1000)
    differ = {unit for unit in ours.keys() | theirs.keys() if ours.get(unit) != theirs.get(unit)}
    official = name.endswith("official") and not name.endswith("0.5x_official")
    assert differ == ({"stage2.0"} if official else set())


# every architecture: the network itself, counted by fvcore and by hooks


@pytest.mark.parametrize("budget", ["20mflops", "140mflops", "300mflops,3mparams"])
@pytest.mark.parametrize("part", range(4))
def test_cost_equals_fvcore_and_the_module_over_the_space(budget: str, part: int) -> None:
    space = SearchSpace.default(Budget.parse(budget))
    for seed in range(5 * part, 5 * part + 5):
        check_against_the_network(space.suggest(RandomChooser(seed)), 32, num_classes=10)


CORNERS = list(product(("v1", "v2"), (1, 2, 3, 4, 8), (3, 5, 7), (False, True)))
OTHERS = {
    "activation": ("relu", "hardswish"),
    "residual": (False, True),
    "pre_depthwise": (False, True),
    "shuffle": (False, True),
    "head": (0, 40),
    "split": (Fraction(1, 4), Fraction(1, 3), HALF, Fraction(2, 3), Fraction(3, 4), Fraction(3, 8)),
    "stem_stride": (1, 2, 4),
    "in_channels": (1, 3),
    "resolution": (32, 33, 47),
}


def corner(unit: str, groups: int, kernel: int, se: bool) -> tuple[Architecture, dict[str, int]]:
    """A small network of these; what is left is drawn, the same at every run."""
    draw = random.Random(f"{unit} {groups} {kernel} {se}")
    other: dict[str, Any] = {name: draw.choice(values) for name, values in OTHERS.items()}
    depths = [draw.choice((1, 2)) for _ in range(3)]
    if unit == "v1":
        other |= {"residual": False, "pre_depthwise": False, "split": None}
        widths = [32 * groups, 36 * groups, 40 * groups]
    else:
        # groups x denominator divides every width, so both branches divide by groups.
        widths = [factor * groups * other["split"].denominator for factor in (2, 3, 1)]
    stages = tuple(Stage(d, w, groups, other["split"], kernel, se) for d, w in zip(depths, widths, strict=True))
    options = {name: other[name] for name in ("activation", "residual", "pre_depthwise", "shuffle")}
    task = {name: other[name] for name in ("resolution", "in_channels", "stem_stride")}
    return Architecture(unit, 24, other["head"], stages, **options), task


def test_the_corner_cases_hold_every_value_of_every_option() -> None:
    seen: dict[str, set[Any]] = {}
    for case in CORNERS:
        architecture, task = corner(*case)
        values = {**task, **{name: getattr(architecture, name) for name in list(OTHERS)[:5]}}
        values["split"] = architecture.stages[0].split
        for name, value in values.items():
            seen.setdefault(f"{architecture.unit} {name}", set()).add(value)
    for name, values in OTHERS.items():
        assert seen[f"v2 {name}"] == set(values)
        if name not in ("residual", "pre_depthwise", "split"):
            assert seen[f"v1 {name}"] == set(values)


@pytest.mark.parametrize(("unit", "groups", "kernel", "se"), CORNERS)
def test_cost_equals_fvcore_and_the_module_at_every_corner(unit: str, groups: int, kernel: int, se: bool) -> None:
    architecture, task = corner(unit, groups, kernel, se)
    check_against_the_network(architecture, num_classes=7, **task)


@pytest.mark.parametrize("name", ["v1-0.25x-g8", "v2-0.5x", "v2-se-0.5x", "v2-star-0.5x"])
def test_cost_equals_fvcore_and_the_module_at_an_odd_resolution(name: str) -> None:
    check_against_the_network(PRESETS[name], 225)


# backbones: the three maps, without head and classifier


@pytest.mark.parametrize("budget", ["20mflops", "140mflops"])
@pytest.mark.parametrize("part", range(2))
def test_a_backbones_cost_equals_fvcore_and_the_module_over_the_space(budget: str, part: int) -> None:
    space = SearchSpace.default(Budget.parse(budget), resolution=64, num_classes=NO_CLASSIFIER)
    for seed in range(5 * part, 5 * part + 5):
        architecture = space.suggest(RandomChooser(seed))
        check_against(Backbone(architecture), architecture, 64, num_classes=NO_CLASSIFIER)


@pytest.mark.parametrize(("unit", "groups", "kernel", "se"), CORNERS[::7])
def test_a_backbones_cost_equals_the_modules_at_corners(unit: str, groups: int, kernel: int, se: bool) -> None:
    architecture, _ = corner(unit, groups, kernel, se)
    check_against(Backbone(architecture, 1), architecture, 47, num_classes=NO_CLASSIFIER, in_channels=1)


@pytest.mark.parametrize("name", ["v1-1.0x-g3", "v2-1.0x", "v2-star-1.0x"])
def test_a_preset_as_a_backbone_costs_what_fvcore_counts_at_the_detection_resolution(name: str) -> None:
    image = torch.zeros(1, 3, 320, 320)
    network = deployed(PRESETS[name], NO_CLASSIFIER)
    cost = cost_of(PRESETS[name], 320, NO_CLASSIFIER)
    assert (cost.macs, cost.params) == (fvcore_macs(network, image), sum(p.numel() for p in network.parameters()))


def test_what_a_backbone_lacks_is_head_and_classifier() -> None:
    # V2 1.0x at 224 px: the head's 464 x 1024 weights and 2 x 1024 of its batch norm, 7 x 7 times; 1024 x 1000 + 1000.
    classifier, backbone = cost_of(PRESETS["v2-1.0x"]), cost_of(PRESETS["v2-1.0x"], num_classes=NO_CLASSIFIER)
    assert classifier.macs - backbone.macs == 464 * 1024 * 49 + 1024 * 1000
    assert classifier.params - backbone.params == 464 * 1024 + 2048 + 1024 * 1000 + 1000
    assert backbone.layers[-1].name.startswith("stage4.3.")


def test_a_backbones_maps_are_live_until_the_end() -> None:
    # V1 1.0x g8 at 320 px gives out 384 x 40^2, 768 x 20^2 and 1536 x 10^2.
    cost = cost_of(PRESETS["v1-1.0x-g8"], 320, NO_CLASSIFIER)
    stage2, stage3, stage4 = 384 * 40**2, 768 * 20**2, 1536 * 10**2
    live = {
        "stage2.1.join.0": 3 * stage2,
        "stage3.0.tail.0": stage2 + stage3,
        "stage3.1.join.0": stage2 + 3 * stage3,
        "stage4.0.join.0": stage2 + stage3 + 2 * stage4,
        "stage4.1.join.0": stage2 + stage3 + 3 * stage4,
    }
    assert {name: layer_of(cost, name).live_bytes for name in live} == {name: 4 * n for name, n in live.items()}


def test_a_backbones_sums_are_over_its_layers() -> None:
    space = SearchSpace.default(Budget.parse("140mflops"), resolution=320, num_classes=NO_CLASSIFIER)
    for seed in range(50):
        cost = cost_of(space.suggest(RandomChooser(seed)), 320, NO_CLASSIFIER)
        assert cost.macs == sum(layer.macs for layer in cost.layers)
        assert cost.peak_bytes == max(layer.live_bytes for layer in cost.layers)


# sums


def test_sums_are_over_the_layers() -> None:
    space = SearchSpace.default(Budget.parse("140mflops"))
    for seed in range(100):
        cost = cost_of(space.suggest(RandomChooser(seed)))
        layers = cost.layers
        assert cost.macs == sum(layer.macs for layer in layers)
        assert cost.params == sum(layer.params for layer in layers)
        assert cost.memory_access_bytes == sum(layer.memory_access_bytes for layer in layers)
        assert cost.peak_bytes == max(layer.live_bytes for layer in layers)
        assert len({layer.name for layer in layers}) == len(layers)


def test_macs_shrink_with_the_image_and_params_do_not() -> None:
    at_224, at_112 = cost_of(PRESETS["v2-1.0x"], 224), cost_of(PRESETS["v2-1.0x"], 112)
    fc = 1024 * 1000
    # Every size halves exactly (112 = 2^4 x 7, at 112 px stage 4 is 4 x 4, not 3.5), so a little over a quarter.
    assert at_112.params == at_224.params
    assert (at_224.macs - fc) / 4 < at_112.macs - fc < (at_224.macs - fc) / 3


def test_without_shuffle_nothing_is_saved_but_memory_access() -> None:
    with_shuffle, without = (cost_of(replace(PRESETS["v1-1.0x-g3"], shuffle=flag)) for flag in (True, False))
    assert (with_shuffle.macs, with_shuffle.params) == (without.macs, without.params)
    # A shuffle reads and writes each unit's bottleneck. Elements: stage 2's first at 56 x 56 before its stride.
    bottlenecks = 60 * (56**2 + 3 * 28**2) + 120 * (28**2 + 7 * 14**2) + 240 * (14**2 + 3 * 7**2)
    assert with_shuffle.memory_access_bytes - without.memory_access_bytes == 4 * 2 * bottlenecks


# memory, by hand


@needs_facts
def test_memory_access_of_a_1x1_convolution_is_that_of_g1() -> None:
    # The main branch of a stride-2 unit begins with a 1x1 convolution from the stem's c1 to c2 channels; at 112 px a
    # stem of stride 2 leaves 56 x 56.
    rows = facts("reference_units.json")["g1_memory_access"]
    assert len(rows) == 8
    for row in rows:
        stage = Stage(1, 2 * row["c2"], split=HALF)
        cost = cost_of(Architecture("v2", row["c1"], 0, (stage,) * 3), 112, stem_stride=2)
        layer = layer_of(cost, "stage2.0.branches.1.0")
        assert (layer.memory_access_bytes, layer.macs) == (4 * row["mac"], row["flops"])


@needs_facts
def test_memory_access_of_a_grouped_convolution_is_that_of_g2() -> None:
    rows = facts("reference_units.json")["g2_memory_access"]
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


def test_v1_1x_g8_peaks_where_stage_2_adds() -> None:
    # At stage 2's addition the branch's output, the shortcut and their sum, each 384 x 28^2, are alive at once.
    cost = cost_of(PRESETS["v1-1.0x-g8"])
    assert cost.peak_bytes == 3_612_672 == 4 * 3 * 384 * 28**2
    assert layer_of(cost, "stage2.1.join.0").live_bytes == 3_612_672


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
        "join.0": ("add", 3 * 2048, 3 * 2048),
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


PASSED = 1024
"""The passed channels are a slice of the unit's input, so all of that stays alive until they are joined."""

V2_UNIT = {
    "branches.1.0": ("conv", 1024 + 256, 256 + 256 + 16),
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
    # Its operands: the branch's output and a slice of the input, which is alive anyway; then the sum.
    residual = {"branches.1.8": ("add", 256 + PASSED + 256, 3 * 256)}
    assert v2_unit(residual=True) == V2_UNIT | residual


def test_squeeze_and_excitation_reads_its_input_twice() -> None:
    # 4 channels, squeezed to 8 (never fewer): weights 4 x 8 + 8 x 4 = 64. Once read to pool, once to scale.
    se = {"branches.1.8": ("se", 512 + PASSED, 2 * 256 + 256 + 64)}
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


# what is refused


@pytest.mark.parametrize("resolution", [0, -1, 224.0, "224", None])
def test_a_resolution_that_is_no_size_is_refused(resolution: Any) -> None:
    with pytest.raises(InputError, match="resolution"):
        cost_of(PRESETS["v2-0.5x"], resolution)


def test_one_pixel_is_enough() -> None:
    # Every size is then 1: as many multiply-adds as weights of convolutions and the classifier.
    architecture = PRESETS["v2-0.5x"]
    weights = sum(p.numel() for name, p in build(architecture).named_parameters() if p.dim() > 1)
    assert cost_of(architecture, 1).macs == weights


@pytest.mark.parametrize(("resolution", "classes"), [(224, 1000), (32, 10), (320, NO_CLASSIFIER)])
def test_counting_alone_counts_what_costing_does(resolution: int, classes: int) -> None:
    space = SearchSpace.default(Budget.parse("140mflops"))
    for architecture in [*PRESETS.values(), *(space.suggest(RandomChooser(seed)) for seed in range(20))]:
        cost = cost_of(architecture, resolution, classes)
        assert counts_of(architecture, resolution, classes) == (cost.macs, cost.params)
