"""The sampler on spaces that are no networks: what it proposes, never twice, the same for a history, and how well."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import TrialState

from studies.sampling.objective_model import KnownObjectives
from studies.sampling.samplers import SAMPLERS, Ahead, sampler_for
from studies.sampling.surrogate_sampler import STARTUP_TRIALS, SurrogateSampler

SPACE = {
    "depth": IntDistribution(1, 9),
    "rate": FloatDistribution(1e-3, 1.0, log=True),
    "kind": CategoricalDistribution(("a", "b", "c")),
}


def cost(params: Mapping[str, Any]) -> float:
    return float(params["depth"] + {"a": 0, "b": 2, "c": 4}[params["kind"]])


def loss(params: Mapping[str, Any]) -> float:
    return float(
        10 / params["depth"] + math.log10(params["rate"] / 0.1) ** 2 + {"a": 2, "b": 0.5, "c": 0}[params["kind"]]
    )


def suggested(trial: optuna.Trial) -> dict[str, Any]:
    return {
        "depth": trial.suggest_int("depth", 1, 9),
        "rate": trial.suggest_float("rate", 1e-3, 1.0, log=True),
        "kind": trial.suggest_categorical("kind", ("a", "b", "c")),
    }


def study_of(sampler: optuna.samplers.BaseSampler) -> Study:
    return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)


def run(study: Study, trials: int) -> list[dict[str, Any]]:
    for _ in range(trials):
        trial = study.ask()
        params = suggested(trial)
        study.tell(trial, [loss(params), cost(params)])
    return [trial.params for trial in study.trials]


def ours(seed: int = 0, **options: Any) -> SurrogateSampler:
    return SurrogateSampler(
        lambda params: KnownObjectives((cost(params),)), seed=seed, space=SPACE, ideal=0.0, **options
    )


def volume(study: Study) -> float:
    values = np.array([trial.values for trial in study.trials])
    points = values[(values < np.array([14.0, 13.0])).all(axis=1)]
    return float(optuna._hypervolume.compute_hypervolume(points, np.array([14.0, 13.0])))


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_the_same_seed_and_history_give_the_same_proposals_by_one_sampler_or_a_new_one_each_time() -> None:
    unbroken, resumed = run(study_of(ours()), 25), study_of(ours())
    for _ in range(25):
        resumed.sampler = ours()
        run(resumed, 1)
    assert [trial.params for trial in resumed.trials] == unbroken
    assert run(study_of(ours(seed=1)), 25) != unbroken


def test_the_start_is_spread_over_the_known_objective() -> None:
    costs = sorted(map(cost, run(study_of(ours()), STARTUP_TRIALS)))
    assert costs[0] <= 2
    assert costs[-1] >= 11
    assert np.max(np.diff(costs)) <= 4


def test_no_point_is_proposed_twice_until_all_are_had() -> None:
    space = {"x": IntDistribution(0, 4), "y": CategoricalDistribution(("a", "b", "c"))}
    study = study_of(SurrogateSampler(lambda params: KnownObjectives((float(params["x"]),)), space=space))
    for _ in range(15):
        trial = study.ask()
        x, y = trial.suggest_int("x", 0, 4), trial.suggest_categorical("y", ("a", "b", "c"))
        study.tell(trial, [len(y) - x, x])
    assert len({tuple(sorted(trial.params.items())) for trial in study.trials}) == 15


def test_points_of_one_identity_are_proposed_once() -> None:
    sampler = SurrogateSampler(
        lambda params: KnownObjectives((cost(params),), identity=(params["depth"], params["kind"])),
        space=SPACE,
        ideal=0.0,
    )
    found = [(params["depth"], params["kind"]) for params in run(study_of(sampler), 27)]
    assert len(set(found)) == 27


def test_trials_in_flight_and_queued_ones_are_not_proposed_again() -> None:
    study = study_of(ours())
    run(study, STARTUP_TRIALS + 3)
    first = suggested(study.ask())  # never told
    study.enqueue_trial(first_queued := {**first, "depth": first["depth"] % 9 + 1})
    study.ask()  # the queued one, which runs now
    assert suggested(study.ask()) not in (first, first_queued)


def test_what_is_not_allowed_or_unknown_is_not_proposed() -> None:
    def known_of(params: Mapping[str, Any]) -> KnownObjectives | None:
        if params["kind"] == "b":
            return None
        return KnownObjectives((cost(params),), allowed=params["depth"] < 7)

    proposed = run(study_of(SurrogateSampler(known_of, space=SPACE, ideal=0.0)), 30)
    assert {params["kind"] for params in proposed} == {"a", "c"}
    assert max(params["depth"] for params in proposed) < 7


def test_where_next_to_nothing_is_allowed_proposals_lead_there() -> None:
    space = {f"x{number}": IntDistribution(0, 9) for number in range(12)}

    def known_of(params: Mapping[str, Any]) -> KnownObjectives:
        total = float(sum(params.values()))
        return KnownObjectives((total,), allowed=total <= least_allowed)

    def totals(trials: int) -> list[int]:
        study = study_of(SurrogateSampler(known_of, space=space, ideal=0.0))
        found = []
        for _ in range(trials):
            trial = study.ask()
            found.append(sum(trial.suggest_int(name, 0, 9) for name in space))
            study.tell(trial, state=TrialState.PRUNED)
        return found

    least_allowed = 20  # one in 100,000 is
    assert max(totals(15)) <= least_allowed
    least_allowed = -1
    assert max(totals(15)) <= 20  # what is nearest to it


def test_without_a_space_or_foresight_both_are_learned() -> None:
    study = study_of(SurrogateSampler(seed=3))
    proposed = run(study, 40)
    assert len({tuple(sorted(params.items())) for params in proposed}) == 40


def test_failed_and_pruned_trials_count_as_held() -> None:
    study = study_of(ours())
    run(study, STARTUP_TRIALS)
    trial = study.ask()
    failed = suggested(trial)
    study.tell(trial, state=TrialState.FAIL)
    assert failed not in run(study, 5)[STARTUP_TRIALS + 1 :]


def test_a_maximised_objective_is_the_minimised_one_mirrored() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.sampler = ours()
    for _ in range(25):
        trial = study.ask()
        params = suggested(trial)
        study.tell(trial, [-loss(params), cost(params)])
    assert [trial.params for trial in study.trials] == run(study_of(ours()), 25)


def test_it_finds_more_than_random_search_does() -> None:
    ahead = Ahead(lambda params: KnownObjectives((cost(params),)), SPACE, ideal=0.0)
    found = {name: [] for name in ("surrogate", "random")}
    for name, volumes in found.items():
        for seed in range(3):
            study = study_of(sampler_for(name, seed, 0, ahead))
            run(study, 30)
            volumes.append(volume(study))
    assert min(found["surrogate"]) > max(found["random"])


def test_every_sampler_by_name_runs_on_any_space() -> None:
    for name in SAMPLERS:
        study = study_of(sampler_for(name, 1, 0))
        assert len(run(study, 3)) == 3


# What is expected of a point before anything is measured


def text(error: float = 0.0, seed: int = 0) -> SurrogateSampler:
    """A sampler that is told each point's loss beforehand, wrong by a factor and by so much for deep points."""

    def known(params: Mapping[str, Any]) -> KnownObjectives:
        expected = 1.2 * loss(params) + error * (params["depth"] - 5)
        return KnownObjectives((cost(params),), expected=(max(expected, 0.1), 0.5))

    return SurrogateSampler(known, seed=seed, space=SPACE, ideal=0.0)


