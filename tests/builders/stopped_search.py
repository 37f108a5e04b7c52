"""What the next search does with the trials that one left running."""

from optuna.study import Study
from optuna.trial import TrialState

from studies.storage.trials import requeue


def requeue_running(study: Study) -> int:
    """How many trials ran; each is ended as interrupted and its parameters wait in the queue."""
    return requeue(study, study.get_trials(states=(TrialState.RUNNING,)))
