"""The report's sections of the front: accuracy against latency with its ties, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence

from studies.accuracy_scale import AccuracyScale
from studies.display import NUMBERS, MemoryColumns, columns_of, note_on_precision, notes_of, rows_of
from studies.record import Record
from studies.report.figures import front_figure
from studies.report.page import Cell, Link, Section, section, table_html
from studies.report.study.cards import anchor_of, row_anchor_of
from studies.ties import LATENCY_RULE, RULE, letters_of, tied_pairs

FIGURE_HEADING, TABLE_HEADING = "Accuracy against latency", "The front"
TIE_COLUMN = "tie"


def figure_section(
    front: Sequence[Record], references: Sequence[Record], records: Sequence[Record], scale: AccuracyScale
) -> Section:
    """The section of the figure."""
    if not records and not references:
        return section(FIGURE_HEADING, "No network was completed, so there is nothing to draw.")
    line = f"Up and to the left is better. {_of_bars(scale)} A pale band joins networks that are tied: {_rule(scale)}."
    line = " ".join(filter(None, (line, note_on_precision([*front, *references]))))
    return section(FIGURE_HEADING, line, figures={"1": front_figure(front, references, records, scale)})


def table_section(
    front: Sequence[Record], references: Sequence[Record], scale: AccuracyScale, memory: MemoryColumns | None = None
) -> Section:
    """The section of the table: each network of the front leads to its card, ties share a letter."""
    shown = sorted([*front, *references], key=lambda record: record.latency_ms)
    if not shown:
        return section(TABLE_HEADING, "It is empty.")
    pairs = tied_pairs(shown, [scale.error_of(record) for record in shown])
    letters = letters_of(len(shown), pairs)
    rows: list[tuple[str, Sequence[Cell]]] = []
    for record, row, tie in zip(shown, rows_of(front, references, scale, memory), letters, strict=True):
        name: Cell = row.cells[0] if row.is_reference else Link(row.cells[0], anchor_of(record), row_anchor_of(record))
        rows.append(("reference" if row.is_reference else "found", (name, *row.cells[1:], tie)))
    tied = f"{'Networks that share a letter' if pairs else 'No two'} are tied: {_rule(scale)}."
    table = table_html((*columns_of(scale, memory), TIE_COLUMN), rows, NUMBERS)
    return section(TABLE_HEADING, table=table, note=f"{notes_of(shown, scale, memory)} {tied}")


def _rule(scale: AccuracyScale) -> str:
    return LATENCY_RULE if scale.error is None else RULE


def _of_bars(scale: AccuracyScale) -> str:
    if scale.error is None:
        return "Bars show the standard error of a latency; that of an accuracy is not known."
    return (
        f"Bars show the standard error of a latency, and one standard deviation of the predicted accuracy: "
        f"{100 * scale.error:.1f} points of accuracy, the root mean square error of the fit on networks that were left "
        "out of it, and more for a network unlike those."
    )
