"""Rank correlations against scipy's, intervals against simulations, regret by hand."""

import json
from itertools import combinations
from math import inf, isnan, nan

import numpy as np
import pytest
from scipy.stats import kendalltau, norm, spearmanr

from studies import ranking
from studies.ranking import CONFIDENCE, RESAMPLES, Interval, Ranking, advantage_of, ceiling_of, ranking_of


def with_ties(seed: int, count: int, seeds: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Scores and accuracies of few different values each."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 8, count).astype(float)
    return scores, (scores + random.integers(0, 9, (seeds, count))) / 20


# Estimates


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_correlations_are_scipys_averaged_over_the_seeds(seed: int, seeds: int) -> None:
    scores, accuracies = with_ties(seed, 20, seeds)
    found = ranking_of(scores, accuracies)
    assert found.architectures == 20
    assert found.tau.value == pytest.approx(np.mean([kendalltau(scores, row).statistic for row in accuracies]))
    assert found.spearman.value == pytest.approx(np.mean([spearmanr(scores, row).statistic for row in accuracies]))


def test_intervals_are_percentiles_of_scipys_correlations_in_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "RESAMPLES", 200)
    scores, accuracies = with_ties(0, 12)
    found = ranking_of(scores, accuracies, seed=7)
    samples = np.random.default_rng(7).integers(12, size=(200, 12))
    for interval, correlation in ((found.tau, kendalltau), (found.spearman, spearmanr)):
        values = [np.mean([correlation(scores[rows], row[rows]).statistic for row in accuracies]) for rows in samples]
        assert (interval.low, interval.high) == pytest.approx(tuple(np.percentile(values, [5, 95])))


@pytest.mark.parametrize("seeds", [2, 3])
def test_the_ceiling_is_the_mean_tau_of_all_pairs_of_seeds(seeds: int) -> None:
    _, accuracies = with_ties(3, 15, seeds)
    ceiling = ceiling_of(accuracies)
    assert ceiling is not None
    taus = [kendalltau(a, b).statistic for a, b in combinations(accuracies, 2)]
    assert len(taus) == {2: 1, 3: 3}[seeds]
    assert ceiling.value == pytest.approx(np.mean(taus))
    assert ceiling.low <= ceiling.value <= ceiling.high


def test_one_seed_has_no_ceiling() -> None:
    assert ceiling_of([[0.1, 0.2, 0.3, 0.4]]) is None


def test_perfect_order_either_way_is_one_either_way_and_certain() -> None:
    accuracies = [[0.1, 0.2, 0.4, 0.5, 0.9]]
    assert ranking_of([1, 2, 3, 4, 5], accuracies).tau == Interval(1.0, 1.0, 1.0)
    assert ranking_of([5, 4, 3, 2, 1], accuracies).spearman == Interval(-1.0, -1.0, -1.0)
    assert ranking_of([1, 10, 100, 101, 1e9], accuracies).tau.value == 1.0, "only the order counts"


def test_an_advantage_is_the_difference_of_the_taus_in_the_same_resamples() -> None:
    scores, accuracies = with_ties(1, 20)
    other, _ = with_ties(2, 20)
    found = advantage_of(scores, other, accuracies)
    taus = [ranking_of(each, accuracies).tau.value for each in (scores, other)]
    assert found.value == pytest.approx(taus[0] - taus[1])
    assert found.low < found.value < found.high
    assert advantage_of(scores, scores, accuracies) == Interval(0.0, 0.0, 0.0)
    assert advantage_of(scores, other, accuracies) == found, "the same every time"


# Intervals


def test_an_interval_covers_the_true_tau_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    # Of a normal pair with correlation sin(pi/2 tau), Kendall's tau is tau (Kruskal 1958).
    truth, trials = 0.5, 300
    correlation = np.sin(np.pi / 2 * truth)
    covered = []
    for trial in range(trials):
        x, noise = random.normal(size=(2, 24))
        y = correlation * x + np.sqrt(1 - correlation**2) * noise
        tau = ranking_of(x, [y], seed=trial).tau
        covered.append(tau.low <= truth <= tau.high)
    of_the_simulation = norm.ppf(0.999) * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / trials)
    assert np.mean(covered) == pytest.approx(CONFIDENCE, abs=of_the_simulation)


