from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from search_space import PRESETS, Architecture, Budget, InputError, SearchSpace, Stage
from search_space.choosers import RandomChooser
from search_space.plan import NO_CLASSIFIER, Branch, Unit, plan_of

HALF = Fraction(1, 2)


def kinds(branch: Branch) -> list[str]:
    return [layer.kind for layer in branch.layers]


def v1(groups: int = 2, **options: Any) -> Architecture:
    return Architecture("v1", 16, 0, tuple(Stage(2, width, groups) for width in (32, 64, 128)), **options)


def v2(groups: int = 1, split: Fraction = HALF, se: bool = False, kernel: int = 3, **options: Any) -> Architecture:
    stages = tuple(Stage(2, width, groups, split, kernel, se) for width in (48, 96, 192))
    return Architecture("v2", 24, 64, stages, **options)


def stage_2(architecture: Architecture) -> tuple[Unit, Unit]:
    first, second = plan_of(architecture).stages[0]
    return first, second


def test_units_stand_in_order_and_are_named_as_in_the_papers() -> None:
    names = [name for name, _ in plan_of(PRESETS["v2-1.0x"]).units()]
    stages = [f"stage{number}.{i}" for number, depth in ((2, 4), (3, 8), (4, 4)) for i in range(depth)]
    assert names == ["stem", *stages, "head", "classifier"]


def test_no_head_where_its_width_is_0() -> None:
    assert [name for name, _ in plan_of(PRESETS["v1-1.0x-g1"]).units()][-2:] == ["stage4.3", "classifier"]


@pytest.mark.parametrize(
    ("stem_stride", "strides"),
    [(4, {"conv": 2, "maxpool": 2}), (2, {"conv": 2}), (1, {"conv": 1})],
)
def test_the_stem_shrinks_as_the_task_says(stem_stride: int, strides: dict[str, int]) -> None:
    (branch,) = plan_of(v2(), stem_stride=stem_stride).stem.branches
    assert {layer.kind: layer.stride for layer in branch.layers if layer.kind in ("conv", "maxpool")} == strides


def test_the_task_sets_input_channels_and_classes() -> None:
    plan = plan_of(v2(), num_classes=7, in_channels=1)
    assert plan.stem.branches[0].layers[0].c_in == 1
    assert plan.classifier.branches[0].layers[-1].c_out == 7


def test_the_v1_unit_is_that_of_zhang_2017_fig_2b() -> None:
    # 1x1 group convolution, BN, ReLU, shuffle, 3x3 depthwise, BN (no ReLU), 1x1 group convolution, BN; add; ReLU.
    unit = stage_2(v1())[1]
    main, shortcut = unit.branches
    conv_bn = ["conv", "batchnorm"]
    assert kinds(main) == [*conv_bn, "relu", "shuffle", *conv_bn, *conv_bn]
    assert (kinds(shortcut), unit.join, [layer.kind for layer in unit.tail]) == ([], "add", ["relu"])
    convs = [layer for layer in main.layers if layer.kind == "conv"]
    assert [(c.c_in, c.c_out, c.kernel, c.stride, c.groups) for c in convs] == [
        (32, 8, 1, 1, 2),
        (8, 8, 3, 1, 8),
        (8, 32, 1, 1, 2),
    ]


def test_the_v1_stride_2_unit_is_that_of_zhang_2017_fig_2c() -> None:
    # Stage 3: the branch gives width - c_in = 64 - 32, the rest is the average pool of the input.
    unit = plan_of(v1()).stages[1][0]
    main, shortcut = unit.branches
    assert [(c.c_in, c.c_out, c.stride, c.groups) for c in main.layers if c.kind == "conv"] == [
        (32, 16, 1, 2),
        (16, 16, 2, 16),
        (16, 32, 1, 2),
    ]
    assert [(pool.kind, pool.kernel, pool.stride, pool.c_out) for pool in shortcut.layers] == [("avgpool", 3, 2, 32)]
    assert (unit.join, [layer.kind for layer in unit.tail]) == ("concat", ["relu"])


