"""What is said of finalists: who they are, what is planned, what came of it, and the line that goes on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from sqlalchemy.engine import make_url

from nas.command import clock
from nas.finalists_plan import Plan
from nas.finalists_run import Results
from nas.finalists_settings import SEEDS, FinalistsSettings
from nas.settings import Settings
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.finalists import Choice, render_finalists
from studies.record import Record

PROGRAM = "python -m nas.finalists"


def headline(settings: FinalistsSettings, choice: Choice) -> str:
    """Who the finalists are and how they are trained."""
    left_out = f" ({choice.left_out} more left out)" if choice.left_out else ""
    seeds = ("seeds " if len(settings.seeds) > 1 else "seed ") + ", ".join(map(str, settings.seeds))
    return (
        f"finalists of {settings.search.study}: {len(choice.front)} on its smoothed front and {len(choice.near)} "
        f"within one predicted standard deviation of it{left_out}, and its references; "
        f"recipe {settings.recipe.name!r} by {seeds}"
    )


def plan_line(plan: Plan, networks: int, seconds_left: float) -> str:
    """How long the plan takes, of what is left."""
    return (
        f"{networks} networks to train and to time again: about {clock(plan.seconds)} of the {clock(seconds_left)} left"
    )


def longer_line(settings: Settings, seconds: float) -> str:
    """What LONG would take, and the line that does it."""
    return f"recipe 'long' by {SEEDS} seeds would take about {clock(seconds)}: {command_line(settings)}"


def nothing_line(settings: Settings, networks: int, seconds: float, seconds_left: float) -> str:
    """That there is no time for any training; `seconds` is what the shortest plan would take."""
    return (
        f"no finalists: one training more of each of {networks} networks and timing them again would take about "
        f"{clock(seconds)}, and {clock(seconds_left)} is left"
    )


def command_line(settings: Settings, *flags: str) -> str:
    """The command that trains the finalists of the study of these settings; a password in the URL is left out."""
    return f"{PROGRAM} {shlex.join([*settings.study_flags, *flags])}"


def scale_for(settings: FinalistsSettings, chosen: Sequence[Record]) -> AccuracyScale:
    """How the search's accuracies of the chosen networks, references among them, are shown."""
    if settings.accuracy is None:
        return PERCENT
    return settings.accuracy.scale(chosen, [record for record in chosen if record.reference])


def result_lines(
    settings: FinalistsSettings, choice: Choice, chosen: Sequence[Record], results: Results
) -> Iterator[str]:
    """The table of the finalists, how they came about, and what failed."""
    if results.finalists:
        scale = scale_for(settings, chosen)
        yield render_finalists(results.finalists, settings.recipe.name, scale)
        yield headline(settings, choice)
        yield f"FLOPs, parameters and latency: at {settings.search.task.told}"
        if settings.accuracy:
            yield f"predicted {scale.unit}: {settings.accuracy.told}"
        storage = make_url(settings.search.storage).render_as_string(hide_password=True)
        yield f"kept as the study {results.study} in {storage}"
    for failure in results.failures:
        yield f"failed: {failure}"
    if results.failures:
        lost = {record.name for record in chosen} - {each.record.name for each in results.finalists}
        yield f"left out, for a training or a timing failed: {', '.join(sorted(lost))}; the same line tries again"
