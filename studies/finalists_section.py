"""The report's section of a study's finalists: accuracy by several seeds against latency, error bars both ways."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

import plotly.graph_objects as go

from studies.figures import BLUE, GREY, LATENCY, ORANGE, axis_scale, styled
from studies.finalists import Finalist, final_front
from studies.page import figure_html, section, table_html
from studies.table import TIE, accuracy_text, mflops_text, ms_text, spread_text

HEADING = "Finalists"
COLUMNS = ("name", "MFLOPs", "latency ms", "accuracy %", "seeds", "predicted %", "on the front")


def finalists_section(finalists: Sequence[Finalist]) -> str:
    """The section, as HTML; empty where there are none."""
    if not finalists:
        return ""
    front = {record.architecture.key() for record in final_front(finalists)}
    rows = [
        ("reference" if each.record.reference else "found", _cells(each, each.record.architecture.key() in front))
        for each in sorted(finalists, key=lambda each: each.final.latency_ms)
    ]
    note = (
        "Trained anew with other seeds and timed again together, so these are the numbers to choose by. Bars: standard "
        "deviation over the seeds (none for a single one), and a latency's standard error. Latencies within "
        f"{100 * (TIE - 1):.0f} % of each other are ties, of which the most accurate stands on the front; accuracies "
        "whose bars overlap are not told apart."
    )
    drawn = figure_html(finalists_figure(finalists), "finalists")
    return section(HEADING, f"<p>{escape(note)}</p>{drawn}{table_html(COLUMNS, rows, COLUMNS[1:-1])}")


def finalists_figure(finalists: Sequence[Finalist]) -> go.Figure:
    """Mean accuracy against latency, the front as a line, references by name."""
    front = final_front(finalists)
    found = [each for each in finalists if not each.record.reference]
    references = [each for each in finalists if each.record.reference]
    line = go.Scatter(
        name="front",
        x=[record.latency_ms for record in front],
        y=[100 * record.accuracy for record in front],
        mode="lines",
        line={"color": GREY, "shape": "hv"},
    )
    named = {record.name for record in front} | {each.record.name for each in references}
    points = _points("finalists", found, BLUE, named), _points("references", references, ORANGE, named)
    figure = styled(go.Figure([line, *points]), LATENCY, "accuracy, %")
    return figure.update_xaxes(axis_scale([each.final.latency_ms for each in finalists]))


def _points(name: str, finalists: Sequence[Finalist], colour: str, named: Collection[str]) -> go.Scatter:
    """The points of finalists; those `named` have their names beside them, the others when they are pointed at."""
    finals = [each.final for each in finalists]
    errors = [each.latency_ms * each.latency_spread / 2 for each in finals]
    return go.Scatter(
        name=name,
        x=[each.latency_ms for each in finals],
        y=[100 * each.accuracy for each in finals],
        error_x={"type": "data", "array": errors, "thickness": 1.5, "width": 4},
        error_y={"type": "data", "array": [100 * (each.deviation or 0.0) for each in finalists], "width": 4},
        text=[escape(each.name) if each.name in named else "" for each in finals],
        hovertext=[escape(each.name) for each in finals],
        textposition="top center",
        mode="markers+text",
        marker={"color": colour, "size": 10},
    )


def _cells(finalist: Finalist, is_on_front: bool) -> tuple[str, ...]:
    final, record = finalist.final, finalist.record
    spread = "" if finalist.deviation is None else f" ± {100 * finalist.deviation:.1f}"
    return (
        record.name,
        mflops_text(record),
        f"{ms_text(final)} {spread_text(final)}",
        f"{100 * finalist.accuracy:.1f}{spread}",
        str(len(finalist.accuracies)),
        accuracy_text(record),
        "yes" if is_on_front else "",
    )
