"""A run's end: its finalists, as far as the time that is left goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optuna.storages import RDBStorage
from sqlalchemy.engine import Engine

from nas.finalists.candidates import Candidates
from nas.finalists.plan import FinalistsPlan, ladder, least_plan, plan_within, seconds_within
from nas.finalists.settings import FinalistsSettings
from nas.finalists.training import Results, Within, carry_out
from nas.workers.protocol import Workers


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What a run's finalists came to; `nas.finalists.summary.finish_lines` says it.

    `plan` is the most telling one that there was time for; where there was time for none it is the least of all, and
    `is_begun` False. `most` is what there would be with all the time. Without results `cause` says what ended it.
    """

    settings: FinalistsSettings
    plan: FinalistsPlan
    most: FinalistsPlan
    seconds_left: float
    is_begun: bool = True
    results: Results | None = None
    cause: str = ""


def finish_run(
    found: Candidates,
    storage: RDBStorage,
    engine: Engine,
    workers: Workers,
    seconds_left: Callable[[], float],
    announce: Callable[[FinalistsSettings, FinalistsPlan], None],
) -> FinishedRun:
    """What the finalists of a study came to that a run has just searched.

    They are those that say most of what there is time for: see `nas.finalists.plan.ladder`. No training is begun that
    would end too late, and what still runs when no second is left is given up. `announce` is called with the plan
    first. Ctrl-C and a failure end it with what is kept so far. For the process that holds the study's lock; `storage`
    and `engine` are the same database.
    """
    choice, references = found.choice(), found.references
    expected = found.expected(engine, lambda record: record.is_timed_fully)
    most = next(ladder(choice, references, expected))
    plan = plan_within(seconds_left(), choice, references, expected)
    if plan is None:
        least = least_plan(choice, references, expected)
        return FinishedRun(found.settings, least, most, seconds_left(), is_begun=False)
    settings = found.settings.trained_by(plan.recipe, plan.seeds)
    announce(settings, plan)
    results, cause = None, ""
    try:
        within = Within(seconds_left, expected, tuple(most.records))
        results = carry_out(settings, plan.records, storage, engine, workers, within)
    except KeyboardInterrupt:
        cause = "stopped"
    except RuntimeError as error:
        cause = f"failed: {error}"
    return FinishedRun(settings, plan, most, seconds_left(), results=results, cause=cause)


def seconds_needed(found: Candidates, most_seconds: float) -> float:
    """What finalists would take that fit into so many seconds, as the study stands.

    Where none fit, it is what the fewest would take that say anything.
    """
    # All of them are to be timed again before there are finalists.
    expected = found.expected(is_timed=lambda record: True)
    return seconds_within(most_seconds, found.choice(), found.references, expected)
