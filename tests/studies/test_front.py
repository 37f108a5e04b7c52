"""The front against brute force and against Optuna's own; picks and nearest references by hand."""

import random
from dataclasses import replace

import optuna
import pytest
from builders.records import record

from search_space import PRESETS, InputError
from studies.front import front_of, nearest_reference, pick
from studies.record import DIRECTIONS, Record

Point = tuple[float, float]
KEYS = list(PRESETS.values())


def at(accuracy: float, latency_ms: float, number: int = 0) -> Record:
    return record(KEYS[number % len(KEYS)], accuracy, latency_ms, number=number)


def points(records: list[Record]) -> list[Point]:
    return [(record.accuracy, record.latency_ms) for record in records]


def beats(one: Point, other: Point) -> bool:
    return one != other and one[0] >= other[0] and one[1] <= other[1]


def random_records(seed: int, levels: int) -> list[Record]:
    """Few levels make many ties, in one objective and in both."""
    chance = random.Random(seed)
    return [at(chance.randint(1, levels) / levels, chance.randint(1, levels), number) for number in range(40)]


@pytest.mark.parametrize("levels", [3, 8, 1000])
@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_brute_force_finds(seed: int, levels: int) -> None:
    records = random_records(seed, levels)
    unbeaten = [r for r in records if not any(beats(p, (r.accuracy, r.latency_ms)) for p in points(records))]
    first_of_equals = dict(reversed(list(zip(points(unbeaten), unbeaten, strict=True))))
    assert front_of(records) == sorted(first_of_equals.values(), key=lambda r: r.latency_ms)


@pytest.mark.parametrize("levels", [5, 1000])
def test_the_front_has_the_points_of_optunas_best_trials(levels: int) -> None:
    records = random_records(1, levels)
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trials([optuna.trial.create_trial(values=point) for point in points(records)])
    assert set(points(front_of(records))) == {tuple(trial.values) for trial in study.best_trials}


def test_the_front_of_nothing_is_empty() -> None:
    assert front_of([]) == []


# From (0.2, 1 ms) to (0.8, 5 ms) the line gains 0.15 a ms: it stands at 0.35 at 2 ms and at 0.65 at 4 ms, so the
# second record is 0.25 above it, the third 0.10.
FRONT = [at(0.2, 1, 0), at(0.6, 2, 1), at(0.75, 4, 2), at(0.8, 5, 3)]


def test_picks_by_hand() -> None:
    assert pick(FRONT, "fastest") is FRONT[0]
    assert pick(FRONT, "best") is FRONT[3]
    assert pick(FRONT, "knee") is FRONT[1]


def test_a_pick_stays_within_the_latency_asked_for() -> None:
    assert pick(FRONT, "best", max_latency_ms=4) is FRONT[2]
    assert pick(FRONT, "best", max_latency_ms=3.9) is FRONT[1]
    assert pick(FRONT, "fastest", max_latency_ms=1) is FRONT[0]


def test_the_knee_of_two_is_the_more_accurate() -> None:
    assert pick(FRONT[:2], "knee") is FRONT[1]
    assert pick(FRONT[:1], "knee") is FRONT[0]


def test_a_pick_by_the_beginning_of_a_key() -> None:
    for member in FRONT:
        assert pick(FRONT, member.architecture.key()[:8]) is member


def test_a_pick_that_means_no_network_says_what_would() -> None:
    with pytest.raises(InputError, match=r"at most 0.5 ms: the fastest takes 1 ms"):
        pick(FRONT, "best", max_latency_ms=0.5)
    with pytest.raises(InputError, match=f"fastest, best, knee or begins .* 'slowest' .*{KEYS[3].key()}"):
        pick(FRONT, "slowest")
    with pytest.raises(InputError, match="begins just one key"):
        pick(FRONT, "")
    with pytest.raises(InputError, match="the front is empty"):
        pick([], "best")


def test_the_nearest_reference_is_nearest_in_ratio() -> None:
    # 4 ms: 2 ms is 2x away, 7 ms only 1.75x, though 3 ms more.
    two, seven = (replace(at(0.5, ms), reference=name) for ms, name in ((2, "two"), (7, "seven")))
    assert nearest_reference(at(0.5, 4), [two, seven]) is seven
    assert nearest_reference(at(0.5, 3.5), [two, seven]) is two
    assert nearest_reference(at(0.5, 4), []) is None
