"""The prior: against closed forms and scikit-learn's Bayesian ridge by hand, its signs, and how sure it is where."""

from dataclasses import replace
from fractions import Fraction
from math import exp, log, sqrt

import numpy as np
import pytest

from search_space import PRESETS, Architecture, Budget, InputError, SearchSpace, cost_of
from search_space.choosers import RandomChooser
from studies.calibration.accuracy_prior import (
    FEATURES,
    UNEXPLAINED,
    AccuracyPrior,
    Label,
    features_of,
    fit_prior,
    left_out_estimates,
    log_odds,
    reference_macs,
)
from studies.calibration.known_trainings import known_trainings, published_labels

V2 = PRESETS["v2-1.0x"]
NAMES = list(FEATURES)


def drawn(count: int) -> list[Architecture]:
    space = SearchSpace.default(Budget.parse("140mflops"))
    return [space.suggest(RandomChooser(seed)) for seed in range(count)]


def value_of(name: str, architecture: Architecture) -> float:
    return dict(zip(NAMES, features_of(architecture, reference_macs(architecture)), strict=True))[name]


def with_stages(architecture: Architecture, **changes: object) -> Architecture:
    return replace(architecture, stages=tuple(replace(stage, **changes) for stage in architecture.stages))


# Features


def test_features_of_the_anchor_by_hand() -> None:
    macs = cost_of(V2).macs
    assert macs == 144_907_992
    assert features_of(V2, macs) == pytest.approx((log(1.44907992), *[0.0] * (len(NAMES) - 1)))


def test_features_of_other_networks_by_hand() -> None:
    assert value_of("unit v1", PRESETS["v1-1.0x-g3"]) == 1
    assert value_of("log groups, v1", PRESETS["v1-1.0x-g3"]) == pytest.approx(log(3))
    assert value_of("log groups, v2", PRESETS["v1-1.0x-g3"]) == 0
    assert value_of("squeeze-and-excitation", PRESETS["v2-se-1.0x"]) == 1
    assert value_of("kernel", with_stages(V2, kernel=5)) == 1
    assert value_of("no shuffle", replace(PRESETS["v1-1.0x-g8"], shuffle=False)) == pytest.approx(log(8))
    assert value_of("log split", with_stages(V2, split=Fraction(1, 4))) == pytest.approx(log(0.5))
    assert value_of("hard swish", replace(V2, activation="hardswish")) == 1
    deeper = replace(V2, stages=tuple(replace(stage, depth=2 * stage.depth) for stage in V2.stages))
    assert value_of("log depth", deeper) == pytest.approx(log(2))
    xception = replace(V2, stages=(*V2.stages[:1], replace(V2.stages[1], xception=True), *V2.stages[2:]))
    assert value_of("xception", xception) == 8 / 16
    assert value_of("log depth", xception) == 0, "a unit is a unit, whatever its main branch holds"
    wider = replace(PRESETS["v1-1.0x-g3"], bottleneck=Fraction(1, 2))
    assert value_of("log bottleneck, v1", wider) == pytest.approx(log(2))


# The fit


def test_without_labels_the_prior_is_what_the_literature_expects() -> None:
    prior = fit_prior([])
    assert prior.weights == pytest.approx([feature.expected for feature in FEATURES.values()])
    assert np.sqrt(np.diag(prior.covariance)) == pytest.approx([each.deviation for each in FEATURES.values()])


def test_the_fit_is_the_posterior_of_bayesian_linear_regression() -> None:
    """Bishop 2006, eq. 3.50 and 3.51, with a nearly flat prior on the level."""
    random = np.random.default_rng(0)
    labels = [Label(each, float(random.uniform(0.6, 0.8)), "a") for each in drawn(40)]
    x = np.array([[1.0, *features_of(each.architecture, reference_macs(each.architecture))] for each in labels])
    y = np.array([log_odds(each.accuracy) for each in labels])
    mean = np.array([0.0, *(feature.expected for feature in FEATURES.values())])
    precision = np.diag([1e-4, *(feature.deviation**-2 for feature in FEATURES.values())])
    covariance = np.linalg.inv(precision + x.T @ x / UNEXPLAINED**2)
    expected = covariance @ (precision @ mean + x.T @ y / UNEXPLAINED**2)
    bounds = [feature.least for feature in FEATURES.values()]
    assert (expected[1:] > bounds).all(), "no bound is met here"
    prior = fit_prior(labels)
    assert prior.weights == pytest.approx(expected[1:], abs=1e-6)
    assert np.array(prior.covariance) == pytest.approx(covariance[1:, 1:], abs=1e-8)


def test_a_level_of_its_own_for_each_data_set_leaves_the_weights_alone() -> None:
    labels = list(published_labels())
    harder = [replace(each, accuracy=1 / (1 + exp(1 - log_odds(each.accuracy))), data="harder") for each in labels]
    alike = fit_prior([*labels, *(replace(each, data="again") for each in labels)])
    assert fit_prior([*labels, *harder]).weights == pytest.approx(alike.weights, abs=1e-4)


