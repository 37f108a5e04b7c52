"""The report's section of a study's finalists: accuracy by several seeds against latency, error bars both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise

import plotly.graph_objects as go

from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.display import TIE, at_own, mflops_text, ms_text, spread_text
from studies.finalists import (
    Finalist,
    columns_of_int8,
    final_front,
    note_on_finalists,
    own_text,
    scale_of_finals,
)
from studies.int8_loss import MARK
from studies.record import Record
from studies.report.figures import BLUE, GREY, LATENCY, ORANGE, axes_of, on_axes, styled, ties_drawn
from studies.report.label_placement import FONT_PX, PHONE_PX, sides_of
from studies.report.page import Cell, Link, Section, section, table_html
from studies.report.study.cards import anchor_of, name_cell, row_anchor_of
from studies.ties import RULE, Pairs, letters_of, tied_pairs

HEADING = "Finalists"

_MOST_COVERED_PX = 2 * FONT_PX**2
"""A name may lie on the front's line."""


def finalists_section(
    finalists: Sequence[Finalist], front: Sequence[Record] = (), scale: AccuracyScale = PERCENT
) -> Section | None:
    """The section; None where there are none. Those on the search's `front` or their own lead to cards.

    The scale is the study's: what was measured of finalists is a percentage, whatever that is.
    """
    if not finalists:
        return None
    on_front = {record.architecture.key() for record in final_front(finalists)}
    alone = finalists_alone(finalists, front)
    shown = sorted(finalists, key=lambda each: each.final.latency_ms)
    ties, own = letters_of(len(shown), _tied(shown)), scale_of_finals(finalists, scale)
    of_int8 = columns_of_int8(shown, own)
    beside = list(zip(*of_int8.values(), strict=True)) or [()] * len(shown)
    rows = [
        (
            "reference" if each.record.reference else "found",
            (
                _name(each.record, front, alone),
                *_cells(each, more, each.record.architecture.key() in on_front, own, scale),
                tie,
            ),
        )
        for each, more, tie in zip(shown, beside, ties, strict=True)
    ]
    line = (
        "Trained anew with other seeds and timed again together, so these are the numbers to choose by. Bars: standard "
        "deviation over the seeds (none for a single one), and a latency's standard error. Of latencies within "
        f"{100 * (TIE - 1):.0f} % of each other the most accurate stands on the front. A pale band joins networks that "
        f"are tied, and they share a letter: {RULE}, or unknown."
    )
    column = f"int8 {own.unit}" if of_int8 else own.column
    numbers = ("MFLOPs", "latency ms", column, *of_int8, "seeds", f"predicted {scale.unit}")
    table = table_html(("name", *numbers, "on the front", "tie"), rows, numbers)
    figures = {"finalists": finalists_figure(finalists, own)}
    return section(HEADING, line, figures=figures, table=table, note=note_on_finalists(finalists))


def finalists_alone(finalists: Sequence[Finalist], front: Sequence[Record]) -> list[Record]:
    """The records of the networks that are on the finalists' front and not on the search's, fastest first."""
    on_front = {record.architecture for record in final_front(finalists)} - {record.architecture for record in front}
    found = [each.record for each in finalists if each.record.architecture in on_front and not each.record.reference]
    return sorted(found, key=lambda record: record.latency_ms)


def _name(record: Record, front: Sequence[Record], alone: Sequence[Record]) -> Cell:
    """The name, which leads to its card where it has one; a card leads back here if the front's table lacks it."""
    is_alone = record in alone
    return Link(record.name, anchor_of(record), row_anchor_of(record)) if is_alone else name_cell(record, front)


def finalists_figure(finalists: Sequence[Finalist], own: AccuracyScale = PERCENT) -> go.Figure:
    """Mean accuracy, on their `own` scale, against latency; the front as a line, ties as bands, most by name."""
    y = own.height_of
    front, finals = final_front(finalists), [each.final for each in finalists]
    found = [each for each in finalists if not each.record.reference]
    references = [each for each in finalists if each.record.reference]
    line = go.Scatter(
        name="front",
        x=[record.latency_ms for record in front],
        y=[y(record) for record in front],
        mode="lines",
        line={"color": GREY, "shape": "hv"},
    )
    axes = axes_of(finals, y, 100 * max(each.deviation or 0.0 for each in finalists))
    named = {each.name: each for each in [*front, *(each.final for each in references)]}
    points = {name: (each.latency_ms, y(each)) for name, each in named.items()}
    drawn = [(each.latency_ms, y(each)) for each in finals if each.name not in named]
    others = [*drawn, *_along_steps(front, y)]
    sides = sides_of(points, *axes, size_px=PHONE_PX, others=others, most_covered_px=_MOST_COVERED_PX)
    ties = ties_drawn(finals, _tied(finalists), y)
    traces = _points("finalists", found, BLUE, sides, y), _points("references", references, ORANGE, sides, y)
    in_int8 = " in int8" if any(each.int8 for each in finalists) else ""
    height = f"accuracy{in_int8}, %" if own.is_level_known else f"{own.axis}{in_int8}"
    return on_axes(styled(go.Figure([*ties, line, *traces]), LATENCY, height), axes)


def _tied(finalists: Sequence[Finalist]) -> Pairs:
    return tied_pairs([each.final for each in finalists], [each.deviation for each in finalists])


def _along_steps(front: Sequence[Record], y: Callable[[Record], float]) -> Iterator[tuple[float, float]]:
    """Points of the line from each network of the front to the next: along, and then up."""
    for one, other in pairwise(front):
        for part in (0.25, 0.5, 0.75):
            yield one.latency_ms + part * (other.latency_ms - one.latency_ms), y(one)
            yield other.latency_ms, y(one) + part * (y(other) - y(one))


def _points(
    name: str, finalists: Sequence[Finalist], colour: str, sides: Mapping[str, str], y: Callable[[Record], float]
) -> go.Scatter:
    """The points of finalists; those of `sides` have their names there, the others when they are pointed at."""
    finals = [each.final for each in finalists]
    errors = [each.latency_ms * each.latency_spread / 2 for each in finals]
    return go.Scatter(
        name=name,
        x=[each.latency_ms for each in finals],
        y=[y(each) for each in finals],
        error_x={"type": "data", "array": errors, "thickness": 1.5, "width": 4},
        error_y={"type": "data", "array": [100 * (each.deviation or 0.0) for each in finalists], "width": 4},
        text=[escape(each.name) if each.name in sides else "" for each in finals],
        hovertext=[escape(each.name) for each in finals],
        textposition=[sides.get(each.name, "top center") for each in finals],
        textfont={"size": FONT_PX},
        mode="markers+text",
        marker={"color": colour, "size": 9},
    )


def _cells(
    finalist: Finalist, of_int8: Sequence[str], is_on_front: bool, own: AccuracyScale, scale: AccuracyScale
) -> tuple[str, ...]:
    final, record = finalist.final, finalist.record
    return (
        mflops_text(record) + at_own(record.architecture),
        f"{ms_text(final)} {spread_text(final)}",
        own_text(finalist, own),
        *of_int8,
        str(len(finalist.accuracies)),
        scale.text(record),
        ", ".join((*("yes",) * is_on_front, *(MARK,) * bool(finalist.loss and finalist.loss.is_much))),
    )