def test_only_the_very_first_1x1_of_v1_is_not_grouped() -> None:
    plan = plan_of(PRESETS["v1-1.0x-g8"])
    firsts = [unit.branches[0].layers[0].groups for name, unit in plan.units() if name.startswith("stage")]
    assert firsts == [1] + 15 * [8]


def test_the_v2_unit_is_that_of_ma_2018_fig_3c() -> None:
    # The first half passes; 1x1, BN, ReLU, 3x3 depthwise, BN (no ReLU), 1x1, BN, ReLU; concatenated; shuffled.
    unit = stage_2(v2())[1]
    passed, main = unit.branches
    conv_bn = ["conv", "batchnorm"]
    assert (passed.start, passed.stop, kinds(passed)) == (0, 24, [])
    assert (main.start, main.stop) == (24, 48)
    assert kinds(main) == [*conv_bn, "relu", *conv_bn, *conv_bn, "relu"]
    assert {(layer.c_in, layer.c_out) for layer in main.layers} == {(24, 24)}
    assert (unit.join, [(layer.kind, layer.groups) for layer in unit.tail]) == ("concat", [("shuffle", 2)])


def test_the_v2_stride_2_unit_is_that_of_ma_2018_fig_3d() -> None:
    # Both branches see all channels; depthwise stride 2 first in the left one, in the middle of the right one.
    unit = stage_2(v2(split=Fraction(1, 3)))[0]
    left, right = unit.branches
    assert [(c.c_in, c.c_out, c.kernel, c.stride) for c in left.layers if c.kind == "conv"] == [
        (24, 24, 3, 2),
        (24, 32, 1, 1),
    ]
    assert [(c.c_in, c.c_out, c.kernel, c.stride) for c in right.layers if c.kind == "conv"] == [
        (24, 16, 1, 1),
        (16, 16, 3, 2),
        (16, 16, 1, 1),
    ]
    assert {(branch.start, branch.stop) for branch in unit.branches} == {(0, 24)}


def test_groups_group_the_1x1_of_both_v2_branches_and_shuffle_the_main_one() -> None:
    for unit in stage_2(v2(groups=3)):
        convs = [layer for branch in unit.branches for layer in branch.layers if layer.kind == "conv"]
        assert {layer.groups for layer in convs if layer.kernel == 1} == {3}
        assert {layer.groups == layer.c_in for layer in convs if layer.kernel == 3} == {True}
        main = unit.branches[1]
        assert kinds(main)[:5] == ["conv", "batchnorm", "relu", "shuffle", "conv"]
        assert main.layers[3].groups == 3
        assert "shuffle" not in kinds(unit.branches[0])


@pytest.mark.parametrize(
    ("split", "groups"),
    [("1/2", 2), ("1/3", 3), ("2/3", 3), ("1/4", 4), ("3/4", 4), ("2/4", 2), ("3/8", 8), ("6/8", 4)],
)
def test_the_join_is_shuffled_in_as_many_groups_as_the_splits_denominator(split: str, groups: int) -> None:
    for unit in stage_2(v2(split=Fraction(split))):
        assert [(layer.kind, layer.groups) for layer in unit.tail] == [("shuffle", groups)]


@pytest.mark.parametrize("architecture", [v1(shuffle=False), v2(groups=3, shuffle=False)], ids=["v1", "v2"])
def test_shuffle_false_leaves_all_shuffles_out(architecture: Architecture) -> None:
    layers = [layer for _, unit in plan_of(architecture).units() for branch in unit.branches for layer in branch.layers]
    tails = [layer for _, unit in plan_of(architecture).units() for layer in unit.tail]
    assert "shuffle" not in {layer.kind for layer in layers + tails}


def test_no_shuffle_where_there_is_one_group() -> None:
    assert "shuffle" not in kinds(stage_2(v1(groups=1))[1].branches[0])


