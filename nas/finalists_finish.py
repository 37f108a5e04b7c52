"""A run's end: its finalists, as far as the time that is left goes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from optuna.storages import RDBStorage
from optuna.study import Study
from sqlalchemy.engine import Engine

from nas.finalists_plan import Expected, ladder, plan_within, with_references
from nas.finalists_run import carry_out, question, smoothed
from nas.finalists_settings import MOST, SEEDS, FinalistsSettings, settings_from
from nas.finalists_told import command_line, headline, longer_line, nothing_line, plan_line, result_lines
from nas.outputs import PROVENANCE
from nas.settings import Settings
from proxies.recipes import RECIPES, Recipe
from studies.evaluations import Evaluations
from studies.finalists import Choice, Finalist, choose, final_front
from studies.record import Record
from studies.store import records_of, references_of


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
    seconds_left: float,
    report: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> Finish:
    """What the finalists of a study came to that a run with these settings has just searched.

    They are trained by the longest recipe and the most fresh seeds for which there is time, and timed again together;
    `report` is called with that plan first. Ctrl-C and a failure end it with what is kept so far. For the process that
    holds the study's lock; `storage` and `engine` are the same database.
    """
    records, references = records_of(study), records_of(references_of(study, storage))
    if not records:
        return Finish(("no finalists: nothing was evaluated",))
    own = settings_from(study, settings, settings.recipe, SEEDS)
    choice = choose(records, *smoothed(records, own.error), MOST)
    expected = expected_of(study, own, engine)
    chosen = with_references(choice.records, references)
    longer = longer_line(settings, expected.seconds(chosen, RECIPES["long"], SEEDS))
    plan = plan_within(seconds_left, choice, references, expected)
    if plan is None:
        least = with_references(choice.front, references)
        needed = expected.seconds(least, settings.recipe, 1)
        return Finish((nothing_line(settings, len(least), needed, seconds_left), longer))
    told = settings_from(study, settings, plan.recipe, plan.seeds)
    networks = with_references(plan.choice.records, references)
    report(headline(told, plan.choice))
    report(plan_line(plan, len(networks), seconds_left))
    finish = _carried_out(told, plan.choice, networks, storage, engine)
    is_all = (plan.recipe, plan.seeds, plan.choice) == (*ladder(choice.front[0], expected)[0], choice)
    return finish if is_all else replace(finish, lines=(*finish.lines, longer))


def expected_of(study: Study, settings: FinalistsSettings, engine: Engine) -> Expected:
    """How long finalists take: the data as the last run of the study met them, and what the ledger has already."""
    data = study.user_attrs[PROVENANCE]["data"]
    answered = Evaluations(engine).answers(settings.fingerprint).keys()

    def is_trained(record: Record, recipe: Recipe, number: int) -> bool:
        return question(replace(settings, recipe=recipe), record, settings.seeds[number]).digest in answered

    return Expected(
        own=settings.search.recipe,
        images=data["training_images"],
        image_size=data["image_size"],
        classes=len(data["classes"]),
        workers=settings.search.workers,
        is_trained=is_trained,
    )


def _carried_out(
    settings: FinalistsSettings, choice: Choice, chosen: list[Record], storage: RDBStorage, engine: Engine
) -> Finish:
    try:
        results = carry_out(settings, chosen, storage, engine)
    except (KeyboardInterrupt, RuntimeError) as error:
        cause = "stopped" if isinstance(error, KeyboardInterrupt) else f"failed: {error}"
        flags = ("--recipe", settings.recipe.name, "--seeds", str(len(settings.seeds)), "--most")
        line = command_line(settings.search, *flags, str(len(choice.records)))
        return Finish((f"finalists {cause}; what was trained is kept, and this goes on: {line}",))
    lines = tuple(result_lines(settings, choice, chosen, results))
    return Finish(lines, results.finalists, tuple(final_front(results.finalists)))
