"""The report: one HTML page with the front, what it stands beside, and what its numbers do not say.

The page opens without a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from search_space.task import Task
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.display import FLOP, comparison, ms_text
from studies.finalists import Finalist
from studies.front import PICKS, nearest_reference, pick
from studies.latency.repeatability import reference_drift
from studies.latency.unmeasured import Predicted, predicted_for
from studies.record import Record
from studies.report.figures import flops_figure
from studies.report.page import cell_html, definitions_section, figure_html, section, write_page
from studies.report.study.cards import cards_section, name_cell
from studies.report.study.common_choices import Importances, winners_section
from studies.report.study.finalists_section import finalists_alone, finalists_section
from studies.report.study.front_section import figure_section, table_section
from studies.report.study.growth import growth_of, growth_section
from studies.report.study.guidelines import guidelines_section

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
    """
    predicted = predicted_for([*records, *references], settings)
    task = [int(settings.get(name, default)) for name, default in DEPLOYMENT.items()]
    sections = (
        _header(title, len(records), len(front), len(references)),
        _picks(front, references, scale),
        finalists_section(finalists, front, scale),
        figure_section(front, references, records, scale),
        _speeds(references, records, predicted, scale),
        table_section(front, references, scale),
        growth_section(growth_of(records, minutes or {}), scale),
        winners_section(front, records, importances),
        guidelines_section(front, references, predicted.model if predicted else None, *task),
        cards_section(front, references, predicted, *task, finalists=finalists_alone(finalists, front), scale=scale),
        definitions_section("Settings", settings),
        definitions_section("How the numbers were had", provenance),
        _limits([*records, *references], provenance.get("accuracy", ""), Task(*task)),
    )
    return write_page(path, title, sections)


def _header(title: str, searched: int, on_front: int, references: int) -> str:
    counts = f"{_count(searched, 'network')} searched, {on_front} on the front"
    beside = f", beside {_count(references, 'hand-designed reference')}" if references else ""
    return f"<header><h1>{escape(title)}</h1><p>{counts}{beside}.</p></header>"


def _picks(front: Sequence[Record], references: Sequence[Record], scale: AccuracyScale) -> str:
    """A card for each pick of the front; none where it is empty, and one where it is a single network."""
    names = PICKS if len(front) > 2 else PICKS[: len(front)]
    picks = sorted(((name, pick(front, name)) for name in names), key=lambda picked: picked[1].latency_ms)
    cards = [_card(name, record, references, scale) for name, record in picks]
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def _card(name: str, record: Record, references: Sequence[Record], scale: AccuracyScale) -> str:
    reference = nearest_reference(record, references)
    beside = f"<p>{escape(comparison(record, reference))}</p>" if reference else ""
    noisy = ' <span class="noisy">noisy</span>' if record.noisy else ""
    unit = "%" if scale.is_level_known else "points"
    numbers = f"{scale.text(record)}<small> {unit}</small> {ms_text(record)}<small> ms</small>{noisy}"
    link = cell_html(name_cell(record, [record]))
    return f'<article><h2>{name}</h2><p class="number">{numbers}</p><p>{link}</p>{beside}</article>'


def _speeds(
    references: Sequence[Record], records: Sequence[Record], predicted: Predicted | None, scale: AccuracyScale
) -> str:
    """FLOPs against latency, coloured in two ways; nothing where no network was completed."""
    if not records and not references:
        return ""
    notes = (
        f"<p>Networks of equal FLOPs differ in speed. g is the largest number of groups in a network. "
        f"{_of_predictions(predicted)}{FLOP}</p>",
        "<p>The same networks by the mean of their stages' splits: the share of the channels that a v2 unit works "
        "on.</p>",
    )
    figures = (
        flops_figure(references, records, predicted, scale=scale),
        flops_figure(references, records, by="split", scale=scale),
    )
    headings = "FLOPs against latency, by groups", "FLOPs against latency, by split"
    drawn = [figure_html(figure, str(number)) for number, figure in enumerate(figures, start=2)]
    return "".join(section(heading, note + each) for heading, note, each in zip(headings, notes, drawn, strict=True))


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


def _limits(records: Sequence[Record], accuracy: str, task: Task) -> str:
    measured = {f"{r.latency.get('runtime', '')} {r.latency.get('device', '')}".strip() for r in records} - {""}
    where = f" ({'; '.join(sorted(measured))})" if measured else ""
    return section(
        "What the numbers do not say",
        "<ul><li>Accuracy is <strong>predicted</strong> from a short training, whose own accuracy is called the "
        f"proxy's. References were scored in the same way. {escape(accuracy[:1].upper() + accuracy[1:])}.</li>"
        f"<li>Latency is that of this device and runtime only{escape(where)}; on another, another front. "
        f"{_of_drift(records)}</li>"
        f"<li>Costs and latencies hold at {task.description}. {FLOP} Other counts in use, such as two operations "
        "for each, give larger numbers.</li></ul>",
    )


def _of_drift(records: Sequence[Record]) -> str:
    if not all("taken_at" in record.latency for record in records) or not records:
        return ""
    drift, hours = reference_drift([record.latency for record in records])
    return (
        f"The reference network's own time drifted by {100 * drift:.1f} % over the {hours:.1f} hours of measuring; "
        "that is divided out."
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