def test_squeeze_and_excitation_ends_the_branch_that_computes() -> None:
    first, second = stage_2(v2(se=True))
    assert kinds(first.branches[1])[-1] == kinds(second.branches[1])[-1] == "se"
    assert "se" not in kinds(first.branches[0]) + kinds(second.branches[0])
    v1_se = Architecture("v1", 16, 0, tuple(Stage(2, width, se=True) for width in (32, 64, 128)))
    for unit in stage_2(v1_se):
        assert kinds(unit.branches[0])[-1] == "se"


@pytest.mark.parametrize(("width", "squeeze"), [(16, 8), (64, 8), (72, 9), (464, 58), (22, 8)])
def test_squeeze_is_a_quarter_of_the_branch_but_at_least_8(width: int, squeeze: int) -> None:
    # The branch is half as wide: 8, 32, 36, 232 and 11 channels.
    stages = (Stage(1, width, split=HALF, se=True),) * 3
    assert stage_2_only(Architecture("v2", 24, 0, stages)).branches[1].layers[-1].squeeze == squeeze


def stage_2_only(architecture: Architecture) -> Unit:
    return plan_of(architecture).stages[0][0]


def test_pre_depthwise_stands_before_the_first_1x1_at_stride_1() -> None:
    first, second = stage_2(v2(pre_depthwise=True, kernel=7))
    for unit, channels in ((first, 24), (second, 24)):
        pre, norm, pointwise = unit.branches[1].layers[:3]
        assert (pre.kind, pre.kernel, pre.stride, pre.groups, pre.c_out) == ("conv", 3, 1, channels, channels)
        assert (norm.kind, pointwise.kernel) == ("batchnorm", 1)
    assert kinds(first.branches[0]) == ["conv", "batchnorm", "conv", "batchnorm", "relu"]


def test_residual_is_that_of_stride_1_units_alone() -> None:
    first, second = stage_2(v2(residual=True))
    assert [branch.residual for branch in first.branches] == [False, False]
    assert [branch.residual for branch in second.branches] == [False, True]


@pytest.mark.parametrize("architecture", [v1(activation="hardswish"), v2(activation="hardswish")], ids=["v1", "v2"])
def test_the_activation_is_the_same_everywhere(architecture: Architecture) -> None:
    units = [unit for _, unit in plan_of(architecture).units()]
    layers = [layer for unit in units for branch in unit.branches for layer in branch.layers]
    all_kinds = {layer.kind for layer in layers} | {layer.kind for unit in units for layer in unit.tail}
    assert "hardswish" in all_kinds
    assert "relu" not in all_kinds


def test_kernel_is_that_of_the_depthwise_alone() -> None:
    units = stage_2(v2(kernel=5))
    convs = [layer for unit in units for branch in unit.branches for layer in branch.layers if layer.kind == "conv"]
    assert {layer.kernel for layer in convs if layer.groups == layer.c_in} == {5}
    assert {layer.kernel for layer in convs if layer.groups == 1} == {1}


def chain_of(layers: tuple[Any, ...], c_in: int) -> int:
    for layer in layers:
        assert layer.c_in == c_in
        assert layer.c_in % layer.groups == layer.c_out % layer.groups == 0
        c_in = layer.c_out
    return c_in


def test_channels_fit_from_layer_to_layer_over_the_space() -> None:
    space = SearchSpace.default(Budget.parse("140mflops"))
    for seed in range(200):
        architecture = space.suggest(RandomChooser(seed))
        channels = 3
        for _, unit in plan_of(architecture).units():
            assert unit.c_in == channels
            outputs = [chain_of(branch.layers, branch.stop - branch.start) for branch in unit.branches]
            if unit.join == "add":
                assert len(set(outputs)) == 1
                outputs = outputs[:1]
            channels = chain_of(unit.tail, sum(outputs))
        assert channels == 1000


