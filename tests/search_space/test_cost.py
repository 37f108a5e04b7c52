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
from builders.wide_space import drawn_wide
from torch import nn

from proxies.backbone import Backbone, FeatureMaps, deployed
from proxies.network import build
from search_space import PRESETS, Architecture, Budget, Cost, InputError, SearchSpace, Stage, cost_of
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


@pytest.mark.parametrize("part", range(6))
def test_cost_equals_fvcore_and_the_module_where_every_choice_is_open(part: int) -> None:
    for architecture in drawn_wide(5, first=5 * part):
        check_against_the_network(architecture, 32, num_classes=10)
        check_against(Backbone(architecture), architecture, 32, num_classes=NO_CLASSIFIER)


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
