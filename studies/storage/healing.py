"""A study that was poisoned: what it holds that cannot be is taken out of it, once, and reported."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, delete, select, update

from studies.optuna_internals import FAILED, FINITE, TRIAL_VALUES, TRIALS, forget, id_of_study, id_of_trial
from studies.record import flaw_of_trial
from studies.storage.retimed_latencies import flaws_in
from studies.storage.transactions import at_once, hold, set_attributes
from studies.storage.trials import CAUSE


def heal(study: Study) -> list[str]:
    """What the study held that cannot be, a line each.

    Trials with it are failed now, with the cause and without a number, so that no sampler and no dashboard meets it.
    """
    with at_once(study) as connection:
        hold(study, connection)
        lines = _fail_without_numbers(study, connection)
    forget(study)
    with at_once(study) as connection:
        hold(study, connection)
        for trial in study.get_trials(deepcopy=False):
            if flaw := flaw_of_trial(trial):
                _fail(trial, flaw, connection)
                lines.append(f"trial {trial.number} of {study.study_name!r}: {flaw}")
    forget(study)
    return lines + flaws_in(study.user_attrs)


def _fail_without_numbers(study: Study, connection: Connection) -> list[str]:
    """Fails trials whose values are NaN, which SQLite keeps as nothing, and which Optuna cannot read."""
    mine = TRIALS.c.study_id == id_of_study(study)
    nothing = TRIAL_VALUES.c.value.is_(None) | (TRIAL_VALUES.c.value == float("nan"))
    lacking = select(TRIAL_VALUES.c.trial_id).where(nothing, TRIAL_VALUES.c.value_type == FINITE)
    query = select(TRIALS.c.trial_id, TRIALS.c.number).where(mine, TRIALS.c.trial_id.in_(lacking))
    found = connection.execute(query).all()
    for trial_id, _ in found:
        _end_as_failed(trial_id, connection)
    return [f"trial {number} of {study.study_name!r}: a value is no number" for _, number in found]


def _fail(trial: FrozenTrial, cause: str, connection: Connection) -> None:
    _end_as_failed(id_of_trial(trial), connection)
    set_attributes(trial, {CAUSE: cause}, connection)


def _end_as_failed(trial_id: int, connection: Connection) -> None:
    connection.execute(delete(TRIAL_VALUES).where(TRIAL_VALUES.c.trial_id == trial_id))
    connection.execute(update(TRIALS).where(TRIALS.c.trial_id == trial_id).values(state=FAILED))
