"""What is known of a network before it is evaluated: cost, predicted latency, and whether it may be proposed."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from builders.measurements import latency
from builders.wide_space import WIDE, wide_space
from optuna.distributions import IntDistribution
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from nas.search.known_ahead import KnownAhead, distributions_of
from search_space import Architecture, Budget, SearchSpace, cost_of
from search_space.choosers import FixedChooser, RandomChooser
from search_space.plan import NO_CLASSIFIER
from search_space.precision import FP32, INT8, PRECISIONS
from search_space.task import DETECTION_BACKBONE, TASKS
from studies.calibration.known_trainings import shipped_fit
from studies.facts import LatencyFacts, TrainingFacts
from studies.latency.prior import ENOUGH, expected_latency, shipped_prior
from studies.record import Record, attributes_of
from studies.sampling.encoding import draw
from studies.sampling.objective_model import KnownObjectives
from studies.storage.studies import open_storage, open_study

SPACE = SearchSpace.default(Budget.parse("140mflops"))
ANCHOR_MS, ANCHOR_MACS = 4.0, 145_000_000
MS_PER_MAC = ANCHOR_MS / ANCHOR_MACS


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    yield open_study(storage, "one", {}, resume=False)
    storage.engine.dispose()


def tell(study: Study, count: int, ms_per_mac: float) -> None:
    """Trials of random networks, whose latency is FLOPs times a rate."""
    for seed in range(count):
        chooser = RandomChooser(seed)
        architecture = SPACE.suggest(chooser)
        macs = cost_of(architecture).macs
        latency = {"latency_ms": macs * ms_per_mac, "spread": 0.01, "noisy": False, "seconds": 1.0}
        training = {"seconds": 1.0, "validation_accuracies": [0.5]}
        record = Record.of_parts(
            architecture, cost_of(architecture), LatencyFacts(latency), TrainingFacts(training), "here"
        )
        trial = study.ask()
        for name, value in attributes_of(record).items():
            trial.set_user_attr(name, value)
        study.tell(trial, [0.5, record.latency_ms])


def params(seed: int) -> dict[str, object]:
    chooser = RandomChooser(seed)
    SPACE.suggest(chooser)
    return chooser.params


def by_prior_ms(architecture: Architecture, pixels: int = 224, classes: int = 1000, precision: str = FP32) -> float:
    return expected_latency([], [], ANCHOR_MS, pixels, classes, shipped_prior(precision)).predict_ms(architecture)


def foreseen_ms(known: KnownObjectives | None) -> float:
    assert known
    assert known.objectives
    return known.objectives[0]


def test_a_point_is_known_by_its_architecture_and_exact_cost(study: Study) -> None:
    known_of = KnownAhead(SPACE, ANCHOR_MS, None).of([study]).known_of
    known = known_of(params(5))
    architecture = SPACE.suggest(FixedChooser(params(5)))
    assert known is not None
    assert known.identity == architecture.key()
    assert known.features[:2] == (math.log(cost_of(architecture).macs), math.log(cost_of(architecture).params))


def test_latency_follows_the_prior_at_first_and_then_what_was_measured(study: Study) -> None:
    foresight = KnownAhead(SPACE, ANCHOR_MS, None)
    architecture = SPACE.suggest(FixedChooser(params(99)))
    before = foresight.of([study]).known_of(params(99))
    assert before is not None
    assert before.objectives == (by_prior_ms(architecture),)
    tell(study, ENOUGH, ms_per_mac=3 * MS_PER_MAC)
    after = foresight.of([study]).known_of(params(99))
    assert after is not None
    assert after.objectives == pytest.approx((3 * cost_of(architecture).macs * MS_PER_MAC,), rel=0.25)


def test_at_int8_it_follows_the_latencies_that_ship_for_that(study: Study) -> None:
    architecture = SPACE.suggest(FixedChooser(params(99)))
    expected_ms = {each: by_prior_ms(architecture, precision=each) for each in PRECISIONS}
    assert expected_ms[INT8] != pytest.approx(expected_ms[FP32], rel=0.01)
    for precision, ms in expected_ms.items():
        known_of = KnownAhead(SPACE, ANCHOR_MS, None, precision=precision).of([study]).known_of
        assert foreseen_ms(known_of(params(99))) == ms


def test_each_record_corrects_the_prior(study: Study) -> None:
    foresight, text = KnownAhead(SPACE, ANCHOR_MS, None), []
    for _ in range(3):
        known = foresight.of([study]).known_of(params(99))
        assert known is not None
        assert known.objectives is not None
        text.append(known.objectives[0])
        tell(study, 1, ms_per_mac=3 * MS_PER_MAC)
    assert text == sorted(text)
    assert text[0] < text[2]


def test_networks_that_were_too_slow_to_be_trained_correct_it_as_well(study: Study) -> None:
    foresight = KnownAhead(SPACE, ANCHOR_MS, 0.1 * ANCHOR_MS)
    before = foresight.of([study]).known_of
    for seed in range(10):
        study.enqueue_trial(params(seed))
        trial = study.ask()
        SPACE.suggest(trial)
        slow = latency(1.5 * foreseen_ms(before(params(seed))))
        trial.set_user_attr("latency", {**slow.to_dict(), "seconds": 1.0})
        study.tell(trial, state=TrialState.PRUNED)
    after = foresight.of([study]).known_of
    assert median(foreseen_ms(after(params(seed))) / foreseen_ms(before(params(seed))) for seed in range(90, 110)) > 1.1


@pytest.mark.parametrize("spoil", [{"latency": {"latency_ms": -1.0}}, {"latency": "slow"}, {}])
def test_a_rejection_that_cannot_be_teaches_nothing(study: Study, spoil: dict[str, object]) -> None:
    trial = study.ask()
    SPACE.suggest(trial)
    for name, value in spoil.items():
        trial.set_user_attr(name, value)
    study.tell(trial, state=TrialState.PRUNED)
    other = study.ask({"unit": distributions_of(SPACE)["unit"]})  # as of a version that chose less
    other.set_user_attr("latency", {**latency(9.0).to_dict(), "seconds": 1.0})
    study.tell(other, state=TrialState.PRUNED)
    known = KnownAhead(SPACE, ANCHOR_MS, None).of([study]).known_of(params(99))
    assert foreseen_ms(known) == by_prior_ms(SPACE.suggest(FixedChooser(params(99))))


def test_a_backbones_latency_is_foreseen_by_its_own_work() -> None:
    space = SearchSpace(SPACE.choices, SPACE.budget, TASKS[DETECTION_BACKBONE])
    chooser = RandomChooser(99)
    architecture = space.suggest(chooser)
    known = KnownAhead(space, ANCHOR_MS, None).of([]).known_of(chooser.params)
    assert known is not None
    assert known.objectives == (by_prior_ms(architecture, 320, NO_CLASSIFIER),)
    assert known.features[0] == math.log(cost_of(architecture, 320, NO_CLASSIFIER).macs)


def test_what_is_predicted_far_over_the_latency_budget_is_not_allowed(study: Study) -> None:
    expected = KnownAhead(SPACE, ANCHOR_MS, None).of([study]).known_of(params(5))
    assert expected is not None
    assert expected.objectives is not None
    for share, is_allowed in ((0.9, False), (1.1, True)):
        known = KnownAhead(SPACE, ANCHOR_MS, share * expected.objectives[0]).of([study]).known_of(params(5))
        assert known is not None
        assert known.allowed is is_allowed


def test_points_of_a_small_budget_are_built_as_they_are_or_not_at_all() -> None:
    small = SearchSpace.default(Budget.parse("15mflops"))
    foresight = KnownAhead(small, ANCHOR_MS, None)
    rng = np.random.default_rng(0)
    points = [draw(distributions_of(small), rng) for _ in range(40)]
    known = [foresight.of([]).known_of(point) for point in points]
    assert None in known
    built = [(point, each) for point, each in zip(points, known, strict=True) if each is not None]
    assert len(built) > 10
    for point, each in built:
        architecture = small.suggest(FixedChooser(point))
        assert each.identity == architecture.key()
        assert cost_of(architecture).macs <= 15_000_000
        assert architecture.head == point["head"]


def test_distributions_hold_every_parameter_of_a_suggestion() -> None:
    chooser = RandomChooser(0)
    SPACE.suggest(chooser)
    assert set(distributions_of(SPACE)) == set(chooser.params)


def test_distributions_hold_every_stem_though_which_are_offered_depends_on_the_groups() -> None:
    assert distributions_of(wide_space())["stem"] == IntDistribution(8, 48, step=8)
    threes = SearchSpace(replace(WIDE, groups=(3, 8)), wide_space().budget)
    assert distributions_of(threes)["stem"] == IntDistribution(8, 48, step=8), "24 and 48, and all multiples of 8"
    assert distributions_of(SearchSpace(replace(WIDE, stem=(24,)), wide_space().budget)).keys().isdisjoint({"stem"})
    for seed in range(200):
        chooser = RandomChooser(seed)
        wide_space().suggest(chooser)
        assert distributions_of(wide_space())["stem"]._contains(chooser.params["stem"])


def test_points_that_differ_in_what_their_unit_has_not_are_one() -> None:
    known_of = KnownAhead(wide_space(), ANCHOR_MS, None).of([]).known_of
    choosers = [RandomChooser(seed) for seed in range(20)]
    chooser = next(each for each in choosers if wide_space().suggest(each).unit == "v1")
    others = {"split_2": "3/4", "xception_3": True, "residual": True, "pre_depthwise": True}
    known = [known_of({**chooser.params, **changes}) for changes in ({}, others, {"bottleneck": "1/2"})]
    assert all(each is not None for each in known)
    identities = [each.identity for each in known if each is not None]
    assert identities[0] == identities[1] != identities[2]


def test_with_a_prior_each_point_has_the_accuracy_that_its_architecture_lets_expect(study: Study) -> None:
    fit = shipped_fit("short")
    known = KnownAhead(SPACE, ANCHOR_MS, None, fit).of([study]).known_of(params(5))
    expected = fit.expect(SPACE.suggest(FixedChooser(params(5))))
    assert known is not None
    assert known.expected == (fit.as_accuracy(expected), fit.as_error(expected))
    alone = KnownAhead(SPACE, ANCHOR_MS, None).of([study]).known_of(params(5))
    assert alone is not None
    assert alone.expected is None


def test_parameters_mean_what_their_trial_evaluated_though_they_are_no_longer_offered(study: Study) -> None:
    chooser = RandomChooser(0)
    architecture = SPACE.suggest(chooser)
    params = {**chooser.params, "fill_percent": 110}  # which nothing offers
    foresight = KnownAhead(SPACE, ANCHOR_MS, None)
    assert foresight.of([study]).known_of(params) is None
    tell(study, 1, MS_PER_MAC)
    trial = study.get_trials()[0]
    wider = {**distributions_of(SPACE), "fill_percent": IntDistribution(10, 110, step=10)}
    study.add_trial(create_trial(params=params, distributions=wider, values=trial.values, user_attrs=trial.user_attrs))
    known = foresight.of([study]).known_of(params)
    assert known is not None
    assert known.identity == architecture.key()
