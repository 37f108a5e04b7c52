"""What a space reaches, by trying every architecture of a small one, and what a budget's bounds say of it."""

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest

from search_space import Architecture, Budget, InputError, SearchSpace, Stage, cost_of
from search_space.budget_range import bounds_of, reach_of
from search_space.choices import Choices
from search_space.choosers import RandomChooser
from search_space.plan import NO_CLASSIFIER
from search_space.task import Task

SMALL = replace(
    Choices.default(),
    stem=(8,),
    groups=(1, 2),
    splits=(Fraction(3, 4),),
    kernels=(3, 5),
    se=(True,),
    depths=((1, 2), (1,), (2,)),
    heads=(0, 32),
    max_width=64,
)
OPEN = replace(
    SMALL, residual=(False, True), pre_depthwise=(False, True), xception=(False, True), shuffle=(True, False)
)
TASKS = {"classes": Task(64, 10), "backbone": Task(64, NO_CLASSIFIER)}


def least_costs(choices: Choices, task: Task) -> dict[str, int]:
    """Over every structure, the most of the least that any of its widths, depths, kernels and heads costs."""
    least: dict[tuple[object, ...], dict[str, int]] = defaultdict(dict)
    sizes = list(product((2, 4, 6, 8, 12, 16, 20, 24, 28, 32), repeat=3))
    for unit, residual, before, shuffle in product(
        choices.units, choices.residual, choices.pre_depthwise, choices.shuffle
    ):
        if unit == "v1" and (residual or before):
            continue
        of_stages = product(
            product(choices.groups, repeat=3),
            product(choices.splits if unit == "v2" else [None], repeat=3),
            [(se, xception) for se in choices.se for xception in choices.xception if unit == "v2" or not xception],
        )
        for groups, splits, (se, xception) in of_stages:
            structure = (unit, residual, before, shuffle, groups, splits, se, xception)
            found = least[structure]
            for widths in sizes:
                try:
                    rows = zip((1, 1, 2), widths, groups, splits, strict=True)
                    stages = tuple(Stage(d, w, g, s, 3, se, xception) for d, w, g, s in rows)
                    network = Architecture(unit, 8, 0, stages, "relu", residual, before, shuffle)
                except InputError:
                    continue
                cost = cost_of(network, task.resolution, task.num_classes)
                costs = {
                    "macs": cost.macs,
                    "params": cost.params,
                    "flash_bytes": cost.flash_bytes("int8"),
                    "ram_bytes": cost.ram_bytes("int8"),
                }
                for name, value in costs.items():
                    found[name] = min(value, found.get(name, value))
    return {
        name: max(found[name] for found in least.values()) for name in ("macs", "params", "flash_bytes", "ram_bytes")
    }


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_smallest_budgets_are_those_of_every_architecture_tried(task: Task) -> None:
    reach = reach_of(SMALL, task, "int8")
    found = least_costs(SMALL, task)
    assert {name: getattr(reach, f"smallest_{name}") for name in found} == found


@pytest.mark.slow
def test_the_smallest_budgets_hold_with_all_options_open() -> None:
    task = TASKS["classes"]
    reach = reach_of(OPEN, task, "int8")
    found = least_costs(OPEN, task)
    assert {name: getattr(reach, f"smallest_{name}") for name in found} == found


def least_of_all(text: str, task: Task) -> str:
    """The budget of this text, in which each @ stands for the least that the default space reaches."""
    reach = reach_of(Choices.default(), task, "int8")
    for unit, name in (("flops", "macs"), ("params", "params"), ("b-ram", "ram_bytes"), ("b-flash", "flash_bytes")):
        text = text.replace(f"@{unit.removeprefix('b-')}", f"{getattr(reach, f'smallest_{name}')}{unit}")
    return f"{text}@int8"


@pytest.mark.parametrize(
    "text",
    ["20mflops,@ram", "@flash", "@flash,@ram", "@flops,@params,@ram,@flash", "20mflops,400kib-flash"],
)
@pytest.mark.parametrize("task", [Task(), Task(160, 10), Task(320, NO_CLASSIFIER)], ids=str)
def test_no_network_is_ever_over_its_memory(text: str, task: Task) -> None:
    if text.startswith("20mflops") and task.resolution == 320:
        text = text.replace("20m", "60m")
    space = SearchSpace(Choices.default(), Budget.parse(least_of_all(text, task)), task)
    for seed in range(25):
        cost = cost_of(space.suggest(RandomChooser(seed)), task.resolution, task.num_classes)
        assert space.budget.excess_of(cost) == 0


def test_flash_is_used_up_as_parameters_are() -> None:
    space = SearchSpace(Choices.default(), Budget.parse("1mib-flash@int8"))
    shares = []
    for seed in range(60):
        chooser = RandomChooser(seed)
        flash = cost_of(space.suggest(chooser)).flash_bytes("int8")
        shares.append((flash / 2**20, chooser.params["fill_percent"] / 100))
    assert max(used for used, _ in shares) <= 1
    assert sum(abs(used - fill) < 0.05 for used, fill in shares) > len(shares) / 2


