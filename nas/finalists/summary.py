"""What is said of finalists: who they are, what is planned, what came of it, and the line that goes on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from nas.cli.command import clock
from nas.finalists.finish import FinishedRun
from nas.finalists.plan import FinalistsPlan
from nas.finalists.settings import FinalistsSettings
from nas.finalists.training import Results
from nas.search.settings import Settings
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.display import holds_at
from studies.finalists import render_finalists
from studies.record import Record
from studies.storage.secrets import shown_url

PROGRAM = "python -m nas.finalists"


def headline(settings: FinalistsSettings, plan: FinalistsPlan) -> str:
    """Who the finalists are and how they are trained."""
    choice = plan.choice
    left_out = f" ({choice.left_out} more left out)" if choice.left_out else ""
    seeds = ("seeds " if len(settings.seeds) > 1 else "seed ") + ", ".join(map(str, settings.seeds))
    references = ", ".join(record.reference or record.name for record in plan.references) or "no reference"
    return (
        f"finalists of {settings.search.study}: {len(choice.front)} on its smoothed front and {len(choice.near)} "
        f"within one predicted standard deviation of it{left_out}, beside {references}; "
        f"recipe {settings.recipe.name!r} by {seeds}"
    )


def plan_lines(settings: FinalistsSettings, plan: FinalistsPlan, seconds_left: float) -> Iterator[str]:
    """Who the finalists of a run are, and how long they take, of what is left."""
    yield headline(settings, plan)
    yield f"{len(plan.records)} networks to train: about {clock(plan.seconds)} of the {clock(seconds_left)} left"


def longer_line(settings: Settings, plan: FinalistsPlan) -> str:
    """What the whole plan would take, and the line that does it."""
    how = f"recipe {plan.recipe.name!r} with {plan.seeds} seeds"
    return f"finalists by {how}, about {clock(plan.seconds)}: {command_line(settings)}"


def nothing_line(least: FinalistsPlan, seconds_left: float) -> str:
    """That there is no time for any training; `least` is the shortest plan."""
    names = ", ".join(record.reference or record.name for record in least.records)
    return (
        f"no time for finalists: training {names} once by recipe {least.recipe.name!r} would take about "
        f"{clock(least.seconds)}, and {clock(max(0.0, seconds_left))} is left"
    )


def command_line(settings: Settings, *flags: str) -> str:
    """The command that trains the finalists of the study of these settings; a password in the URL is left out."""
    return f"{PROGRAM} {shlex.join([*settings.study_flags, *flags])}"


def scale_for(settings: FinalistsSettings, chosen: Sequence[Record]) -> AccuracyScale:
    """How the search's accuracies of the chosen networks, references among them, are shown."""
    if settings.accuracy is None:
        return PERCENT
    return settings.accuracy.scale(chosen, [record for record in chosen if record.reference])


def finish_lines(finished: FinishedRun | None) -> Iterator[str]:
    """What a run's finalists came to; None is a study that holds nothing."""
    if finished is None:
        yield "no finalists: nothing was evaluated"
        return
    settings, plan = finished.settings, finished.plan
    if not finished.is_begun:
        yield nothing_line(plan, finished.seconds_left)
    elif finished.results is None:
        flags = ("--recipe", settings.recipe.name, "--seeds", str(len(settings.seeds)), "--most")
        line = command_line(settings.search, *flags, str(len(plan.choice.records)))
        yield f"finalists {finished.cause}; what was trained is kept, and this goes on: {line}"
    else:
        yield from result_lines(settings, plan, finished.results)
    if plan != finished.most:
        yield longer_line(settings.search, finished.most)


def result_lines(settings: FinalistsSettings, plan: FinalistsPlan, results: Results) -> Iterator[str]:
    """The table of the finalists, how they came about, and what failed."""
    if results.finalists:
        records = [each.record for each in results.finalists]
        scale = scale_for(settings, records)
        yield render_finalists(results.finalists, settings.recipe.name, scale)
        yield headline(settings, plan)
        yield f"FLOPs, parameters and latency: at {holds_at(settings.search.task, records)}"
        if settings.accuracy:
            yield f"predicted {scale.unit}: {settings.accuracy.summary}"
        yield f"kept as the study {results.study} in {shown_url(settings.search.storage)}"
    if results.undone:
        yield f"{results.undone} of {len(plan.records) * len(settings.seeds)} trainings were left undone: time was up"
    for failure in results.failures:
        yield f"failed: {failure}"
    if results.failures:
        lost = {record.name for record in plan.records} - {each.record.name for each in results.finalists}
        yield f"left out, for a training or a timing failed: {', '.join(sorted(lost))}; the same line tries again"
