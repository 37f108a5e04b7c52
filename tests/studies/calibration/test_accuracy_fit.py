"""The prediction of full accuracy: its signs, its corrections by hand, and its level."""

import json
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from search_space import PRESETS, Budget, SearchSpace
from search_space.choosers import RandomChooser
from studies.calibration.accuracy_fit import (
    AccuracyFit,
    Example,
    KnownTrainings,
    best_fit,
    fit_accuracy,
    last_epochs,
    progress_of,
)
from studies.calibration.accuracy_prior import fit_prior, log_odds
from studies.calibration.known_trainings import known_trainings, published_labels, shipped_fit
from studies.facts import TrainingFacts

V2 = PRESETS["v2-1.0x"]


def training(losses: list[float], validation: float, classes: int = 10) -> TrainingFacts:
    return TrainingFacts({"training_losses": losses, "validation_losses": [9.0, validation], "num_classes": classes})


def with_loss(share: float) -> TrainingFacts:
    """A training whose losses are this share of chance's."""
    return training([5.0, *[share * log(10)] * 3], share * log(10))


def examples(count: int = 24, data: str = "mine", noise: float = 0.01, seed: int = 0) -> list[Example]:
    """Networks whose log-odds are the prior's and what their losses say beyond it."""
    random = np.random.default_rng(seed)
    space, prior = SearchSpace.default(Budget.parse("140mflops")), fit_prior([])
    found = []
    for number in range(count):
        architecture = space.suggest(RandomChooser(1000 * seed + number))
        own = 0.2 * float(random.normal())
        odds = 1.5 + prior.predict(architecture).log_odds + own + noise * float(random.normal())
        found.append(Example(architecture, with_loss(0.7 * exp(-own / 2)), (1 / (1 + exp(-odds)),), data))
    return found


# Progress


def test_progress_is_the_mean_logarithm_of_losses_as_shares_of_chance_without_the_first_epoch() -> None:
    chance = log(10)
    found = progress_of(training([50.0, chance / 2, chance / 4], chance / 3))
    assert found == pytest.approx(-0.5 * (log(3 / 8) + log(1 / 3)))


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("epochs", [1, 4, 12])
def test_a_network_that_guesses_has_come_nowhere_whatever_the_classes_and_epochs(classes: int, epochs: int) -> None:
    assert progress_of(training([log(classes)] * epochs, log(classes), classes)) == pytest.approx(0)


@pytest.mark.parametrize(("epochs", "last"), [(1, 1), (2, 1), (4, 1), (8, 2), (12, 3), (100, 25)])
def test_a_quarter_of_the_epochs_are_the_last_ones_and_at_least_one(epochs: int, last: int) -> None:
    assert last_epochs(epochs) == last


# The fit


def test_the_fit_finds_what_the_examples_were_made_of() -> None:
    fit, left_out = fit_accuracy(examples(60))
    assert fit.of_prior == pytest.approx(1, abs=0.1)
    assert fit.of_progress == pytest.approx(2, abs=0.2)
    assert fit.deviation < 0.1, "a prior of 60 networks takes some of what is their own for what they have in common"
    off = np.abs(np.array(left_out) - [each.accuracies[0] for each in examples(60)])
    assert np.median(off) < 0.02


def test_a_lower_loss_never_lowers_a_prediction_even_where_the_examples_say_so() -> None:
    backwards = [replace(each, accuracies=(1 - each.accuracies[0],)) for each in examples(30)]
    for fit in (fit_accuracy(backwards)[0], fit_accuracy(examples())[0], shipped_fit("short")):
        predicted = [fit.predict(V2, with_loss(share)) for share in (0.2, 0.5, 0.9, 1.0)]
        assert predicted == sorted(predicted, reverse=True)


def test_the_fit_that_ships_is_not_fooled_as_the_first_one_was() -> None:
    """Ten classes, equal training losses: a validation loss of 1.2 was worth less than guessing's 2.3."""
    fit = shipped_fit("short")
    losses = [2.2, 1.9, 1.8, 1.7]
    good, guessing = (fit.predict(V2, training(losses, loss)) for loss in (1.2, 2.3))
    assert good > guessing
    assert fit.of_prior > 0
    assert fit.of_progress > 0
    assert not fit.is_level_known


def test_another_networks_accuracy_does_not_move_a_left_out_prediction_of_itself() -> None:
    given = examples(20)
    changed = [replace(each, accuracies=(0.5,)) if place == 7 else each for place, each in enumerate(given)]
    assert fit_accuracy(given)[1][7] == pytest.approx(fit_accuracy(changed)[1][7], abs=1e-6)


def test_data_sets_of_different_levels_are_never_compared() -> None:
    others = examples(24, "theirs", seed=1)
    easy = [replace(each, accuracies=(1 / (1 + exp(-2 - log_odds(each.accuracies[0]))),)) for each in others]
    alike, apart = fit_accuracy([*others, *examples()]), fit_accuracy([*easy, *examples()])
    assert apart[0].of_progress == pytest.approx(alike[0].of_progress, abs=1e-4)
    assert apart[0].level == pytest.approx(alike[0].level, abs=1e-4), "that of the last example's data"
    assert apart[1][-1] == pytest.approx(alike[1][-1], abs=1e-4)


# Level and error


def test_the_level_is_where_the_networks_of_these_data_lie() -> None:
    fit, _ = fit_accuracy(examples())
    low = [replace(each, accuracies=(1 / (1 + exp(3 - log_odds(each.accuracies[0]))),)) for each in examples()]
    moved = fit.at_level(low)
    assert moved.level == pytest.approx(fit.level - 3, abs=1e-6)
    assert moved.is_level_known
    assert fit.at_level([]) == fit


def test_an_error_is_the_deviation_at_the_accuracy() -> None:
    fit = replace(fit_accuracy(examples())[0], deviation=0.1, level=log(4))
    assert fit.error == pytest.approx(0.8 * 0.2 * 0.1)


def test_a_network_outside_the_ground_of_the_prior_has_a_wider_error() -> None:
    fit = shipped_fit("short")
    huge = replace(V2, stages=tuple(replace(stage, width=8 * stage.width) for stage in V2.stages))
    assert fit.score(huge, with_loss(0.7)).deviation > 1.2 * fit.score(V2, with_loss(0.7)).deviation


def test_it_is_strict_json_and_comes_back() -> None:
    fit, _ = fit_accuracy(examples())
    assert AccuracyFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False))) == fit


# The user's own data


def test_of_the_fit_that_ships_and_the_refitted_one_the_better_on_the_users_networks_is_taken() -> None:
    known = known_trainings()
    alike = best_fit(examples(24), KnownTrainings({"short": examples(26, "theirs", seed=1)}, known.labels), "short")[0]
    assert alike.is_level_known
    misleading = [replace(each, accuracies=(1 - each.accuracies[0],)) for each in examples(26, "theirs", seed=1)]
    refitted, left_out = best_fit(examples(60), KnownTrainings({"short": misleading}), "short")
    assert refitted.source == "refitted with 60 networks of these data"
    assert len(left_out) == 60


def test_few_networks_of_ones_own_do_not_outvote_what_ships() -> None:
    own = [replace(each, accuracies=(0.5 + 0.1 * (place % 2),)) for place, each in enumerate(examples(4))]
    fit, left_out = best_fit(
        own, KnownTrainings({"short": examples(26, "theirs", seed=1)}, published_labels()), "short"
    )
    assert fit.of_progress > 0.5
    assert len(left_out) == 4
