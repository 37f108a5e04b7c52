"""The scores' rows: the same names as proxies.zero_cost.rows has, and what each makes of made-up evidence."""

from typing import Any

import pytest

from proxies.zero_cost.rows import ZERO_COST
from search_space import PRESETS
from studies.calibration.scores import AT_INITIALISATION, BASELINES, SHORT_TRAINING, Evidence, pooled_scores
from studies.calibration.smoothing import pooled
from studies.facts import TrainingFacts

CURVES: dict[str, Any] = {
    "training_losses": [2.0, 1.5, 1.0, 0.5],
    "validation_losses": [1.6, 0.9],
    "validation_accuracies": [0.4, 0.7],
    "num_classes": 10,
}
ZERO = {name: float(number) for number, name in enumerate(AT_INITIALISATION)}


def evidence(**changes: Any) -> Evidence:
    return Evidence(PRESETS["v2-1.0x"], 145_000_000, 2_300_000, ZERO, TrainingFacts({**CURVES, **changes}))


def test_every_score_at_initialisation_is_a_row_of_the_proxies_and_the_other_way_round() -> None:
    assert set(AT_INITIALISATION) == set(ZERO_COST)
    for name, score in AT_INITIALISATION.items():
        assert score.of(evidence()) == ZERO[name]


def test_every_score_at_initialisation_names_the_same_paper_as_the_proxies() -> None:
    for name, score in AT_INITIALISATION.items():
        number = score.source.rsplit(" ", 1)[1].removesuffix("v1")
        assert number in ZERO_COST[name].paper, name


def test_rows_stand_under_their_own_names_and_no_name_stands_twice() -> None:
    tables = (BASELINES, AT_INITIALISATION, SHORT_TRAINING)
    for table in tables:
        assert all(score.name == name and score.source for name, score in table.items())
    assert len({name for table in tables for name in table}) == sum(map(len, tables))


@pytest.mark.parametrize(
    ("name", "value"),
    [("flops", 145e6), ("params", 2.3e6), ("accuracy", 0.7), ("loss", -0.9), ("tse", -5.0), ("tse_last", -0.5)],
)
def test_a_scores_value_by_hand(name: str, value: float) -> None:
    assert {**BASELINES, **SHORT_TRAINING}[name].of(evidence()) == value


def test_of_eight_epochs_the_last_two_are_summed() -> None:
    losses = [1.0] * 6 + [0.5, 0.25]
    assert SHORT_TRAINING["tse_last"].of(evidence(training_losses=losses)) == -0.75


def test_higher_is_better_for_every_score_of_a_training() -> None:
    better = evidence(training_losses=[1.9, 1.4, 0.9, 0.4], validation_losses=[0.8], validation_accuracies=[0.8])
    for score in SHORT_TRAINING.values():
        assert score.of(better) > score.of(evidence())


def test_pooled_scores_are_the_regressions() -> None:
    given = [
        Evidence(preset, 10**8 + number, 10**6, ZERO, TrainingFacts(CURVES))
        for number, preset in enumerate(PRESETS.values())
    ]
    scores = [0.1 * (number % 5) for number in range(len(given))]
    assert pooled_scores(scores, given) == pooled(
        [(each.architecture, each.macs, each.params) for each in given], scores
    )