def test_a_ram_below_the_smallest_network_is_refused_with_its_size() -> None:
    # No network of the default space has a smaller map than that of the stem: the image and 24 x 80^2, 225 KiB.
    with pytest.raises(InputError, match=r"200kib-ram@int8 is below the smallest.* (\d+\.?\d*) KiB to") as error:
        SearchSpace(Choices.default(), Budget.parse("20mflops,200kib-ram@int8"), Task(160))
    smallest = float(str(error.value).split(" have ")[1].split(" KiB")[0])
    assert 225 <= smallest < 240
    SearchSpace(Choices.default(), Budget.parse(f"20mflops,{smallest}kib-ram@int8"), Task(160))


def test_more_ram_and_flash_than_any_network_needs_is_no_mistake() -> None:
    SearchSpace(Choices.default(), Budget.parse("20mflops,8gib-ram,8gib-flash"))
    # The small space, which these get, has no network of 26 M parameters; the FLOPs alone size its networks.
    for text in ("20mflops,50mparams", "3mflops,1gparams,8gib-flash", "100gflops,0.2mparams"):
        assert SearchSpace.default(Budget.parse(text)).choices.max_width == 1024
    with pytest.raises(InputError, match=r"8gib-flash@fp32 is above the largest.* to [\d,.]+ MiB at"):
        SearchSpace(Choices.default(), Budget.parse("8gib-flash"))


def test_memory_is_counted_at_fp32_where_nobody_says_otherwise() -> None:
    assert str(SearchSpace(Choices.default(), Budget.parse("20mflops,2mib-ram")).budget) == "20mflops,2mib-ram@fp32"


def test_each_bound_stands_beside_what_the_space_reaches() -> None:
    rows = bounds_of(Budget.parse("1mflops,5ms,8gib-ram,1kib-flash@int8"), Choices.default(), Task(160))
    assert [(row.bound, row.flaw) for row in rows] == [
        ("1mflops", "below the smallest"),
        ("8gib-ram@int8", ""),
        ("1kib-flash@int8", "below the smallest"),
    ]


def most_costs(choices: Choices, task: Task) -> dict[str, int]:
    """Over every structure, the most that any of its widths and heads costs, with depths and kernels at their most."""
    most: dict[str, int] = defaultdict(int)
    of_stages = product(
        choices.units, product(choices.groups, repeat=3), product((16, 20, 24, 28, 32), repeat=3), choices.heads
    )
    for unit, groups, widths, head in of_stages:
        split = choices.splits[0] if unit == "v2" else None
        rows = zip((2, 1, 2), widths, groups, strict=True)
        try:
            stages = tuple(Stage(depth, width, each, split, 5, True) for depth, width, each in rows)
            cost = cost_of(Architecture(unit, 8, head, stages), task.resolution, task.num_classes)
        except InputError:
            continue
        for name in ("macs", "params"):
            most[name] = max(most[name], getattr(cost, name))
        for name in ("flash_bytes", "ram_bytes"):
            most[name] = max(most[name], getattr(cost, name)("int8"))
    return most


@pytest.mark.parametrize("head", [2, 32], ids=lambda head: f"head {head}")
def test_the_largest_budgets_are_those_of_every_architecture_tried(head: int) -> None:
    # A head of 2 channels makes the classifier so small that the largest network is one without a head.
    choices = replace(SMALL, max_width=32, heads=(0, head))
    found = most_costs(choices, TASKS["classes"])
    reach = reach_of(choices, TASKS["classes"], "int8")
    assert {name: getattr(reach, f"largest_{name}") for name in found} == found


def test_no_network_drawn_has_more_ram_than_the_largest() -> None:
    # Stage 2's first unit, three quarters of its channels shuffled at 56 px: 80,281,600 bytes by its layers.
    largest = reach_of(Choices.default(), Task())
    space = SearchSpace(Choices.default(), Budget(macs=largest.largest_macs))
    drawn = [cost_of(space.suggest(RandomChooser(seed))).peak_bytes for seed in range(20)]
    assert 0.5 * largest.largest_ram_bytes < max(drawn) <= largest.largest_ram_bytes


def test_the_refusal_names_the_sizes_that_the_space_offers() -> None:
    with pytest.raises(InputError, match="at 128, 160 or 192 px, 1000 classes"):
        SearchSpace(replace(Choices.default(), resolutions=(128, 160, 192)), Budget.parse("1kflops"))


def test_memory_that_is_refused_at_fp32_alone_is_told_of_int8() -> None:
    # 3 x 224^2 + 24 x 112^2 elements are 1,764 KiB at fp32, 441 at int8.
    def refusal(text: str) -> str:
        with pytest.raises(InputError) as error:
            SearchSpace(Choices.default(), Budget.parse(text))
        return str(error.value)

    assert refusal("140mflops,512kib-ram").endswith(", or count memory at int8, where 512kib-ram@int8 can be met")
    assert "int8" not in refusal("140mflops,256kib-ram")
