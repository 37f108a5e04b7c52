"""The expected hypervolume improvement against areas by hand, Optuna's own hypervolume, and a Monte Carlo mean."""

import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from studies.sampling.expected_improvement import expected_improvement, hypervolume

REFERENCE = (10.0, 10.0)
FRONT_KNOWN, FRONT_VALUES = np.array([[2.0], [5.0]]), np.array([6.0, 3.0])


def gain(known: float, value: float, deviation: float = 0.0) -> float:
    point = np.array([[known]]), np.array([value]), np.array([deviation])
    return float(expected_improvement(*point, FRONT_KNOWN, FRONT_VALUES, REFERENCE)[0])


@pytest.mark.parametrize(
    ("known", "value", "expected"),
    [
        (1.0, 8.0, 1 * 2),  # left of all: from 1 to 2 down to 8
        (1.0, 5.0, 1 * 5 + 3 * 1),  # and below the first, up to the second
        (3.0, 4.0, 2 * 2),  # between the two
        (6.0, 1.0, 4 * 2),  # right of and below the second
        (6.0, 4.0, 0),  # dominated
        (11.0, 0.0, 0),  # beyond the reference
    ],
)
def test_a_certain_gain_is_the_area_by_hand(known: float, value: float, expected: float) -> None:
    assert gain(known, value) == pytest.approx(expected)


def test_an_uncertain_gain_is_the_mean_of_certain_ones() -> None:
    draws = np.random.default_rng(0).normal(4.5, 1.5, 20_000)
    assert gain(3.0, 4.5, 1.5) == pytest.approx(np.mean([gain(3.0, draw) for draw in draws]), rel=0.03)


@pytest.mark.parametrize("known_objectives", [0, 1, 2])
def test_the_hypervolume_is_optunas(known_objectives: int) -> None:
    points = np.random.default_rng(known_objectives).uniform(0, 1.2, (12, known_objectives + 1))
    reference = np.ones(known_objectives + 1)
    inside = points[(points < 1).all(axis=1)]
    expected = compute_hypervolume(inside, reference)
    assert hypervolume(points[:, :-1], points[:, -1], reference.tolist()) == pytest.approx(expected)


def test_without_known_objectives_it_is_the_expected_improvement() -> None:
    nothing = np.zeros((1, 0))
    found = expected_improvement(nothing, np.array([1.0]), np.array([0.0]), nothing, np.array([3.0]), [5.0])
    assert found[0] == pytest.approx(2.0)
