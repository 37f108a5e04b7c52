"""What a calibration makes of trainings: rows, verdicts, what is left out, and that it comes back from JSON."""

import json
from dataclasses import replace
from math import isnan
from statistics import median

import pytest
from builders.calibrations import SHORT, calibration, made, networks
from sqlalchemy import Engine, create_engine, text

from search_space.errors import InputError
from studies.calibration import store as calibrations
from studies.calibration.results import (
    FEWEST,
    PREDICTION,
    RIVALS,
    Trained,
    calibration_of,
    members_of,
    predictions_of,
    scores_of,
    verdict_of,
)
from studies.calibration.scores import AT_INITIALISATION
from studies.calibration.store import from_dict, keep, newest, to_dict
from studies.ledger.trainings import Evaluations
from studies.ranking import advantage_of, ceiling_of, ranking_of
from studies.storage.studies import check_storage, open_storage


def accuracies_of(members: list[Trained]) -> list[list[float]]:
    return [[member.accuracies[seed] for member in members] for seed in (0, 1)]


# Rows


def test_there_is_a_row_for_every_score_and_recipe_and_none_twice() -> None:
    of_training = ("accuracy", "loss", "tse", "tse_last", "prediction", "pooled")
    expected = [(name, "") for name in ("flops", "params", *AT_INITIALISATION, "prior")]
    expected += [(name, recipe) for recipe in ("short", "long") for name in of_training]
    assert [(row.score, row.recipe) for row in calibration().rows] == expected
    assert calibration().sets == ("stratified", "equal")
    assert calibration().row("tse", "long").recipe == "long"


def test_a_rows_rankings_are_those_of_the_sets_members_against_every_seed() -> None:
    for name in ("stratified", "equal"):
        members = [network for network in networks() if name in network.sets]
        labels = accuracies_of(members)
        by_hand = ranking_of([-sum(each.trainings["short"].training_losses) for each in members], labels)
        assert calibration().row("tse", "short").rankings[name] == by_hand
        assert calibration().row("params").rankings[name] == ranking_of([each.params for each in members], labels)
        assert calibration().ceilings[name] == ceiling_of(labels)
        means = [(a + b) / 2 for a, b in zip(*labels, strict=True)]
        assert calibration().accuracy_range(name) == pytest.approx((min(means), max(means)))


def test_a_score_that_knows_the_quality_ranks_near_the_ceiling_and_noise_does_not() -> None:
    for name in ("stratified", "equal"):
        ceiling = calibration().ceilings[name].value
        assert ceiling > 0.6
        assert calibration().row("tse", "short").rankings[name].tau.value > ceiling - 0.15
        assert calibration().row(PREDICTION, "short").rankings[name].tau.value > ceiling - 0.2
        assert abs(calibration().row("zico").rankings[name].tau.value) < 0.5


def test_an_advantage_is_over_the_best_rival_of_each_set() -> None:
    for name in ("stratified", "equal"):
        members = [network for network in networks() if name in network.sets]
        labels = accuracies_of(members)
        by_rival = {
            "flops": [float(each.macs) for each in members],
            "params": [float(each.params) for each in members],
            "naswot": [each.zero_cost["naswot"] for each in members],
        }
        taus = {rival: calibration().row(rival).rankings[name].tau.value for rival in RIVALS}
        best = max(RIVALS, key=lambda rival: -2 if isnan(taus[rival]) else taus[rival])
        mine = [-sum(each.trainings["short"].training_losses) for each in members]
        expected = advantage_of(mine, by_rival[best], labels)
        assert calibration().row("tse", "short").advantages[name] == expected
        assert calibration().row(best).advantages[name].value == 0


def test_prices_are_medians_and_what_is_counted_costs_nothing() -> None:
    assert calibration().row("flops").seconds == 0
    assert calibration().row("naswot").seconds == median(0.1 + number for number in range(24))
    assert {calibration().row(name, "short").seconds for name in ("tse", PREDICTION, "pooled")} == {41.5}
    assert calibration().row("accuracy", "long").seconds == 90


# What is missing


def test_a_network_without_full_training_is_pooled_but_not_ranked() -> None:
    unlabelled = replace(networks()[0], accuracies=())
    some = (unlabelled, *networks()[1:])
    found = calibration_of(made(), some, ["short"])
    assert found.row("tse", "short").rankings["stratified"].architectures == 11
    assert members_of(some, "stratified") == list(networks()[1:12])
    scores, fits = scores_of(some, ["short"])
    assert fits["short"].networks == 23
    key = unlabelled.architecture.key()
    assert scores["pooled", "short"].keys() == {each.architecture.key() for each in some}
    # The fit that all the others made is what says how it scores.
    assert scores[PREDICTION, "short"][key] == fits["short"].predict(
        unlabelled.architecture, unlabelled.trainings["short"]
    )


def test_what_a_network_is_predicted_does_not_depend_on_its_own_accuracy() -> None:
    _, before = predictions_of(networks(), "short")
    luck = 0.1
    lucky = replace(networks()[3], accuracies=tuple(each + luck for each in networks()[3].accuracies))
    _, after = predictions_of((*networks()[:3], lucky, *networks()[4:]), "short")
    key, other = lucky.architecture.key(), networks()[4].architecture.key()
    assert after[key] == pytest.approx(before[key])
    assert after[other] != pytest.approx(before[other], abs=1e-6)


def test_a_set_with_too_few_full_trainings_is_not_ranked() -> None:
    some = [
        each if number < 12 + FEWEST - 1 else replace(each, accuracies=()) for number, each in enumerate(networks())
    ]
    found = calibration_of(made(), some, ["short"])
    assert found.sets == ("stratified",)
    assert set(found.ceilings) == {"stratified"}
    assert "at equal FLOPs" not in verdict_of(found, "short")


