"""The regression over all records: it takes noise out, leaves what is clean, and troubles nobody with warnings."""

import subprocess
import sys
import time
from functools import cache
from math import log

import numpy as np
import pytest
from builders.places import ROOT

from search_space import PRESETS, Budget, SearchSpace, cost_of
from search_space.choosers import RandomChooser
from studies.calibration.smoothing import Network, features, pooled


@cache
def networks(count: int) -> tuple[Network, ...]:
    space = SearchSpace.default(Budget.parse("41mflops"))
    found = []
    for seed in range(count):
        architecture = space.suggest(RandomChooser(seed))
        cost = cost_of(architecture)
        found.append((architecture, cost.macs, cost.params))
    return tuple(found)


def qualities(count: int) -> np.ndarray:
    """What choices and size make of networks, smoothly."""
    return np.array([0.1 * log(macs) + 0.05 * (architecture.unit == "v2") for architecture, macs, _ in networks(count)])


def correlation(a: object, b: object) -> float:
    return float(np.corrcoef(np.asarray(a), np.asarray(b))[0, 1])


@pytest.mark.parametrize("count", [24, 64, 128])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_is_taken_out(count: int, seed: int) -> None:
    truth = qualities(count)
    noisy = truth + truth.std() * np.random.default_rng(seed).normal(size=count)
    cleaned = pooled(networks(count), list(noisy))
    assert correlation(cleaned, truth) > correlation(noisy, truth) + 0.05
    assert np.std(cleaned) < 0.95 * np.std(noisy)
    assert np.mean(cleaned) == pytest.approx(np.mean(noisy), abs=0.1 * np.std(noisy))


@pytest.mark.parametrize("count", [24, 64])
def test_pure_noise_is_not_taken_for_what_networks_are(count: int) -> None:
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(size=count)
        assert np.std(pooled(networks(count), list(noise))) < 0.8 * np.std(noise)


def test_what_is_clean_stays_as_it_is() -> None:
    truth = qualities(64)
    assert correlation(pooled(networks(64), list(truth)), truth) > 0.995


def test_scores_come_back_in_their_own_unit() -> None:
    scores = qualities(24) + 0.02 * np.random.default_rng(0).normal(size=24)
    usual = np.array(pooled(networks(24), list(scores)))
    assert pooled(networks(24), list(1000 * scores - 7)) == pytest.approx(1000 * usual - 7, rel=1e-3)


def test_the_same_scores_give_the_same_numbers() -> None:
    scores = list(np.random.default_rng(0).normal(size=24))
    assert pooled(networks(24), scores) == pooled(networks(24), scores)


@pytest.mark.parametrize("value", [0.0, 0.3, -1e6])
def test_a_constant_score_stays_as_it_is(value: float) -> None:
    assert pooled(networks(6), [value] * 6) == [value] * 6


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_networks_and_networks_all_alike_are_borne(count: int) -> None:
    scores = [0.1 * number for number in range(count)]
    assert np.isfinite(pooled(networks(count), scores)).all()
    assert pooled([networks(1)[0]] * count, scores) == scores


@pytest.mark.parametrize("count", [64, 128])
def test_two_seconds_of_one_core_are_enough(count: int) -> None:
    scores = list(qualities(count) + 0.05 * np.random.default_rng(0).normal(size=count))
    pooled(networks(4), [1.0, 2.0, 4.0, 3.0])  # loads scikit-learn
    started = time.process_time()
    pooled(networks(count), scores)
    assert time.process_time() - started < 2


def test_features_are_standardised_and_tell_every_choice() -> None:
    rows = features(networks(64))
    # FLOPs, params, head, activation, unit; depth, width, groups, split, kernel, SE of three stages.
    assert rows.shape == (64, 5 + 3 * 6)
    assert rows.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert rows.std(axis=0) == pytest.approx(1)
    assert len({tuple(row) for row in rows}) == 64


def test_what_does_not_vary_is_no_feature() -> None:
    one = PRESETS["v2-1.0x"]
    assert features([(one, 100, 10), (one, 200, 10)]) == pytest.approx(np.array([[-1.0], [1.0]]))


def test_scikit_learn_is_loaded_by_use_alone() -> None:
    code = "import sys\nimport studies.calibration.scores, studies.calibration.smoothing\n"
    code += "print([m for m in sys.modules if m.startswith('sklearn')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
