"""Which hand-designed networks a search is held against, by the published counts."""

import re

import pytest

from nas.search.references import BACKBONE_FAMILIES, nearest_first, references_for, sizing_budget
from search_space import PRESETS, Budget
from search_space.task import DETECTION_BACKBONE, TASKS, Task

# Multiply-adds at 224 pixels and 1000 classes, M (Zhang 2017's networks in the authors' code; Ma 2018's in
# torchvision): V1 0.5x 37.59 (g = 3), 40.47 (g = 8); 1x 137.46, 138.37; 1.5x 292.4, 290.2; 2x 524.0, 521.9.
# V2 0.5x 40.48, 1x 144.91, 1.5x 295.8, 2x 583.3. Parameters, M: V1 0.25x 0.305, 0.454; 0.5x 0.717, 1.010;
# V2 0.5x 1.367, 1x 2.279.


WHOLE = ["v2-1.0x", "v2-0.5x", "v1-1.0x-g3", "v1-0.5x-g3", "v1-1.0x-g8", "v1-0.5x-g8"]
NO_LARGE_G8 = ["v2-1.0x", "v2-0.5x", "v1-1.0x-g3", "v1-0.5x-g3", "v1-0.5x-g8", "v1-0.25x-g8"]
SMALL_V1 = ["v1-0.5x-g3", "v1-0.25x-g3", "v1-0.5x-g8", "v1-0.25x-g8"]
LARGE = ["v2-2.0x", "v2-1.5x", "v1-2.0x-g3", "v1-1.5x-g3", "v1-2.0x-g8", "v1-1.5x-g8"]


@pytest.mark.parametrize(
    ("budget", "names"),
    [
        ("140mflops", WHOLE),  # V2 1.0x is 3.5 % over it
        ("138007612flops", WHOLE),  # 144,907,992 / 1.05 = 138,007,611.4
        ("138007611flops", WHOLE[1:]),
        ("40mflops", ["v2-0.5x", *SMALL_V1]),
        ("38mflops", ["v1-0.5x-g3", "v1-0.25x-g3", "v1-0.25x-g8"]),  # 38 x 1.05 = 39.9
        ("1mparams", SMALL_V1),
        ("140mflops,1mparams", SMALL_V1),
        ("591mflops", LARGE),
        ("11mflops", []),
        ("5ms", LARGE),
        # RAM, KiB at int8: 441 at the stem of V2 and of V1 1.0x g = 3; 661.5 in stage 2 of V1 1.0x g = 8;
        # 294 and 343 of V1 0.5x, 294 and 245 of 0.25x.
        ("140mflops,440kib-ram@int8", NO_LARGE_G8),
        ("140mflops,400kib-ram@int8", SMALL_V1),
        ("140mflops,240kib-ram@int8", ["v1-0.25x-g8"]),  # 240 x 1.05 = 252
        # Flash at int8: V2 1.0x has 2,261,424 weights and 9,090 channels of 8 bytes; V1 1.0x g = 8 10 % more.
        ("140mflops,2334144b-flash@int8", NO_LARGE_G8),
        ("140mflops,2mb-flash@int8", NO_LARGE_G8[1:]),  # 2,334,144 / 1.05 = 2,222,994
    ],
)
def test_of_each_family_that_of_the_budgets_class_and_the_next_smaller_one(budget: str, names: list[str]) -> None:
    assert references_for(Budget.parse(budget), Task()) == names


def test_what_fits_depends_on_the_task() -> None:
    # V2 1.0x: 2,946,648 multiply-adds at 32 pixels and 10 classes; / 1.05 = 2,806,331.4.
    small = Task(resolution=32, num_classes=10)
    assert references_for(Budget(macs=2_806_332), small)[0] == "v2-1.0x"
    assert references_for(Budget(macs=2_806_331), small)[0] == "v2-0.5x"


def test_backbones_are_held_against_backbones_v2_star_before_all() -> None:
    # By fvcore, M, of the three maps at 320 px: V1 g = 3 0.5x 75.7, g = 8 0.5x 81.0, V2 0.5x 60.9, V2* 0.5x 65.8,
    # V2 1x 246.1, V2* 1x 256.1.
    task = TASKS[DETECTION_BACKBONE]
    assert references_for(Budget.parse("100mflops"), task)[:3] == ["v2-star-0.5x", "v2-0.5x", "v1-0.5x-g3"]
    assert references_for(Budget.parse("240mflops"), task)[:2] == ["v2-star-0.5x", "v2-1.0x"]  # up to 252
    assert references_for(Budget.parse("244mflops"), task)[:3] == ["v2-star-1.0x", "v2-star-0.5x", "v2-1.0x"]


def test_those_nearest_to_the_front_come_first_and_without_one_their_order_stands() -> None:
    names = ["v2-1.0x", "v1-1.0x-g3", "v2-0.5x", "v1-0.5x-g3"]  # 145, 137, 40.5 and 37.6 MFLOPs
    assert nearest_first(names, [], Task()) == names
    assert nearest_first(names, [130_000_000], Task()) == names
    assert nearest_first(names, [40_000_000], Task()) == [*names[2:], *names[:2]]
    assert nearest_first(names, [40_000_000, 130_000_000], Task()) == names


def test_every_family_holds_presets_from_small_to_large() -> None:
    assert [len(names) for names in BACKBONE_FAMILIES.values()] == [4, 4, 5, 5]
    for names in BACKBONE_FAMILIES.values():
        assert all(name in PRESETS for name in names)
        scales = [float(re.search(r"-([\d.]+)x", name)[1]) for name in names]
        assert scales == sorted(scales)


def test_a_budget_of_latency_alone_is_sized_by_the_anchors() -> None:
    # V2 1.0x has 144,907,992 multiply-adds. In half its time, half as many, and half as many again of those.
    assert sizing_budget(Budget.parse("5ms"), 10.0, Task()) == Budget(macs=108_680_994, latency_ms=5.0)
    # 1.5 x 2,946,648 x 2 / 3 = 2,946,648 at 32 pixels and 10 classes.
    task = Task(resolution=32, num_classes=10)
    assert sizing_budget(Budget.parse("2ms"), 3.0, task).macs == pytest.approx(2_946_648, abs=1)


@pytest.mark.parametrize("budget", ["140mflops", "2mparams", "140mflops,5ms", "2mparams,5ms"])
def test_a_budget_that_bounds_more_than_latency_is_used_as_it_is(budget: str) -> None:
    assert sizing_budget(Budget.parse(budget), 10.0, Task()) == Budget.parse(budget)
