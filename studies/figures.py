"""The report's figures: accuracy against latency, and FLOPs against latency. They read well on white and on black."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from html import escape
from typing import Any

import plotly.graph_objects as go

from search_space.architecture import Stage
from studies.front import nearest_reference
from studies.predicted import Predicted
from studies.record import Record
from studies.table import accuracy_text, mflops_text, ms_text, params_text, proxy_text, spread_text

GREY, BLUE, ORANGE = "#8a8f98", "#2f8fe0", "#e0701f"
_COLOURS = (BLUE, "#1fa187", "#d9a514", "#a05cd6", "#d6457f", "#7d8b1f")
_SYMBOLS = {"v1": "square", "v2": "circle"}
LATENCY = "latency, ms"
_LOG_FROM = 5
"""An axis whose largest value is more than this many times the smallest is logarithmic."""


def front_figure(front: Sequence[Record], references: Sequence[Record], records: Sequence[Record]) -> go.Figure:
    """Accuracy against latency: every trial faint, the front as a line, the references by name."""
    on_front = {record.architecture.key() for record in front}
    others = [record for record in records if record.architecture.key() not in on_front]
    faint = {"color": GREY, "size": 7, "opacity": 0.5}
    strong = {"color": BLUE, "size": 10}
    figure = go.Figure(
        [
            _points("searched", others, _accuracy_percent, marker=faint),
            _points("front", front, _accuracy_percent, marker=strong, mode="lines+markers", error_x=_error(front)),
            _references(references, _accuracy_percent),
        ]
    )
    shown = [*records, *references]
    figure = styled(figure, LATENCY, "predicted accuracy, %")
    return figure.update_xaxes(axis_scale([record.latency_ms for record in shown]))


def flops_figure(
    references: Sequence[Record],
    records: Sequence[Record],
    predicted: Predicted | None = None,
    by: str = "groups",
) -> go.Figure:
    """MFLOPs against latency: colours for a row of `COLOURED_BY`, symbols for the unit, references by name.

    Networks whose latency is only predicted are small crosses.
    """
    kinds: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        kinds.setdefault((COLOURED_BY[by](record), record.architecture.unit), []).append(record)
    values = sorted({value for value, _ in kinds})
    figure = go.Figure([_predictions(predicted)] if predicted else [])
    for (value, unit), members in sorted(kinds.items()):
        colour = _COLOURS[values.index(value) % len(_COLOURS)]
        marker = {"color": colour, "symbol": _SYMBOLS[unit], "size": 8, "opacity": 0.8}
        bars = {**_error(members), "thickness": 1, "width": 0}
        figure.add_trace(_points(f"{unit} {value}", members, _mflops, marker=marker, error_x=bars))
    figure.add_trace(_references(references, _mflops))
    shown = [*records, *references]
    figure = styled(figure, LATENCY, "MFLOPs").update_yaxes(axis_scale([_mflops(record) for record in shown]))
    return figure.update_xaxes(axis_scale([record.latency_ms for record in shown]))


def stage_text(stage: Stage) -> str:
    """A stage in a line: "4 x 116, groups 1, split 1/2, kernel 3", and SE where it has it."""
    parts = [f"{stage.depth} x {stage.width}", f"groups {stage.groups}"]
    parts += [f"split {stage.split}"] if stage.split else []
    return ", ".join([*parts, f"kernel {stage.kernel}", *(["SE"] if stage.se else [])])


def _accuracy_percent(record: Record) -> float:
    return 100 * record.accuracy


def _mflops(record: Record) -> float:
    return record.macs / 1e6


def _largest_groups(record: Record) -> str:
    return f"g{max(stage.groups for stage in record.architecture.stages)}"


def _mean_split(record: Record) -> str:
    splits = [stage.split for stage in record.architecture.stages if stage.split is not None]
    if not splits:
        return "no split"
    mean, half = sum(splits) / len(splits), Fraction(1, 2)
    return "split 1/2" if mean == half else f"split {'under' if mean < half else 'over'} 1/2"


COLOURED_BY: dict[str, Callable[[Record], str]] = {"groups": _largest_groups, "split": _mean_split}
"""What `flops_figure` may colour networks by: their largest groups, or the mean of their stages' splits."""


def _points(name: str, records: Sequence[Record], y: Callable[[Record], float], **options: Any) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=[record.latency_ms for record in records],
        y=[y(record) for record in records],
        hovertext=[_hover(record) for record in records],
        hoverinfo="text",
        **{"mode": "markers", **options},
    )


def _predictions(predicted: Predicted) -> go.Scatter:
    return go.Scatter(
        name="predicted",
        x=[latency_ms for _, _, latency_ms in predicted.networks],
        y=[macs / 1e6 for _, macs, _ in predicted.networks],
        mode="markers",
        marker={"color": GREY, "symbol": "x-thin", "size": 5, "opacity": 0.6, "line": {"width": 1, "color": GREY}},
        hoverinfo="skip",
    )


def _references(references: Sequence[Record], y: Callable[[Record], float]) -> go.Scatter:
    return _points(
        "reference",
        references,
        y,
        mode="markers+text",
        marker={"color": ORANGE, "symbol": "diamond-open", "size": 11, "line": {"width": 2}},
        error_x=_error(references),
        text=[escape(record.name) for record in references],
        textposition=[_side(record, references, y) for record in references],
        textfont={"size": 11},
        cliponaxis=False,
    )


def _side(record: Record, references: Sequence[Record], y: Callable[[Record], float]) -> str:
    """Where a reference's name stands: away from its nearest neighbour, or the two names would overlap."""
    nearest = nearest_reference(record, [other for other in references if other is not record])
    return "bottom center" if nearest and y(record) < y(nearest) else "top center"


def _error(records: Sequence[Record]) -> dict[str, Any]:
    halves = [record.latency_ms * record.latency_spread / 2 for record in records]
    return {"type": "data", "array": halves, "thickness": 1.5, "width": 4}


def _hover(record: Record) -> str:
    lines = [
        f"<b>{escape(record.name)}</b>, unit {record.architecture.unit}",
        f"{accuracy_text(record)} % (proxy {proxy_text(record)} %), {ms_text(record)} ms {spread_text(record)}",
        f"{mflops_text(record)} MFLOPs, {params_text(record)} M params",
        *(f"stage {number}: {stage_text(stage)}" for number, stage in enumerate(record.architecture.stages, start=2)),
    ]
    return "<br>".join(lines)


def styled(figure: go.Figure, x_title: str | None, y_title: str) -> go.Figure:
    """The figure on a transparent ground, with grids and texts that are read on white and on black."""
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "family": "system-ui, sans-serif", "size": 13},
        margin={"l": 10, "r": 16, "t": 32, "b": 10},
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": BLUE},
        hoverlabel={"bgcolor": "#20242b", "font": {"color": "#f4f5f7"}, "align": "left"},
        hovermode="closest",
        dragmode=False,  # a finger on the plot scrolls the page; the toolbar still zooms
        showlegend=True,
    )
    line = {"gridcolor": "rgba(138,143,152,0.25)", "zeroline": False, "automargin": True, "ticks": "outside"}
    return figure.update_xaxes(title=x_title, **line).update_yaxes(title=y_title, **line)


def axis_scale(values: Sequence[float]) -> dict[str, Any]:
    """An axis for these values: where they range far, logarithmic with ticks at 1, 2 and 5 of each decade."""
    if not values or max(values) <= _LOG_FROM * min(values):
        return {"type": "linear"}
    ticks = [digit * 10.0**power for power in range(-4, 7) for digit in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "tickformat": "~g"}
