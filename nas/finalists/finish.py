"""A run's end: its finalists, as far as the time that is left goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from optuna.storages import RDBStorage
from optuna.study import Study
from sqlalchemy.engine import Engine

from nas.finalists.flags import MOST, SEEDS
from nas.finalists.plan import ExpectedSeconds, FinalistsPlan, ladder, least_plan, plan_within, seconds_within
from nas.finalists.settings import FinalistsSettings, settings_from
from nas.finalists.summary import command_line, headline, longer_line, nothing_line, plan_line, result_lines
from nas.finalists.training import Within, carry_out, question, smoothed
from nas.search.outputs import PROVENANCE
from nas.search.settings import Settings
from nas.workers.protocol import Workers
from proxies.training.recipes import Recipe
from studies.finalists import Choice, Finalist, choose, final_front
from studies.ledger.trainings import Evaluations
from studies.record import Record
from studies.storage.studies import records_of, references_of


@dataclass(frozen=True, slots=True)
class Finish:
    """What a run ends with: the lines to print, the finalists, and their front; no finalists where time was short."""

    lines: tuple[str, ...]
    finalists: tuple[Finalist, ...] = ()
    front: tuple[Record, ...] = ()


def finish_run(
    settings: Settings,
    study: Study,
    storage: RDBStorage,
    engine: Engine,
    workers: Workers,
    seconds_left: Callable[[], float],
    report: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> Finish:
    """What the finalists of a study came to that a run with these settings has just searched.

    They are those that say most of what there is time for: see `nas.finalists.plan.ladder`. No training is begun that
    would end too late, and what still runs when no second is left is given up. `report` is called with the plan first.
    Ctrl-C and a failure end it with what is kept so far. For the process that holds the study's lock; `storage` and
    `engine` are the same database.
    """
    records, references = records_of(study), records_of(references_of(study, storage))
    if not records:
        return Finish(("no finalists: nothing was evaluated",))
    own = settings_from(study, settings, settings.recipe, SEEDS)
    choice = _choice_of(own, records)
    expected = expected_of(own, study.user_attrs[PROVENANCE]["data"], engine, lambda record: record.is_timed_fully)
    most = next(ladder(choice, references, expected))
    longer = longer_line(settings, most)
    plan = plan_within(seconds_left(), choice, references, expected)
    if plan is None:
        least = least_plan(choice, references, expected)
        return Finish((nothing_line(settings, least, seconds_left()), longer))
    text = settings_from(study, settings, plan.recipe, plan.seeds)
    report(headline(text, plan))
    report(plan_line(plan, seconds_left()))
    finish = _carried_out(text, plan, storage, engine, Within(workers, seconds_left, expected, tuple(most.records)))
    return finish if plan == most else replace(finish, lines=(*finish.lines, longer))


def seconds_needed(settings: Settings, study: Study, references: Study, most_seconds: float) -> float | None:
    """What finalists would take that fit into so many seconds, as the study stands; None while it holds nothing.

    Where none fit, it is what the fewest would take that say anything.
    """
    records, beside = records_of(study), records_of(references)
    if not records:
        return None
    own = settings_from(study, settings, settings.recipe, SEEDS)
    choice = _choice_of(own, records)
    # All of them are to be timed again before there are finalists.
    expected = expected_of(own, study.user_attrs[PROVENANCE]["data"], is_timed=lambda record: True)
    return seconds_within(most_seconds, choice, beside, expected)


def expected_of(
    settings: FinalistsSettings,
    data: Mapping[str, Any],
    engine: Engine | None = None,
    is_timed: Callable[[Record], bool] = lambda record: False,
) -> ExpectedSeconds:
    """How long finalists take, on data as the last run of the study met them.

    With an engine, what its ledger has is left out; `is_timed` are those that are not timed again.
    """
    answered = Evaluations(engine).answers(settings.fingerprint).keys() if engine else ()

    def is_trained(record: Record, recipe: Recipe, number: int) -> bool:
        return question(replace(settings, recipe=recipe), record, settings.seeds[number]).digest in answered

    return ExpectedSeconds(
        own=settings.search.recipe,
        images=data["training_images"],
        image_size=data["image_size"],
        classes=len(data["classes"]),
        workers=settings.search.workers,
        is_trained=is_trained,
        is_timed=is_timed,
    )


def _choice_of(settings: FinalistsSettings, records: list[Record]) -> Choice:
    return choose(records, *smoothed(records, settings.error), MOST)


def _carried_out(
    settings: FinalistsSettings, plan: FinalistsPlan, storage: RDBStorage, engine: Engine, within: Within
) -> Finish:
    try:
        results = carry_out(settings, plan.records, storage, engine, within)
    except (KeyboardInterrupt, RuntimeError) as error:
        cause = "stopped" if isinstance(error, KeyboardInterrupt) else f"failed: {error}"
        flags = ("--recipe", settings.recipe.name, "--seeds", str(len(settings.seeds)), "--most")
        line = command_line(settings.search, *flags, str(len(plan.choice.records)))
        return Finish((f"finalists {cause}; what was trained is kept, and this goes on: {line}",))
    lines = tuple(result_lines(settings, plan, results))
    return Finish(lines, results.finalists, tuple(final_front(results.finalists)))
