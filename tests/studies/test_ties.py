"""Ties: pairs by hand, letters against every subset, and what the report draws and marks of them."""

import random
from dataclasses import replace
from itertools import combinations

import pytest
from builders.records import record

from search_space import PRESETS
from studies.accuracy_scale import AccuracyScale
from studies.report.figures import front_figure, ties_drawn
from studies.ties import letters_of, tied_pairs

NAMES = ["v2-0.5x", "v2-1.0x", "v2-1.5x", "v1-1.0x-g3"]


def records(*points: tuple[float, float]) -> list:
    return [record(PRESETS[name], accuracy, ms) for name, (ms, accuracy) in zip(NAMES, points, strict=False)]


def test_latencies_within_two_percent_and_accuracies_within_both_errors_are_tied() -> None:
    """1.00 and 1.019 ms are within 2 %, 1.00 and 1.03 are not; 60 and 62 % are within two errors of 1, 63 is not."""
    found = records((1.0, 0.60), (1.019, 0.62), (1.01, 0.63), (1.03, 0.60))
    assert tied_pairs(found, [0.0101] * 4) == [(0, 1), (1, 2), (1, 3)]
    assert tied_pairs(found, [0.0] * 4) == []


def test_where_an_error_is_unknown_latencies_alone_decide() -> None:
    found = records((1.0, 0.1), (1.01, 0.9))
    assert tied_pairs(found, [None, 0.001]) == [(0, 1)]
    assert tied_pairs(found, [0.001, 0.001]) == []


def test_a_network_is_not_tied_with_itself_under_another_name() -> None:
    same = [record(PRESETS["v2-0.5x"], 0.5, 1.0), record(PRESETS["v2-0.5x"], 0.5, 1.0, reference="v2-0.5x")]
    assert tied_pairs(same, [0.1, 0.1]) == []


def test_a_chain_of_ties_has_a_letter_for_each_two_and_a_triangle_one_for_three() -> None:
    assert letters_of(4, [(0, 1), (1, 2)]) == ["a", "a b", "b", ""]
    assert letters_of(4, [(0, 1), (1, 2), (0, 2)]) == ["a", "a", "a", ""]
    assert letters_of(3, []) == ["", "", ""]


@pytest.mark.parametrize("seed", range(20))
def test_letters_are_the_largest_sets_of_which_every_two_are_tied(seed: int) -> None:
    count = 7
    chosen = random.Random(seed)
    pairs = [pair for pair in combinations(range(count), 2) if chosen.random() < 0.5]
    sets = [
        set(members)
        for size in range(2, count + 1)
        for members in combinations(range(count), size)
        if set(combinations(members, 2)) <= set(pairs)
    ]
    largest = sorted(sorted(each) for each in sets if not any(each < other for other in sets))
    letters = letters_of(count, pairs)
    used = sorted({letter for each in letters for letter in each.split()})
    found = [[place for place in range(count) if letter in letters[place].split()] for letter in used]
    assert found == largest


def test_more_ties_than_letters_have_two_of_them() -> None:
    """Thirty pairs that share no network."""
    pairs = [(2 * number, 2 * number + 1) for number in range(30)]
    assert letters_of(60, pairs)[50:54] == ["z", "z", "aa", "aa"]


def test_a_band_joins_each_pair_in_the_figure() -> None:
    front = records((1.0, 0.60), (1.01, 0.61), (3.0, 0.70))
    scale = AccuracyScale(error=0.01)
    (band,) = ties_drawn(front, [(0, 1)], scale.height_of)
    assert (list(band.x), list(band.y)) == ([1.0, 1.01, None], [60.0, 61.0, None])
    drawn = {trace.name: trace for trace in front_figure(front, [], front, scale).data}
    assert list(drawn["tie"].x) == [1.0, 1.01, None]
    assert list(drawn["front"].error_y.array) == pytest.approx([1.0] * 3)
    assert "tie" not in [trace.name for trace in front_figure(front, [], front, AccuracyScale(error=0.001)).data]


def test_ties_and_bars_are_by_each_networks_own_error() -> None:
    first, second = records((1.0, 0.60), (1.01, 0.63))
    known = [replace(first, accuracy_error=0.025), replace(second, accuracy_error=0.01)]
    drawn = {trace.name: trace for trace in front_figure(known, [], known, AccuracyScale(error=0.001)).data}
    assert "tie" in drawn
    assert list(drawn["front"].error_y.array) == pytest.approx([2.5, 1.0])
