"""How long one more evaluation takes, by hand."""

import math

import pytest

from nas.search.time.durations import LEAST_SPREAD, MOST_KEPT, Durations


def seen(*pairs: tuple[float, float]) -> Durations:
    durations = Durations()
    for work, seconds in pairs:
        durations.add(work, seconds)
    return durations


def test_of_nothing_nothing_is_expected() -> None:
    none = seen()
    assert (none.typical(), none.expected(5.0), none.at_most(5.0)) == (0.0, 0.0, 0.0)


def test_seconds_go_with_the_work() -> None:
    of_work = seen((10, 20), (20, 40), (30, 60))
    assert of_work.typical() == 40
    assert of_work.expected(5) == pytest.approx(10)
    assert of_work.at_most(5) == pytest.approx(10 * math.exp(LEAST_SPREAD))


def test_where_seconds_are_all_the_same_work_says_nothing() -> None:
    assert seen((10, 30), (20, 31), (40, 30)).expected(1000) == pytest.approx(30)


def test_one_evaluation_says_what_a_unit_of_work_takes() -> None:
    assert seen((10, 20)).expected(30) == pytest.approx(60)


def test_the_spread_is_that_of_what_was_seen() -> None:
    # Per unit of work 1, 2 and 4: the middle one is 2, and the others are off by a factor of 2 each.
    rough = seen((10, 10), (20, 40), (40, 160))
    assert rough.expected(3) == pytest.approx(6)
    assert rough.at_most(3) == pytest.approx(6 * math.exp(math.sqrt(2 / 3) * math.log(2)))


def test_what_lies_long_back_is_forgotten() -> None:
    assert seen(*[(10, 100)] * 50, *[(10, 20)] * MOST_KEPT).expected(10) == pytest.approx(20)