def test_with_an_expectation_the_first_proposals_are_already_among_the_best() -> None:
    study = study_of(text())
    run(study, 6)
    by_chance = [loss(params) + cost(params) for params in run(study_of(SAMPLERS["random"](0, Ahead())), 60)]
    sums = [trial.values[0] + trial.values[1] for trial in study.trials]
    assert np.median(sums) < np.percentile(by_chance, 25)


def test_a_wrong_expectation_is_corrected_by_what_is_measured() -> None:
    study = study_of(text(error=-1.5))
    run(study, 40)
    misled = volume(study)
    unaided = study_of(ours())
    run(unaided, 40)
    assert misled > 0.9 * volume(unaided)


def test_expectations_of_a_maximised_objective_are_the_minimised_ones_mirrored() -> None:
    def mirrored(params: Mapping[str, Any]) -> KnownObjectives:
        return KnownObjectives((cost(params),), expected=(-1.2 * loss(params), 0.5))

    maximised = optuna.create_study(
        directions=["maximize", "minimize"], sampler=SurrogateSampler(mirrored, space=SPACE, ideal=0.0)
    )
    minimised = study_of(text())
    for _ in range(8):
        for study, sign in ((maximised, -1), (minimised, 1)):
            trial = study.ask()
            params = suggested(trial)
            study.tell(trial, [sign * loss(params), cost(params)])
    assert [trial.params for trial in maximised.trials] == [trial.params for trial in minimised.trials]


def test_what_costs_more_to_evaluate_is_proposed_less_often() -> None:
    def deep_share(price: float) -> float:
        def known(params: Mapping[str, Any]) -> KnownObjectives:
            return KnownObjectives((cost(params),), price=price if params["depth"] > 5 else 1.0)

        proposed = run(study_of(SurrogateSampler(known, space=SPACE, ideal=0.0)), 45)[STARTUP_TRIALS:]
        return float(np.mean([params["depth"] > 5 for params in proposed]))

    assert deep_share(5.0) < deep_share(1.0)
