"""How the front grew: the hypervolume that it dominates, against trials and against the time that was searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from optuna.study import Study
from optuna.trial import TrialState

from search_space.bounds import plain
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.front import front_of
from studies.record import Record
from studies.report.figures import BLUE, GREY, styled
from studies.report.page import Section, section
from studies.sampling.expected_improvement import hypervolume
from studies.storage.trials import CAUSE, INTERRUPTED

HEADING = "How the front grew"
SHARE = "hypervolume, %"


@dataclass(frozen=True, slots=True)
class Growth:
    """The share of a front's hypervolume that was reached after each completed trial, the last one's 1.

    The reference point is the slowest latency and the least accuracy of all networks; both are stated.
    `minutes` are those searched until then; empty where they are not known.
    """

    shares: tuple[float, ...]
    minutes: tuple[float, ...]
    slowest_ms: float
    least_accuracy: float


def minutes_of(study: Study) -> dict[int, float]:
    """Minutes that the search had run when each completed trial ended, by its number; pauses between runs left out."""
    events = []
    for trial in study.get_trials(deepcopy=False):
        # An interrupted trial ends when the next run finds it, however long after.
        is_whole = trial.user_attrs.get(CAUSE) != INTERRUPTED
        if is_whole and trial.datetime_start and trial.datetime_complete:
            events += [(trial.datetime_start, 1, trial), (trial.datetime_complete, -1, trial)]
    events.sort(key=lambda event: event[0])
    minutes: dict[int, float] = {}
    running, busy, last = 0, 0.0, None
    for time, change, trial in events:
        if running and last:
            busy += (time - last).total_seconds() / 60
        running, last = running + change, time
        if change < 0 and trial.state is TrialState.COMPLETE:
            minutes[trial.number] = busy
    return minutes


def growth_of(records: Sequence[Record], minutes: Mapping[int, float]) -> Growth | None:
    """How the front of the records grew, in the order in which they were completed; None for fewer than two."""
    if len(records) < 2:
        return None
    ordered = sorted(records, key=lambda record: (minutes.get(record.number, 0.0), record.number))
    slowest, least = max(each.latency_ms for each in records), min(each.accuracy for each in records)
    volumes: list[float] = []
    front: list[Record] = []
    for record in ordered:
        front = front_of([*front, record])
        known, values = np.array([[each.latency_ms] for each in front]), np.array([-each.accuracy for each in front])
        volumes.append(hypervolume(known, values, (slowest, -least)))
    if not volumes[-1]:
        return None
    times = tuple(minutes[each.number] for each in ordered) if all(each.number in minutes for each in ordered) else ()
    return Growth(tuple(volume / volumes[-1] for volume in volumes), times, slowest, least)


def growth_section(growth: Growth | None, scale: AccuracyScale = PERCENT) -> Section | None:
    """The section of the report; None where there is nothing to draw."""
    if growth is None:
        return None
    line = (
        f"Share of the hypervolume that the front dominates in the end, below the reference point of "
        f"{plain(growth.slowest_ms, 3)} ms and {scale.height_text(growth.least_accuracy)}, the slowest and the least "
        "accurate of all searched. Where it still climbs at the right, a longer search finds more."
    )
    trials = list(range(1, len(growth.shares) + 1))
    figures = {"growth-0": growth_figure({"this search": (trials, growth.shares)}, "trials")}
    if growth.minutes:
        figures["growth-1"] = growth_figure({"this search": (growth.minutes, growth.shares)}, "minutes of search")
    return section(HEADING, line, figures=figures)


def growth_figure(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], x_title: str) -> go.Figure:
    """Shares in [0, 1] as steps, a curve for each name; the first in the strongest colour."""
    lines = [
        go.Scatter(
            name=name,
            x=list(x),
            y=[100 * share for share in shares],
            mode="lines",
            line={"shape": "hv", "color": BLUE if place == 0 else GREY, "width": 2},
        )
        for place, (name, (x, shares)) in enumerate(curves.items())
    ]
    return styled(go.Figure(lines), x_title, SHARE)