def test_sets_of_too_few_each_leave_a_fit_and_no_ranking() -> None:
    some = [
        each if number in (0, 1, 12, 13) else replace(each, accuracies=()) for number, each in enumerate(networks())
    ]
    found = calibration_of(made(), some, ["short"])
    assert (found.sets, found.ceilings) == ((), {})
    assert found.fits["short"].networks == 4
    assert verdict_of(found, "short") == "SHORT: too few architectures were fully trained to rank by"


@pytest.mark.parametrize("labelled", [0, 1, 3])
def test_fewer_full_trainings_than_a_fit_needs_leave_neither_fit_nor_prediction(labelled: int) -> None:
    some = [each if number < labelled else replace(each, accuracies=()) for number, each in enumerate(networks())]
    found = calibration_of(made(), some, ["short"])
    assert (found.sets, found.ceilings, found.fits) == ((), {}, {})
    assert not {PREDICTION, "pooled"} & {row.score for row in found.rows}
    assert verdict_of(found, "short") == "SHORT: too few architectures were fully trained to rank by"


def test_nothing_trained_is_a_calibration_without_rows() -> None:
    found = calibration_of(made(), [], ["short"])
    assert (found.rows, found.sets, found.fits) == ((), (), {})


def test_one_seed_has_no_ceiling() -> None:
    found = calibration(seeds=1)
    assert found.ceilings == {}
    assert found.sets == ("stratified", "equal")
    assert "(seed ceiling unknown; " in verdict_of(found, "short")


def test_a_network_of_both_sets_counts_in_both() -> None:
    both = [replace(each, sets=("stratified", "equal")) for each in networks()[:6]]
    found = calibration_of(made(), both, ["short"])
    row = found.row("tse", "short")
    assert row.rankings["stratified"] == row.rankings["equal"]
    assert row.rankings["equal"].architectures == 6


def test_a_score_that_is_the_same_for_all_has_no_tau_and_is_no_rival() -> None:
    row = calibration().row("flops")
    assert isnan(row.rankings["equal"].tau.value)
    assert str(row.rankings["equal"].tau) == "-"
    assert isnan(row.advantages["equal"].value)
    assert not isnan(calibration().row("tse", "short").advantages["equal"].value)


# The verdict


def test_the_verdict_states_tau_ceiling_rivals_and_range_of_each_set() -> None:
    line = verdict_of(calibration(), "short")
    overall, equal = line.split("; at equal FLOPs ")
    tau = calibration().row(PREDICTION, "short").rankings["stratified"].tau
    ceiling = calibration().ceilings["stratified"].value
    assert overall.startswith(
        f"SHORT ranks over the budget's range with tau {tau} (seed ceiling {ceiling:.2f}; flops 0."
    )
    low, high = calibration().accuracy_range("equal")
    assert equal.endswith(f"; 12 networks of {100 * low:.1f} to {100 * high:.1f} %)")
    assert "flops -, params " in equal, "all FLOPs are equal there"
    assert "\n" not in line


# Kept


def test_a_calibration_comes_back_from_strict_json() -> None:
    found = replace(calibration(), made=made(failures=("v2-1 full seed 0: killed",)))
    text = json.dumps(to_dict(found), allow_nan=False)
    again = from_dict(json.loads(text))
    assert again.made == found.made
    assert again.networks == found.networks
    assert again.fits == found.fits
    assert again.ceilings == found.ceilings
    assert repr(again.rows) == repr(found.rows)  # of which some are nan, which equals nothing
    assert json.dumps(to_dict(again), allow_nan=False) == text


def test_the_newest_calibration_of_a_recipe_on_the_data_is_found(database: Engine) -> None:
    assert newest(database, made().fingerprint, SHORT.to_dict()) is None
    for made_at in (2e9, 1e9, 3e9):
        data = "other" if made_at == 3e9 else made().fingerprint
        keep(database, replace(calibration(), made=made(made_at=made_at, fingerprint=data)))
    found = newest(database, made().fingerprint, SHORT.to_dict())
    assert found is not None
    assert found.made.made_at == 2e9
    assert (found.networks, found.fits) == (calibration().networks, calibration().fits)
    assert verdict_of(found, "short") == verdict_of(calibration(), "short")
    assert newest(database, made().fingerprint, replace(SHORT, epochs=5).to_dict()) is None
    assert newest(database, "nobody's", SHORT.to_dict()) is None


def test_a_storage_of_calibrations_and_evaluations_or_studies_is_ours(database: Engine) -> None:
    url = database.url.render_as_string(hide_password=False)
    check_storage(url)
    Evaluations(database)
    check_storage(url)
    keep(database, calibration())
    check_storage(url)


def test_a_storage_of_something_else_is_refused(database: Engine) -> None:
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE customers (id INTEGER)"))
    url = database.url.render_as_string(hide_password=False)
    with pytest.raises(InputError, match=r"a storage must be empty or hold studies; .* the tables "):
        check_storage(url)


def test_a_study_may_share_a_storage_with_calibrations(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    check_storage(url)
    assert list(tmp_path.iterdir()) == [], "looking makes nothing"
    open_storage(url).engine.dispose()
    check_storage(url)
    engine = create_engine(url)
    keep(engine, calibration())
    engine.dispose()
    check_storage(url)


def test_what_is_no_database_is_told_in_one_line(tmp_path) -> None:
    (tmp_path / "notes.db").write_text("no database")
    for url in ("nonsense", f"sqlite:///{tmp_path}/notes.db"):
        with pytest.raises(InputError, match="a storage is the URL of a database"):
            check_storage(url)
    assert calibrations.TABLES == ("calibrations",)