def test_of_an_unrelated_score_the_interval_nearly_always_holds_zero() -> None:
    random = np.random.default_rng(1)
    taus = [ranking_of(random.normal(size=24), random.normal(size=(1, 24)), seed=trial).tau for trial in range(200)]
    assert np.mean([tau.low <= 0 <= tau.high for tau in taus]) > 0.82
    assert abs(np.mean([tau.value for tau in taus])) < 0.03


def test_an_interval_narrows_with_the_root_of_the_number_of_architectures() -> None:
    random = np.random.default_rng(2)
    widths = []
    for count in (32, 128):
        x = random.normal(size=(20, count))
        taus = [ranking_of(row, [row + random.normal(size=count)]).tau for row in x]
        widths.append(np.mean([tau.high - tau.low for tau in taus]))
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.2)


# Regret


@pytest.mark.parametrize(
    ("scores", "regret"),
    [
        ([1, 2, 3], 0.0),  # the best one is picked: mean accuracies are 0.2, 0.5, 0.6
        ([1, 3, 2], 0.1),
        ([3, 2, 1], 0.4),
        ([3, 3, 1], 0.25),  # either of two: 0.6 less the mean of 0.2 and 0.5
        ([7, 7, 7], 0.6 - 1.3 / 3),
    ],
)
def test_regret_is_what_the_pick_lacks_of_the_best_mean_accuracy(scores: list[float], regret: float) -> None:
    assert ranking_of(scores, [[0.1, 0.6, 0.5], [0.3, 0.4, 0.7]]).regret == pytest.approx(regret)


def test_regret_does_not_depend_on_the_order_of_the_architectures() -> None:
    scores, accuracies = with_ties(5, 20)
    order = np.random.default_rng(0).permutation(20)
    shuffled = ranking_of(scores[order], accuracies[:, order])
    assert ranking_of(scores, accuracies).regret == pytest.approx(shuffled.regret)


# Nothing to correlate


def test_a_constant_score_has_no_tau_but_a_regret_and_is_a_dash() -> None:
    found = ranking_of([1.0] * 6, [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]])
    assert isnan(found.tau.value)
    assert isnan(found.spearman.low)
    assert (str(found.tau), found.tau.estimate, found.tau.order) == ("-", "-", -inf)
    assert found.regret == pytest.approx(0.25)
    assert isnan(advantage_of([1.0] * 4, [1, 2, 3, 4], [[0.1, 0.2, 0.3, 0.4]]).value)
    assert str(ceiling_of([[0.5] * 4, [0.1, 0.2, 0.3, 0.4]])) == "-"


def test_resamples_of_but_one_value_do_not_spoil_an_interval() -> None:
    # Of 4 architectures one resample in 64 holds a single one, and in more the lone better accuracy is missing.
    found = ranking_of([1, 2, 3, 4], [[0.5, 0.5, 0.5, 0.6]])
    assert found.tau.value == pytest.approx(kendalltau([1, 2, 3, 4], [0.5, 0.5, 0.5, 0.6]).statistic)
    assert 0 < found.tau.low <= found.tau.high <= 1


# As text and JSON


def test_an_interval_reads_as_estimate_and_bounds() -> None:
    assert str(Interval(0.654, 0.55, 0.749)) == "0.65 [0.55, 0.75]"
    assert Interval(-0.1, -0.2, 0.0).estimate == "-0.10"


def test_a_ranking_comes_back_from_strict_json() -> None:
    for scores in ([1, 3, 2, 4, 5], [1, 1, 1, 1, 1]):
        found = ranking_of(scores, [[0.1, 0.2, 0.3, 0.4, 0.5]])
        again = Ranking.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
        assert repr(again) == repr(found)  # nan equals nothing, not even itself
    assert Interval(nan, nan, nan).to_dict() == {"value": None, "low": None, "high": None}
    assert RESAMPLES >= 1000
