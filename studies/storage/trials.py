"""How a trial ends: completed with its facts, failed with its cause, or interrupted and queued once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from studies.optuna_internals import FIXED_PARAMS, set_attribute
from studies.storage.transactions import at_once, runs, set_attributes

CAUSE = "cause"
INTERRUPTED = "interrupted"
REQUEUED_FROM = "requeued_from"
"""The system attribute of a trial in the queue that names the interrupted one whose parameters it has."""


def tell(
    study: Study,
    trial: Trial | FrozenTrial,
    values: Sequence[float] | None,
    state: TrialState,
    attributes: Mapping[str, Any],
) -> bool:
    """Whether the trial ends so, with these user attributes, all at once: not if it had ended before.

    So it may be tried once more when the first time was not answered, and nothing is kept twice.
    """
    with at_once(study) as connection:
        if not runs(trial, connection):
            return False
        set_attributes(trial, attributes, connection)
        study.tell(trial.number, values, state=state)
    return True


def fail(study: Study, number: int, cause: str) -> None:
    """Ends a running trial as failed, with its cause and without a number."""
    set_attribute(study, number, CAUSE, cause)
    study.tell(number, state=TrialState.FAIL)


def requeue(study: Study, trials: Sequence[FrozenTrial]) -> int:
    """How many trials these are; each is ended as interrupted and its parameters wait in the queue, all or none.

    A trial without parameters, such as a reference's, is only ended.
    """
    with at_once(study):
        for trial in trials:
            if params := {**trial.system_attrs.get(FIXED_PARAMS, {}), **trial.params}:
                # With all that its sampler noted of it, such as NSGA-II's generation; `enqueue_trial` leaves that out.
                attributes = {**trial.system_attrs, FIXED_PARAMS: params, REQUEUED_FROM: trial.number}
                study.add_trial(optuna.create_trial(state=TrialState.WAITING, system_attrs=attributes))
            fail(study, trial.number, INTERRUPTED)
    return len(trials)