@pytest.mark.parametrize("worth", [-3.0, -0.5])
def test_more_flops_never_lower_a_prediction_whatever_was_trained(worth: float) -> None:
    labels = [Label(each, 1 / (1 + exp(-worth * log(reference_macs(each) / 1e8))), "odd") for each in drawn(60)]
    weights = dict(zip(NAMES, fit_prior(labels).weights, strict=True))
    assert weights["log FLOPs"] == pytest.approx(0, abs=1e-6)
    prior = fit_prior(labels)
    assert prior.predict(V2, 200_000_000).log_odds >= prior.predict(V2, 100_000_000).log_odds - 1e-9


def test_left_out_estimates_are_those_of_a_prior_that_never_saw_the_network() -> None:
    labels = list(published_labels())
    estimate = left_out_estimates(labels, [3])[0]
    assert estimate == fit_prior([*labels[:3], *labels[4:]]).predict(labels[3].architecture)
    wrong = [replace(each, accuracy=0.01) if place == 3 else each for place, each in enumerate(labels)]
    assert left_out_estimates(wrong, [3])[0] == estimate


# How sure it is


def test_outside_the_range_of_the_fit_the_deviation_grows() -> None:
    prior = fit_prior([label for label in known_trainings().examples["short"] for label in [label.label]])
    inside = prior.predict(V2).deviation
    assert inside >= UNEXPLAINED
    large = replace(V2, stages=tuple(replace(stage, width=8 * stage.width) for stage in V2.stages))
    odd = with_stages(replace(V2, activation="hardswish"), kernel=7)
    for architecture in (large, odd):
        assert prior.predict(architecture).deviation > 1.05 * inside
    far = [prior.predict(V2, int(macs)).deviation for macs in (1.5e8, 1e9, 1e10)]
    assert far == sorted(far)
    assert far[2] > 1.5 * far[0]


def test_what_is_left_unexplained_is_what_networks_left_out_are_off_by() -> None:
    known = known_trainings()
    labels = [*(each.label for each in known.examples["short"]), *known.labels]
    count = len(known.examples["short"])
    off = [
        log_odds(label.accuracy) - estimate.log_odds
        for label, estimate in zip(labels, left_out_estimates(labels, range(count)), strict=False)
    ]
    assert float(np.std(off)) == pytest.approx(UNEXPLAINED, abs=0.01)


def test_it_orders_the_published_networks_as_they_were_trained() -> None:
    """The order of 16 epochs on CIFAR-10: V2 1.0x, then V1 1x, then the two of 40 MFLOPs."""
    known = known_trainings()
    prior = fit_prior([*(each.label for each in known.examples["short"]), *known.labels])
    found = {name: prior.predict(PRESETS[name]).log_odds for name in ("v2-1.0x", "v1-1.0x-g8", "v1-0.5x-g3", "v2-0.5x")}
    assert found["v2-1.0x"] > found["v1-1.0x-g8"] > max(found["v1-0.5x-g3"], found["v2-0.5x"])


def test_published_networks_are_there_once_each() -> None:
    labels = published_labels()
    assert len({label.architecture.key() for label in labels}) == len(labels) >= 20
    by_key = {label.architecture.key(): label.accuracy for label in labels}
    assert by_key[V2.key()] == pytest.approx(0.694)
    assert by_key[replace(PRESETS["v1-1.0x-g8"], shuffle=False).key()] == pytest.approx(0.624)


def test_it_is_plain_json_and_comes_back() -> None:
    prior = fit_prior(published_labels())
    again = AccuracyPrior.from_dict(prior.to_dict())
    assert again == prior
    assert sqrt(again.covariance[0][0]) < FEATURES["log FLOPs"].deviation


def test_one_that_was_kept_before_a_feature_came_knows_of_it_what_the_literature_does() -> None:
    prior = fit_prior(published_labels())
    kept = prior.to_dict()
    place = NAMES.index("xception")
    for key in ("features", "weights", "lowest", "highest"):
        kept[key] = [value for number, value in enumerate(kept[key]) if number != place]
    rows = [row for number, row in enumerate(kept["covariance"]) if number != place]
    kept["covariance"] = [[value for number, value in enumerate(row) if number != place] for row in rows]
    again = AccuracyPrior.from_dict(kept)
    assert again.weights == pytest.approx(prior.weights)
    assert np.array(again.covariance) == pytest.approx(np.array(prior.covariance))
    assert (again.lowest, again.highest) == (prior.lowest, prior.highest), "no published network has the feature"
    with pytest.raises(InputError, match=r"'luck'.*newer version"):
        AccuracyPrior.from_dict({**kept, "features": [*kept["features"][:-1], "luck"]})
