"""Small budgets: the small space, what of it such a budget leaves, and the share that is used."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest

from search_space import PRESETS, Architecture, Budget, InputError, SearchSpace, Stage, cost_of
from search_space.budget_range import reach_of
from search_space.choices import Choices
from search_space.choosers import FixedChooser, RandomChooser
from search_space.shipped_spaces import DEFAULT, SMALL, narrowed_to, shipped_for
from search_space.task import Task

BUDGETS = ["3mflops", "5mflops", "10mflops", "20mflops", "30mflops", "41mflops", "0.2mparams", "3mflops,0.2mparams"]
DRAWS = 60


@pytest.mark.parametrize("text", BUDGETS)
def test_nine_of_ten_networks_use_the_share_asked_for_within_5_points_and_none_is_over(text: str) -> None:
    budget, met = Budget.parse(text), 0
    space = SearchSpace.default(budget)
    for seed in range(DRAWS):
        chooser = RandomChooser(seed)
        cost = cost_of(space.suggest(chooser))
        used = [count / bound for count, bound in ((cost.macs, budget.macs), (cost.params, budget.params)) if bound]
        assert max(used) <= 1
        met += abs(100 * max(used) - chooser.params["fill_percent"]) <= 5
    assert met >= 0.9 * DRAWS


@pytest.mark.parametrize("text", ["3mflops", "0.2mparams"])
def test_stem_head_and_depths_are_choices_at_the_smallest_budgets(text: str) -> None:
    space, seen = SearchSpace.default(Budget.parse(text)), set()
    for seed in range(DRAWS):
        architecture = space.suggest(RandomChooser(seed))
        seen |= {("stem", architecture.stem), ("head", architecture.head)}
        seen |= {(number, stage.depth) for number, stage in enumerate(architecture.stages, start=2)}
    assert {("stem", 4), ("stem", 6), ("head", 0), ("head", 64), (2, 1), (2, 2), (3, 1), (3, 4), (4, 1), (4, 3)} <= seen


def test_known_parameters_rebuild_the_identical_network_of_a_small_budget() -> None:
    space = SearchSpace.default(Budget.parse("3mflops"))
    for seed in range(20):
        chooser = RandomChooser(seed)
        assert space.suggest(chooser) == space.suggest(FixedChooser(chooser.params))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((text, DEFAULT) for text in ("140mflops", "41mflops", "2mparams", "5ms", "5ms,1mib-ram@int8")),
        ("5ms,256kib-ram@int8", SMALL),
        *((text, SMALL) for text in ("20mflops", "0.2mparams", "140mflops,0.2mparams", "140mflops,256kib-ram@int8")),
    ],
)
def test_a_budget_has_the_default_space_where_that_is_comfortable_in_it(text: str, name: str) -> None:
    assert shipped_for(Budget.parse(text), Task()).name == name


def test_the_small_space_takes_over_where_the_default_ones_narrowest_needs_six_tenths() -> None:
    smallest = reach_of(Choices.default(), Task()).smallest_macs
    least = -(-smallest * 10 // 6)
    assert shipped_for(Budget(macs=least), Task()).name == DEFAULT
    assert shipped_for(Budget(macs=least - 1), Task()).name == SMALL


def test_groups_that_take_too_much_of_a_budget_are_left_out_and_named() -> None:
    # Groups of 8 need a stem of 8, whose convolution alone is 27 x 8 x 112 x 112 = 2.7 M multiply-adds.
    shipped = shipped_for(Budget.parse("3mflops"), Task())
    assert shipped.choices == replace(Choices.shipped(SMALL), groups=(1, 2, 4))
    assert shipped.line.startswith("space: the small one, search_space/small_space.toml, without groups 3, 8, which ")
    assert shipped_for(Budget.parse("13mflops"), Task()).choices == Choices.shipped(SMALL)


def test_the_least_that_any_narrowed_space_reaches_is_the_dearest_of_its_least_networks() -> None:
    # With one group and the split 1/4: of V2 and of V1 the narrowest with everything at its least, but for SE.
    choices = narrowed_to(SMALL, Budget.parse("1mflops"), Task()).choices
    assert (choices.groups, choices.splits) == ((1,), (Fraction(1, 4),))
    least = {
        "v1": Architecture("v1", 4, 0, tuple(Stage(1, width, se=True) for width in (8, 12, 16))),
        "v2": Architecture("v2", 4, 0, tuple(Stage(1, 4, split=Fraction(1, 4), se=True) for _ in range(3))),
    }
    dearest = max(cost_of(each).macs for each in least.values())
    assert reach_of(choices, Task()).smallest_macs == dearest
    with pytest.raises(InputError, match=r"1\.455 MFLOPs"):
        SearchSpace.default(Budget.parse("1mflops"))
    assert dearest == pytest.approx(1.455e6, rel=1e-3)


def test_the_smallest_cost_reached_is_that_of_all_networks_of_a_tiny_space_tried_one_by_one() -> None:
    choices = replace(
        Choices.shipped(SMALL),
        units=("v2",),
        stem=(4,),
        groups=(1, 2),
        splits=(Fraction(1, 2),),
        kernels=(3,),
        se=(False,),
        depths=((1,), (1,), (1,)),
        heads=(0,),
        activations=("relu",),
    )
    task, costs = Task(32, 10), []
    for groups in product((1, 2), repeat=3):
        of_these = []
        for widths in product(range(1, 9), repeat=3):
            try:
                stages = [Stage(1, w, g, Fraction(1, 2)) for w, g in zip(widths, groups, strict=True)]
                of_these.append(cost_of(Architecture("v2", 4, 0, tuple(stages)), 32, 10))
            except InputError:
                continue
        costs.append((min(cost.macs for cost in of_these), min(cost.params for cost in of_these)))
    reach = reach_of(choices, task)
    assert reach.smallest_macs == max(macs for macs, _ in costs)
    assert reach.smallest_params == max(params for _, params in costs)


def parameters_of(preset: Architecture) -> dict[str, object]:
    """A suggestion's parameters by which the preset can be drawn, if its widths grow as the space lets them."""
    params: dict[str, object] = {"unit": preset.unit, "activation": "relu", "stem": preset.stem, "head": preset.head}
    for number, stage in enumerate(preset.stages, start=2):
        params |= {f"{name}_{number}": getattr(stage, name) for name in ("groups", "se", "kernel", "depth")}
        params[f"split_{number}"] = str(stage.split or Fraction(1, 2))
    return params | {"growth_percent_3": 200, "growth_percent_4": 200, "fill_percent": 100}


