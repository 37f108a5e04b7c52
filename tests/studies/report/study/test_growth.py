"""How the front grew: hypervolumes by hand, and time without the pauses."""

from datetime import datetime, timedelta

import optuna
import pytest
from builders.records import record
from optuna.trial import FrozenTrial, TrialState

from studies.record import Record
from studies.report.study.growth import growth_of, growth_section, minutes_of
from studies.storage.trials import CAUSE, INTERRUPTED

START = datetime(2026, 1, 1)


def of(accuracy: float, latency_ms: float, number: int) -> Record:
    return record("v2-0.5x", accuracy, latency_ms, number=number)


def trial(number: int, start: float, end: float, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        state=state,
        value=None,
        values=[0.5, 1.0] if state is TrialState.COMPLETE else None,
        datetime_start=START + timedelta(minutes=start),
        datetime_complete=START + timedelta(minutes=end),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=number,
    )


def test_shares_are_those_of_rectangles_below_the_slowest_and_least_accurate() -> None:
    """The reference point is (4 ms, 0.2). The networks add (4-2)(0.6-0.2), nothing, nothing, and (2-1)(0.4-0.2)."""
    growth = growth_of([of(0.6, 2, 0), of(0.2, 3, 1), of(0.3, 4, 2), of(0.4, 1, 3)], {})
    assert growth is not None
    assert (growth.slowest_ms, growth.least_accuracy) == (4, 0.2)
    assert growth.shares == pytest.approx((0.8, 0.8, 0.8, 1.0))
    assert growth.minutes == ()


def test_networks_count_in_the_order_in_which_they_ended() -> None:
    growth = growth_of([of(0.6, 2, 0), of(0.2, 4, 1), of(0.4, 1, 2)], {0: 9.0, 1: 2.0, 2: 5.0})
    assert growth is not None
    assert growth.minutes == (2.0, 5.0, 9.0)
    assert growth.shares == pytest.approx((0, 0.6, 1.0))


def test_too_few_or_equal_networks_have_no_curve() -> None:
    assert growth_of([of(0.6, 2, 0)], {}) is None
    assert growth_of([of(0.6, 2, 0), of(0.6, 2, 1)], {}) is None
    assert growth_section(None) is None


def test_pauses_and_trials_beside_one_another_do_not_count_twice() -> None:
    """Two at once from 0 to 10, a failed one to 12, a pause of an hour, then one of 5 minutes."""
    study = optuna.create_study(directions=["maximize", "minimize"])
    spans = ((0, 4), (0, 10)), ((72, 77),)
    study.add_trials([trial(number, *span) for number, span in enumerate(spans[0])])
    study.add_trial(trial(2, 10, 12, TrialState.FAIL))
    study.add_trial(trial(3, *spans[1][0]))
    killed = trial(4, 9, 72, TrialState.FAIL)
    killed.set_user_attr(CAUSE, INTERRUPTED)
    study.add_trial(killed)
    assert minutes_of(study) == pytest.approx({0: 4, 1: 10, 3: 17})