def test_a_stage_has_its_depth_and_ends_at_its_width() -> None:
    plan = plan_of(PRESETS["v2-1.5x"])
    assert [len(stage) for stage in plan.stages] == [4, 8, 4]
    assert [stage[1].c_in for stage in plan.stages] == [176, 352, 704]


# backbones


@pytest.mark.parametrize("head", [0, 1024])
def test_a_backbone_is_the_classifier_without_what_follows_its_stages(head: int) -> None:
    architecture = replace(v2(), head=head)
    backbone = dict(plan_of(architecture, NO_CLASSIFIER).units())
    classifier = dict(plan_of(architecture).units())
    assert list(classifier)[len(backbone) :] == (["head"] if head else []) + ["classifier"]
    assert backbone == {name: classifier[name] for name in backbone}
    assert list(backbone)[-1] == "stage4.1"


# a task that cannot be


def test_no_image_has_no_channels() -> None:
    with pytest.raises(InputError, match="in_channels must be a whole number of at least 1, got 0"):
        plan_of(v2(), in_channels=0)


@pytest.mark.parametrize("stem_stride", [0, 3, 8, -1, "4", None])
def test_another_stem_stride_is_refused(stem_stride: Any) -> None:
    with pytest.raises(InputError, match=f"stem_stride.*{stem_stride}"):
        plan_of(v2(), stem_stride=stem_stride)


@pytest.mark.parametrize("name", ["num_classes", "in_channels"])
@pytest.mark.parametrize("value", [-1, -3, 2.0, "3", None])
def test_a_task_without_whole_numbers_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"{name}.*{value}"):
        plan_of(v2(), **{name: value})


def convolutions(unit: Unit) -> list[tuple[int, int, int, int, int]]:
    """Of the main branch: channels in and out, kernel, stride and groups of each convolution."""
    layers = (layer for layer in unit.branches[1].layers if layer.kind == "conv")
    return [(layer.c_in, layer.c_out, layer.kernel, layer.stride, layer.groups) for layer in layers]


def test_an_xception_branch_is_three_depthwise_separable_convolutions() -> None:
    stages = tuple(Stage(2, width, 1, HALF, 5, xception=True) for width in (48, 96, 192))
    first, second = stage_2(Architecture("v2", 24, 64, stages))
    rest = [(24, 24, 1, 1, 1), *[(24, 24, 5, 1, 24), (24, 24, 1, 1, 1)] * 2]
    assert convolutions(first) == [(24, 24, 5, 2, 24), *rest]
    assert convolutions(second) == [(24, 24, 5, 1, 24), *rest]
    assert [layer.kind for layer in second.branches[1].layers] == ["conv", "batchnorm", "conv", "batchnorm", "relu"] * 3


def test_grouped_1x1_of_an_xception_branch_are_shuffled_between() -> None:
    stages = tuple(Stage(1, width, 2, HALF, xception=True) for width in (48, 96, 192))
    (unit,) = plan_of(Architecture("v2", 24, 64, stages)).stages[0]
    separable = ["conv", "batchnorm", "conv", "batchnorm", "relu"]
    kinds = [layer.kind for layer in unit.branches[1].layers]
    assert kinds == [*separable, "shuffle", *separable, "shuffle", *separable]


@pytest.mark.parametrize(("bottleneck", "inner"), [("1/8", 6), ("1/4", 12), ("1/2", 24)])
def test_a_bottleneck_is_the_share_of_a_v1_units_width_that_is_computed_in_space(bottleneck: str, inner: int) -> None:
    stages = tuple(Stage(2, width) for width in (48, 96, 192))
    unit = plan_of(Architecture("v1", 16, 0, stages, bottleneck=Fraction(bottleneck))).stages[0][1]
    depthwise = [layer for layer in unit.branches[0].layers if layer.is_depthwise]
    assert [layer.c_out for layer in depthwise] == [inner]
