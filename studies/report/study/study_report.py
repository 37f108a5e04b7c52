"""The report: one HTML page with the front, what it stands beside, and what its numbers do not say.

The page opens without a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from search_space.task import Task
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.display import FLOP, MemoryColumns, comparison, holds_at, ms_text
from studies.finalists import Finalist
from studies.front import PICKS, nearest_reference, pick
from studies.latency.int8_speed import Fp32
from studies.latency.repeatability import reference_drift
from studies.latency.unmeasured import Predicted, predicted_for
from studies.record import Record
from studies.report.figures import flops_figure
from studies.report.page import Cell, Section, definitions_section, section, write_page
from studies.report.rendering import render
from studies.report.study.cards import cards_section, name_cell
from studies.report.study.common_choices import Importances, winners_section
from studies.report.study.finalists_section import finalists_alone, finalists_section
from studies.report.study.front_section import figure_section, table_section
from studies.report.study.growth import growth_of, growth_section
from studies.report.study.guidelines import guidelines_section
from studies.report.study.int8_section import int8_section

DEPLOYMENT = {"resolution": 224, "classes": 1000}
"""What costs hold at where the settings do not say."""


def write_report(
    path: Path,
    *,
    front: Sequence[Record],
    references: Sequence[Record],
    records: Sequence[Record],
    settings: Mapping[str, Any],
    provenance: Mapping[str, Any],
    title: str,
    minutes: Mapping[int, float] | None = None,
    importances: Importances | None = None,
    finalists: Sequence[Finalist] = (),
    scale: AccuracyScale = PERCENT,
    fp32: Fp32 = MappingProxyType({}),
) -> Path:
    """The path of the page, written: one HTML file that needs no other and no network.

    Args:
        path: where to write; what stands there is replaced.
        front: fastest first, as `front_of` gives it; empty where a run stopped before its first network.
        references: hand-designed networks, scored and timed like the others.
        records: every network the search completed, the front's among them.
        settings: what the user asked for, by name.
        provenance: how and where the numbers were had, by name.
        title: the page's heading, such as the study's name.
        minutes: how long had been searched when each record's trial ended, by its number.
        importances: how much each choice matters, where there are trials enough to tell.
        finalists: those of the networks that were trained and timed anew.
        scale: how accuracies are shown.
        fp32: how networks of a search for int8 were timed in fp32, by their keys.
    """
    predicted = predicted_for([*records, *references], settings)
    task = [int(settings.get(name, default)) for name, default in DEPLOYMENT.items()]
    sections = (
        finalists_section(finalists, front, scale),
        int8_section(front, references, finalists, fp32),
        figure_section(front, references, records, scale),
        *_speeds(references, records, predicted, scale),
        table_section(front, references, scale, MemoryColumns.of_settings(settings)),
        growth_section(growth_of(records, minutes or {}), scale),
        winners_section(front, records, importances),
        guidelines_section(front, references, predicted.model if predicted else None, *task),
        cards_section(front, references, predicted, *task, finalists=finalists_alone(finalists, front), scale=scale),
        definitions_section("Settings", settings),
        definitions_section("How the numbers were had", provenance),
        _limits([*records, *references], provenance.get("accuracy", ""), Task(*task)),
    )
    opening = render("picks.html", picks=_picks(front, references, scale))
    lead = _lead(len(records), len(front), len(references))
    return write_page(path, title, sections, lead=lead, opening=opening)


@dataclass(frozen=True, slots=True)
class PickCard:
    """A network that someone may be looking for: which one, its numbers, and how it stands beside a reference."""

    heading: str
    accuracy: str
    unit: str
    ms: str
    is_noisy: bool
    network: Cell
    beside: str


def _lead(searched: int, on_front: int, references: int) -> str:
    beside = f", beside {_count(references, 'hand-designed reference')}" if references else ""
    return f"{_count(searched, 'network')} searched, {on_front} on the front{beside}."


def _picks(front: Sequence[Record], references: Sequence[Record], scale: AccuracyScale) -> list[PickCard]:
    """A card for each pick of the front; none where it is empty, and one where it is a single network."""
    names = PICKS if len(front) > 2 else PICKS[: len(front)]
    picks = sorted(((name, pick(front, name)) for name in names), key=lambda picked: picked[1].latency_ms)
    return [_card(name, record, references, scale) for name, record in picks]


def _card(heading: str, record: Record, references: Sequence[Record], scale: AccuracyScale) -> PickCard:
    reference = nearest_reference(record, references)
    unit = "%" if scale.is_level_known else "points"
    beside = comparison(record, reference) if reference else ""
    name = name_cell(record, [record])
    return PickCard(heading, scale.text(record), unit, ms_text(record), record.noisy, name, beside)


def _speeds(
    references: Sequence[Record], records: Sequence[Record], predicted: Predicted | None, scale: AccuracyScale
) -> Iterator[Section]:
    """FLOPs against latency, coloured in two ways; nothing where no network was completed."""
    if not records and not references:
        return
    yield section(
        "FLOPs against latency, by groups",
        "Networks of equal FLOPs differ in speed. g is the largest number of groups in a network. "
        f"{_of_predictions(predicted)}{FLOP}",
        figures={"2": flops_figure(references, records, predicted, scale=scale)},
    )
    yield section(
        "FLOPs against latency, by split",
        "The same networks by the mean of their stages' splits: the share of the channels that a v2 unit works on.",
        figures={"3": flops_figure(references, records, by="split", scale=scale)},
    )


def _of_predictions(predicted: Predicted | None) -> str:
    if predicted is None:
        return ""
    errors, flops = predicted.model.errors, predicted.flops_alone
    return (
        f"Crosses are {len(predicted.networks)} networks of the space that were not measured, where a model fitted "
        f"to the {predicted.model.measurements} measured ones expects them. Of networks left out of its fit it is "
        f"within 10 % for {100 * errors.within_10_percent:.0f} % (FLOPs alone: {100 * flops.within_10_percent:.0f} %), "
        f"Kendall tau {errors.tau:.2f} ({flops.tau:.2f}). "
    )


def _limits(records: Sequence[Record], accuracy: str, task: Task) -> Section:
    measured = {record.latency.where for record in records} - {""}
    return section(
        "What the numbers do not say",
        template="limits.html",
        accuracy=accuracy[:1].upper() + accuracy[1:],
        where=f" ({'; '.join(sorted(measured))})" if measured else "",
        drift=_of_drift(records),
        task=holds_at(task, records),
        flop=FLOP,
    )


def _of_drift(records: Sequence[Record]) -> str:
    if not all(record.latency.has("taken_at") for record in records) or not records:
        return ""
    drift, hours = reference_drift([record.latency for record in records])
    return (
        f"The reference network's own time drifted by {100 * drift:.1f} % over the {60 * hours:,.0f} minutes of "
        "measuring; that is divided out."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
