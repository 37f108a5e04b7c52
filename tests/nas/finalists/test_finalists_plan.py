"""The plan of finalists, by hand: what they take, and the highest rung that fits the time."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders.finalists import from_search

from nas.finalists.plan import (
    MARGIN,
    ExpectedSeconds,
    ladder,
    least_plan,
    longest,
    longest_recipe,
    plan_within,
    with_references,
)
from proxies.training.recipes import RECIPES, Recipe
from search_space import PRESETS, cost_of
from studies.finalists import Choice
from studies.record import Record

# Recipes and data of which LONG takes 20 times as long: as many pixels, 8 epochs to 4, 10,000 images to 1,000.
OWN = Recipe("own", epochs=4, learning_rate=0.1, max_images=1_000)
LONG = RECIPES["long"]
TIMES = 20
# A training takes 80 s and a timing 2.5 s, each.
FRONT = (from_search("v2-0.5x", 0.60, 2.0, 40_000_000), from_search("v2-1.0x", 0.70, 4.0, 145_000_000))
NEAR = (from_search("v1-0.5x-g3", 0.69, 5.0, 38_000_000), from_search("v1-1.0x-g3", 0.68, 6.0, 137_000_000))
REFERENCE = from_search("v2-1.5x", 0.65, 7.0, 300_000_000, reference="v2-1.5x")
CHOICE = Choice(FRONT, NEAR, 3)


def expected(workers: int = 1, image_size: int = 28) -> ExpectedSeconds:
    return ExpectedSeconds(OWN, images=10_000, image_size=image_size, classes=10, workers=workers)


def seconds(networks: int, trainings: float) -> float:
    """What so many networks take, in all so many trainings of 80 s one after another."""
    return 1.15 * 80.0 * trainings + 2.5 * networks


def test_the_seconds_are_those_of_trainings_and_timings() -> None:
    assert MARGIN == 1.15
    assert expected().seconds(FRONT, OWN, 1) == pytest.approx(seconds(2, 2))
    assert expected().seconds(FRONT, OWN, 3) == pytest.approx(seconds(2, 6))
    assert expected().seconds(FRONT, LONG, 1) == pytest.approx(seconds(2, 2 * TIMES))
    assert expected(workers=2).seconds(FRONT, OWN, 1) == pytest.approx(seconds(2, 1))
    assert expected(workers=2).seconds((*FRONT, REFERENCE), OWN, 1) == pytest.approx(seconds(3, 2))


def test_shorts_fewer_pixels_are_counted_as_they_are_trained_on() -> None:
    # By hand: 28 pixels become 16, stem stride 1, so 16 x 16 features; LONG's 28 have stem stride 2 and 14 x 14.
    # 4 epochs of 5,000 images to 8 of 10,000 are 4 times the images.
    short = RECIPES["short"]
    of_short = ExpectedSeconds(short, images=10_000, image_size=28, classes=10, workers=1)
    took = [cost_of(PRESETS["v2-0.5x"], size, 10, stem_stride=stride).macs for size, stride in ((16, 1), (28, 2))]
    ratio = 4 * took[1] / took[0]
    assert 3 < ratio < 4
    assert of_short.training(FRONT[0], LONG) == pytest.approx(80 * ratio)
    assert of_short.training(FRONT[0], short) == 80
    few = ExpectedSeconds(short, images=5_000, image_size=28, classes=10, workers=1)
    assert few.training(FRONT[0], LONG) == pytest.approx(40 * ratio), "there are no more images than there are"


def test_a_network_of_its_own_resolution_is_counted_on_the_smaller_images_that_it_is_trained_on() -> None:
    own = replace(FRONT[0], architecture=replace(FRONT[0].architecture, resolution=160))
    macs = [cost_of(FRONT[0].architecture, size, 10, stem_stride=2).macs for size in (20, 28)]  # 160 / 224 of 28
    assert expected().work(own, OWN) / expected().work(FRONT[0], OWN) == pytest.approx(macs[0] / macs[1])
    at_320 = replace(expected(), resolution=320)
    macs = [cost_of(FRONT[0].architecture, size, 10, stem_stride=2).macs for size in (14, 28)]
    assert at_320.work(own, OWN) / at_320.work(FRONT[0], OWN) == pytest.approx(macs[0] / macs[1])


def test_what_the_ledger_has_costs_nothing() -> None:
    def is_trained(record: Record, recipe: Recipe, number: int) -> bool:
        return record is FRONT[0] and recipe == OWN and number == 1

    known = replace(expected(), is_trained=is_trained)
    assert known.seconds(FRONT, OWN, 1) == pytest.approx(seconds(2, 2))
    assert known.seconds(FRONT, OWN, 2) == pytest.approx(seconds(2, 3))


@pytest.mark.parametrize(
    ("left", "seeds", "near"),
    [
        (seconds(5, 15 * TIMES), 3, 2),
        (seconds(5, 15 * TIMES) - 1, 3, 1),
        (seconds(4, 12 * TIMES) - 1, 3, 0),
        (seconds(3, 9 * TIMES), 3, 0),
        (seconds(3, 9 * TIMES) - 1, 2, 1),  # 4 networks by 2 seeds are 8 trainings
        (seconds(3, 3 * TIMES), 1, 0),
    ],
)
def test_of_the_whole_front_the_most_seeds_go_first_and_then_those_near_it(left: float, seeds: int, near: int) -> None:
    plan = plan_within(left + 1e-6, CHOICE, [REFERENCE], expected())
    assert plan is not None
    assert (plan.recipe, plan.seeds, plan.references) == (LONG, seeds, (REFERENCE,))
    assert plan.choice == Choice(FRONT, NEAR[:near], 3 + 2 - near)
    assert plan.seconds <= left + 1e-6
    assert [record.name for record in plan.records] == [each.name for each in (*FRONT, *NEAR[:near], REFERENCE)]


def at(name: str, accuracy: float, latency_ms: float, **other: str) -> Record:
    return from_search(name, accuracy, latency_ms, 100_000_000, **other)


# Of the line from 60 % at 2 ms to 74 % at 10 ms the one at 4 ms lies 8.5 points off, the one at 7 ms 2.3.
LONG_FRONT = (
    at("v2-0.5x", 0.60, 2.0),
    at("v1-0.5x-g3", 0.72, 4.0),
    at("v1-0.5x-g8", 0.71 + 0.02, 7.0),
    at("v2-1.0x", 0.74, 10.0),
)
REFERENCES = (
    at("v1-0.25x-g3", 0.5, 1.0, reference="slow"),
    at("v1-1.0x-g3", 0.6, 4.2, reference="near the knee"),
    at("v1-1.0x-g8", 0.6, 9.0, reference="near the best"),
    at("v1-1.5x-g3", 0.6, 30.0, reference="far"),
)


def rungs() -> list[tuple[int, list[str], list[str]]]:
    plans = ladder(Choice(LONG_FRONT, NEAR, 0), REFERENCES, expected())
    return [
        (plan.seeds, [each.name for each in plan.choice.records], [each.reference for each in plan.references])
        for plan in plans
    ]


def test_as_time_is_short_networks_become_fewer_the_ends_and_the_knee_stay_longest() -> None:
    names = [each.name for each in LONG_FRONT]
    near = [each.name for each in NEAR]
    everyone = [each.reference for each in REFERENCES]
    whole = [(seeds, names + near[:count], everyone) for seeds in (3, 2, 1) for count in (2, 1, 0)]
    # The fastest takes 2 ms: 1 ms is nearer to that, in ratio, than 4.2 ms is.
    nearest = ["slow", "near the knee", "near the best"]
    picked = [(seeds, [names[0], names[1], names[3]], nearest) for seeds in (3, 2, 1)]
    least = [(seeds, [names[1], names[3]], ["near the knee"]) for seeds in (3, 2, 1)]
    assert rungs() == whole + picked + least


def test_the_least_is_the_last_rung_and_nothing_fits_where_it_does_not() -> None:
    choice = Choice(LONG_FRONT, NEAR, 0)
    least = least_plan(choice, REFERENCES, expected())
    assert least == list(ladder(choice, REFERENCES, expected()))[-1]
    assert least.choice.left_out == 4
    assert least.seconds == pytest.approx(seconds(3, 3 * TIMES))
    assert plan_within(least.seconds, choice, REFERENCES, expected()) == least
    assert plan_within(least.seconds - 1, choice, REFERENCES, expected()) is None


def test_a_front_of_one_network_has_it_for_all_picks_and_without_references_it_stands_alone() -> None:
    lone = Choice(FRONT[:1], (), 0)
    assert least_plan(lone, [], expected()).records == [FRONT[0]]
    assert [plan.records for plan in ladder(lone, [], expected())] == [[FRONT[0]]] * 9


def test_what_is_timed_already_is_not_timed_again() -> None:
    timed = replace(expected(), is_timed=lambda each: each in FRONT)
    assert timed.timing((*FRONT, REFERENCE)) == 2.5
    assert timed.timing(FRONT) == 0
    assert timed.seconds(FRONT, OWN, 1) == pytest.approx(seconds(0, 2))


def test_a_search_by_a_recipe_that_is_no_shorter_than_long_has_its_own_by_other_seeds() -> None:
    for own in (LONG, RECIPES["full"]):
        assert longest_recipe(FRONT[0], replace(expected(), own=own)) == own
    assert longest_recipe(FRONT[0], expected()) == LONG


def test_a_reference_that_is_on_the_front_is_trained_once() -> None:
    again = replace(FRONT[1], reference="v2-1.0x")
    assert with_references(CHOICE.records, [again, REFERENCE]) == [FRONT[0], again, *NEAR, REFERENCE]


@pytest.mark.parametrize(
    ("took", "workers", "end"),
    [
        ((5.0, 3.0, 2.0, 2.0), 2, 7.0),  # 3 + 2 is 5 too, and the last one begins there
        ((2.0, 2.0, 3.0, 5.0), 2, 7.0),
        ((3.0, 3.0, 3.0), 2, 6.0),
        ((5.0, 3.0, 2.0, 2.0), 1, 12.0),
        ((5.0, 3.0, 2.0, 2.0), 9, 5.0),
        ((), 2, 0.0),
    ],
)
def test_each_training_goes_to_the_first_worker_that_is_free(took: Sequence[float], workers: int, end: float) -> None:
    assert longest(took, workers) == end