def test_v1_of_a_quarter_is_drawn_at_its_own_budget() -> None:
    preset = PRESETS["v1-0.25x-g8"]
    space = SearchSpace.default(Budget(macs=cost_of(preset).macs))
    assert space.choices == Choices.shipped(SMALL)
    assert space.suggest(FixedChooser(parameters_of(preset))) == preset


@pytest.mark.parametrize("name", ["v1-0.25x-g1", "v1-0.25x-g3", "v1-0.5x-g1", "v1-0.5x-g3", "v1-0.5x-g8"])
def test_the_other_small_presets_of_v1_are_drawn_where_branches_need_not_be_multiples_of_8(name: str) -> None:
    # Their bottlenecks are 9, 15, 18, 30 and 48 channels wide in stage 2.
    preset = PRESETS[name]
    choices = Choices.shipped(SMALL)
    unaligned = SearchSpace(replace(choices, alignment=1), Budget(macs=cost_of(preset).macs))
    assert unaligned.suggest(FixedChooser(parameters_of(preset))) == preset
    aligned = SearchSpace(choices, Budget(macs=cost_of(preset).macs))
    drawn = aligned.suggest(FixedChooser(parameters_of(preset)))
    assert (drawn == preset) is (name == "v1-0.5x-g8")


def test_v2_of_a_half_is_drawn_at_its_own_budget() -> None:
    preset = PRESETS["v2-0.5x"]
    space = SearchSpace.default(Budget(macs=cost_of(preset).macs))
    assert space.suggest(FixedChooser(parameters_of(preset))) == preset
