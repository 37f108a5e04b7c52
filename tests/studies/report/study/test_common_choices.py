"""What the front has in common: importances that find what mattered, and shares counted by hand."""

import re
from dataclasses import replace
from fractions import Fraction

import optuna
import pytest
from builders.fronts import FRONT, RECORDS
from builders.records import record
from builders.sections import content_of

from search_space import PRESETS
from studies.report.study.common_choices import (
    LEAST_TRIALS,
    Importances,
    choice_rows,
    importance_figure,
    importances_of,
    winners_section,
)
from studies.report.study.guidelines import guidelines_section, in_words


def study_of(trials: int, narrowed: bool = False) -> optuna.Study:
    """Accuracy follows `depth`, latency follows `width`, and `noise` does nothing but, if asked to, narrow `depth`."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        noise = trial.suggest_int("noise", 1, 8)
        depth = trial.suggest_int("depth", 1, 1 + noise % 8 if narrowed else 8)
        return depth / 8, float(trial.suggest_int("width", 1, 8))

    study.optimize(objective, n_trials=trials)
    return study


def test_the_choice_that_decides_is_the_most_important_and_optuna_says_the_same() -> None:
    study = study_of(60)
    found = importances_of(study)
    assert found is not None
    assert max(found.shares["accuracy"], key=found.shares["accuracy"].__getitem__) == "depth"
    assert max(found.shares["latency_ms"], key=found.shares["latency_ms"].__getitem__) == "width"
    assert found.shares["accuracy"]["noise"] < 0.1
    assert found.narrowed == ()
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    expected = optuna.importance.get_param_importances(study, evaluator=evaluator, target=lambda t: t.values[0])
    assert found.shares["accuracy"] == pytest.approx(expected)


def test_a_choice_of_which_some_were_offered_less_is_not_left_out_and_is_named() -> None:
    study = study_of(80, narrowed=True)
    found = importances_of(study)
    assert found is not None
    assert found.narrowed == ("depth",)
    assert max(found.shares["accuracy"], key=found.shares["accuracy"].__getitem__) == "depth"
    assert sum(found.shares["accuracy"].values()) == pytest.approx(1)
    page = content_of(winners_section(FRONT, RECORDS, found))
    assert "Not every network was offered every value of depth, since" in page
    assert "Not every" not in content_of(winners_section(FRONT, RECORDS, importances_of(study_of(60))))


def test_the_bars_have_room_for_each_name() -> None:
    shares = {f"parameter_{number}": 1 / 40 for number in range(40)}
    figure = importance_figure(Importances({"accuracy": shares, "latency_ms": shares}))
    assert figure.layout.height >= 40 * 20, "20 px a line"
    assert figure.layout.yaxis.dtick == 1


def test_of_few_trials_no_importance_is_told() -> None:
    assert importances_of(study_of(LEAST_TRIALS - 1)) is None
    assert f"once {LEAST_TRIALS} networks differ" in content_of(winners_section(FRONT, RECORDS, None))


def test_where_all_reached_the_same_no_importance_is_told() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(lambda trial: (1.0, float(trial.suggest_int("width", 1, 8))), n_trials=LEAST_TRIALS + 5)
    assert importances_of(study) is None


def test_the_shares_by_stage_are_counted() -> None:
    front = [record(PRESETS[name], 0.5, 1.0) for name in ("v1-1.0x-g3", "v1-1.0x-g8", "v2-1.0x", "v2-0.5x")]
    page = content_of(winners_section(front, front[:2], None))
    rows = re.findall(r'<td class="text">(\w+)</td><td class="text">([^<]+)</td>(.*?)</tr>', page)
    shares = {row[:2]: re.findall(r">(\d+) % <span class=\"soft\">\((\d+) %\)", row[2]) for row in rows}
    assert shares["groups", "3"] == 3 * [("25", "50")]
    assert shares["split", "none (v1)"] == 3 * [("50", "100")]
    assert shares["depth", "4"] == [("100", "100"), ("0", "0"), ("100", "100")]
    assert not {row[0] for row in rows} & {"Xception", "stem", "shuffle", "residual", "bottleneck"}, "none differs"


def test_what_was_chosen_for_the_whole_network_is_counted_once() -> None:
    v1, v2 = PRESETS["v1-1.0x-g3"], PRESETS["v2-1.0x"]
    xception = replace(v2.stages[1], xception=True)
    networks = [
        replace(v1, bottleneck=Fraction(1, 2), stem=12),
        replace(v1, shuffle=False),
        replace(v2, stages=(v2.stages[0], xception, v2.stages[2])),
        replace(v2, residual=True),
    ]
    records = [record(network, 0.5, 1.0 + place) for place, network in enumerate(networks)]
    rows = {(row.choice, row.value): row.shares for row in choice_rows(records[:2], records)}
    assert rows["Xception", "yes"] == ((0, 0), (0, 0.25), (0, 0))
    assert rows["unit", "v1"] == ((1, 0.5),)
    assert rows["stem", "12"] == ((0.5, 0.25),)
    assert rows["shuffle", "no"] == ((0.5, 0.25),)
    assert rows["residual", "yes"] == ((0, 0.25),)
    assert rows["bottleneck", "1/2"] == rows["bottleneck", "1/4"] == ((0.5, 0.25),)
    assert rows["bottleneck", "none (v2)"] == ((0, 0.5),)
    assert not {choice for choice, _ in rows} & {"activation", "pre-depthwise", "image px"}
    assert '<td class="number" colspan="3" style' in content_of(winners_section(records[:2], records, None))


def test_a_choice_that_no_unit_of_the_search_has_is_no_bar() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        trial.suggest_categorical("unit", ["v1"])
        trial.suggest_categorical("split_2", ["1/4", "1/2"])
        return trial.suggest_int("depth_2", 1, 8) / 8, trial.suggest_int("groups_2", 1, 8) / 8

    study.optimize(objective, n_trials=30)
    found = importances_of(study)
    assert found is not None
    assert found.shares["accuracy"].keys() == {"unit", "depth_2", "groups_2"}


def test_an_empty_front_has_no_section() -> None:
    assert winners_section([], RECORDS, None) is None
    assert guidelines_section([], []) is None


def test_differences_are_told_in_words() -> None:
    from search_space.guidelines import guidelines_of

    v2, v1 = guidelines_of(PRESETS["v2-1.0x"]), guidelines_of(PRESETS["v1-1.0x-g3"])
    assert "fewer FLOPs in groups" in in_words(v2, v1, "v1-1.0x-g3")
    assert "more FLOPs in groups" in in_words(v1, v2, "v2-1.0x")
    assert in_words(v2, v2, "v2-1.0x") == "much the same beside v2-1.0x"
