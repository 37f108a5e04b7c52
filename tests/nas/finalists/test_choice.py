"""Which networks are finalists: the smoothed front, and what a standard deviation may hide."""

from collections.abc import Sequence
from math import log, sqrt
from random import Random

from builders.finalists import ALL, ERROR, FAR, FAST, MIDDLE, NEAR, NEXT, SLOW, from_search

from nas.finalists.training import smoothed
from search_space import PRESETS, cost_of
from studies.finalists import Choice, choose
from studies.record import Record


def chosen(records: Sequence[Record], deviation: float, most: int) -> Choice:
    """The choice by the records' own accuracies, all as uncertain."""
    return choose(records, [each.accuracy for each in records], [deviation] * len(records), most)


def test_finalists_are_the_front_and_what_a_standard_deviation_may_hide_the_nearest_first() -> None:
    assert chosen(ALL, ERROR, 12) == Choice((FAST, MIDDLE, SLOW), (NEAR, NEXT), 0)
    assert chosen(ALL, 0.012, 12) == Choice((FAST, MIDDLE, SLOW), (NEAR,), 0)
    assert chosen(ALL, 0.0, 12) == Choice((FAST, MIDDLE, SLOW), (), 0)


def test_each_record_has_a_deviation_of_its_own() -> None:
    deviations = [0.051 if each is FAR else 0.014 for each in ALL]  # NEXT is 0.015 below MIDDLE
    assert choose(ALL, [each.accuracy for each in ALL], deviations, 12) == Choice((FAST, MIDDLE, SLOW), (NEAR, FAR), 0)


def test_the_front_is_that_of_the_smoothed_accuracies_and_the_records_stay_as_they_are() -> None:
    # MIDDLE was lucky: smoothed it is 0.012 below NEAR, which is faster; NEXT leads where it stood.
    smooth = {NEAR.latency_ms: 0.612, MIDDLE.latency_ms: 0.60, NEXT.latency_ms: 0.69}
    accuracies = [smooth.get(each.latency_ms, each.accuracy) for each in ALL]
    assert choose(ALL, accuracies, [0.013] * 6, 12) == Choice((FAST, NEAR, NEXT, SLOW), (MIDDLE,), 0)
    assert choose(ALL, accuracies, [0.011] * 6, 12) == Choice((FAST, NEAR, NEXT, SLOW), (), 0)


def test_the_choice_is_that_of_a_brute_force_over_random_records() -> None:
    random = Random(0)
    presets = list(PRESETS)[:12]
    for _ in range(50):
        records = [from_search(name, random.random(), 1 + random.random()) for name in presets]
        means = [random.random() for _ in records]
        deviations = [0.2 * random.random() for _ in records]
        choice = choose(records, means, deviations, 99)
        rows = list(zip(records, means, deviations, strict=True))
        as_fast = {r.latency_ms: [mean for o, mean, _ in rows if o.latency_ms <= r.latency_ms] for r in records}
        front = {r.latency_ms for r, mean, _ in rows if mean == max(as_fast[r.latency_ms])}
        near = {r.latency_ms for r, mean, sd in rows if mean + sd >= max(as_fast[r.latency_ms])} - front
        assert {each.latency_ms for each in choice.front} == front
        assert {each.latency_ms for each in choice.near} == near


def test_of_too_many_the_front_stays_and_the_nearest_come_first() -> None:
    assert chosen(ALL, ERROR, 4) == Choice((FAST, MIDDLE, SLOW), (NEAR,), 1)
    assert chosen(ALL, ERROR, 1) == Choice((FAST, MIDDLE, SLOW), (), 2)


def test_a_network_that_stands_in_several_trials_is_one_finalist() -> None:
    assert chosen([*ALL, *ALL], ERROR, 12) == chosen(ALL, ERROR, 12)


def test_one_as_accurate_and_slower_is_a_finalist_without_a_fit() -> None:
    tied = from_search("v2-1.5x", 0.60, 3.0)
    assert chosen([FAST, tied], 0.0, 12) == Choice((FAST,), (tied,), 0)


def test_of_nothing_there_are_no_finalists() -> None:
    assert chosen([], ERROR, 12).records == ()


def test_a_few_records_are_not_smoothed_and_of_many_the_noise_is_taken_out() -> None:
    assert smoothed(ALL, ERROR) == ([each.accuracy for each in ALL], [ERROR] * 6)
    # Accuracy grows with the logarithm of FLOPs; one record is 5 points too lucky.
    true = {name: 0.04 * log(cost_of(PRESETS[name]).macs / 1e6) for name in list(PRESETS)[:20]}
    lucky = next(iter(true))
    records = [
        from_search(name, value + 0.05 * (name == lucky), 1.0, cost_of(PRESETS[name]).macs)
        for name, value in true.items()
    ]
    means, deviations = smoothed(records, ERROR)
    assert true[lucky] - 0.02 < means[0] < true[lucky] + 0.03
    assert 0.02 / sqrt(20) < deviations[0] < 0.05 / sqrt(20) + 0.01
    assert len(set(deviations)) == 1
