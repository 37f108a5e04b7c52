"""What a front's networks have in common: which choices matter for what, and what the front chose in each stage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from search_space.architecture import Architecture, Stage
from search_space.space import is_taken
from studies.record import OBJECTIVES, Record
from studies.report.figures import BLUE, ORANGE, styled
from studies.report.page import Section, section

HEADING = "What the front has in common"
LEAST_TRIALS = 20
"""From fewer no importance is drawn: a forest finds a pattern in any few numbers."""
SEED = 0
_NEWER = ("Xception",)
LEAST_HEIGHT, ROW_HEIGHT = 450, 20
"""Of the figure of bars, in pixels: each name is read, however many there are."""
LABELS = {"accuracy": "accuracy", "latency_ms": "latency"}
CHOICES: Mapping[str, Callable[[Stage], object]] = {
    "groups": lambda stage: stage.groups,
    "split": lambda stage: "none (v1)" if stage.split is None else stage.split,
    "kernel": lambda stage: stage.kernel,
    "SE": lambda stage: _yes_or_no(stage.se),
    "depth": lambda stage: stage.depth,
    "Xception": lambda stage: _yes_or_no(stage.xception),
}
"""What is chosen for each stage, by the name that the table shows."""
OF_NETWORK: Mapping[str, Callable[[Architecture], object]] = {
    "unit": lambda network: network.unit,
    "stem": lambda network: network.stem,
    "head": lambda network: network.head or "none",
    "activation": lambda network: network.activation,
    "shuffle": lambda network: _yes_or_no(network.shuffle),
    "residual": lambda network: _yes_or_no(network.residual),
    "pre-depthwise": lambda network: _yes_or_no(network.pre_depthwise),
    "bottleneck": lambda network: "none (v2)" if network.unit == "v2" else network.bottleneck,
    "image px": lambda network: network.resolution or "the task's",
}
"""What is chosen for the whole network; shown where networks differ in it."""


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


@dataclass(frozen=True, slots=True)
class Importances:
    """By objective: each parameter's share of what the objective varies by, all parameters together 1.

    `narrowed` are those of which some networks were offered fewer values than others, since not all would have fitted.
    """

    shares: Mapping[str, Mapping[str, float]] = field(hash=False)
    narrowed: tuple[str, ...] = ()


def importances_of(study: Study) -> Importances | None:
    """The importance of the search's parameters for each objective, by fANOVA (Hutter et al. 2014) as Optuna has it.

    None where fewer than `LEAST_TRIALS` trials are completed, or all of them reached the same. Parameters that none of
    the networks' units has, such as a split where all are v1, decide nothing and are left out.
    """
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    complete = [trial for trial in trials if trial.params]
    if len(complete) < LEAST_TRIALS or any(
        len(set(values)) == 1 for values in zip(*(t.values for t in complete), strict=True)
    ):
        return None
    names = [name for name in complete[0].params if any(is_taken(name, trial.params) for trial in complete)]
    offered = {name: list({t.distributions[name] for t in complete}) for name in names}
    common = _over_all(study, complete, {name: _whole(values) for name, values in offered.items()})
    shares = {
        name: get_param_importances(
            common,
            evaluator=FanovaImportanceEvaluator(seed=SEED),
            target=lambda trial, place=place: float(trial.values[place]),  # type: ignore[misc]
        )
        for place, name in enumerate(OBJECTIVES)
    }
    return Importances(shares, tuple(name for name, values in offered.items() if len(values) > 1))


def _whole(distributions: Sequence[BaseDistribution]) -> BaseDistribution:
    """The one distribution that was offered, or one of all whole numbers between the ends of those that were."""
    numbers = [each for each in distributions if isinstance(each, IntDistribution)]
    if len(distributions) == 1 or len(numbers) < len(distributions):
        return distributions[0]
    return IntDistribution(min(each.low for each in numbers), max(each.high for each in numbers))


def _over_all(study: Study, trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]) -> Study:
    """A study of the same trials as if each had been offered all of `space`: Optuna leaves out what differs."""
    common = optuna.create_study(directions=study.directions)
    common.add_trials(
        [
            optuna.create_trial(
                values=each.values, params={name: each.params[name] for name in space}, distributions=dict(space)
            )
            for each in trials
        ]
    )
    return common


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """A value of a choice, and the shares of the front's networks and of all searched that have it.

    A pair for each stage, or one where it is chosen for the whole network.
    """

    choice: str
    value: str
    shares: tuple[tuple[float, float], ...]


def winners_section(
    front: Sequence[Record], records: Sequence[Record], importances: Importances | None
) -> Section | None:
    """The section of the report; None where the front is empty."""
    if not front:
        return None
    if importances is None:
        line = (
            f"What matters is estimated once {LEAST_TRIALS} networks differ in accuracy and in latency; there are "
            f"{len(records)} in all."
        )
    else:
        line = (
            "Share of what accuracy and latency varied by over the search that a choice alone accounts for (fANOVA, a "
            f"random forest on {len(records)} networks): of few networks it is a hint, and the budget ties choices "
            f"to each other.{_of_narrowed(importances)}"
        )
    figures = {"importance": importance_figure(importances)} if importances else {}
    rows = list(choice_rows(front, [*records] or [*front]))
    return section(HEADING, line, figures=figures, template="choices.html", rows=rows)


def _of_narrowed(importances: Importances) -> str:
    if not importances.narrowed:
        return ""
    names = ", ".join(name.replace("_", " ") for name in importances.narrowed)
    return (
        f" Not every network was offered every value of {names}, since not all would have fitted the budget or the "
        "groups: their bars count as if all had been."
    )


def importance_figure(importances: Importances) -> go.Figure:
    """Bars by parameter, those for accuracy beside those for latency; what matters most stands on top."""
    shares = importances.shares
    names = sorted(shares["accuracy"], key=lambda name: max(each.get(name, 0.0) for each in shares.values()))
    bars = [
        go.Bar(
            name=LABELS[objective],
            y=[escape(name.replace("_", " ")) for name in names],
            x=[100 * shares[objective].get(name, 0.0) for name in names],
            orientation="h",
            marker={"color": colour},
        )
        for objective, colour in zip(OBJECTIVES, (BLUE, ORANGE), strict=True)
    ]
    figure = styled(go.Figure(bars), "importance, %", "").update_layout(barmode="group")
    return figure.update_layout(height=max(LEAST_HEIGHT, ROW_HEIGHT * (len(names) + 4))).update_yaxes(dtick=1)


def choice_rows(front: Sequence[Record], records: Sequence[Record]) -> Iterator[ChoiceRow]:
    """A row for each value of each choice that one of the records has; of a newer one where any differ in it."""
    for name, value_of in CHOICES.items():
        found = {value_of(stage) for record in records for stage in record.architecture.stages}
        for value in _in_order(found) if name not in _NEWER or len(found) > 1 else ():
            shares = zip(_shares(front, value_of, value), _shares(records, value_of, value), strict=True)
            yield ChoiceRow(name, str(value), tuple(shares))
    for name, value_of_network in OF_NETWORK.items():
        found = {value_of_network(record.architecture) for record in records}
        for value in _in_order(found) if len(found - {"none (v2)"}) > 1 else ():
            share, of_all = (
                sum(value_of_network(record.architecture) == value for record in some) / len(some)
                for some in (front, records)
            )
            yield ChoiceRow(name, str(value), ((share, of_all),))


def _in_order(values: Collection[object]) -> list[Any]:
    return sorted(values, key=lambda value: (isinstance(value, str), value))


def _shares(records: Sequence[Record], value_of: Callable[[Stage], object], value: object) -> list[float]:
    """For each stage the share of the records that have the value there."""
    stages = zip(*(record.architecture.stages for record in records), strict=True)
    return [sum(value_of(stage) == value for stage in column) / len(records) for column in stages]
