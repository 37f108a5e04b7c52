"""The report's figures: accuracy against latency, and FLOPs against latency. They read well on white and on black."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from html import escape
from typing import Any

import plotly.graph_objects as go

from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.display import mflops_text, ms_text, params_text, proxy_text, spread_text, stage_text, whole_text
from studies.latency.unmeasured import Predicted
from studies.record import Record
from studies.report.label_placement import FONT_PX, PHONE_PX, Range, sides_of
from studies.ties import Pairs, tied_pairs

GREY, BLUE, ORANGE = "#8a8f98", "#2f8fe0", "#e0701f"
_COLOURS = (BLUE, "#1fa187", "#d9a514", "#a05cd6", "#d6457f", "#7d8b1f")
_SYMBOLS = {"v1": "square", "v2": "circle"}
LATENCY = "latency, ms"
_LOG_FROM = 5
"""An axis whose largest value is more than this many times the smallest is logarithmic."""
_LOG_MARGIN = 1.15
"""It reaches this factor beyond them."""
Axes = tuple[Range, Range]
_ALONG_A_BAR = (-1, -0.5, 0.5, 1)


def front_figure(
    front: Sequence[Record],
    references: Sequence[Record],
    records: Sequence[Record],
    scale: AccuracyScale = PERCENT,
) -> go.Figure:
    """Accuracy against latency: every trial faint, the front as a line, the references by name, ties as bands."""
    on_front = {record.architecture.key() for record in front}
    others = [record for record in records if record.architecture.key() not in on_front]
    shown, named = [*records, *references], [*front, *references]
    y, errors = scale.height_of, [scale.error_of(record) for record in named]
    axes = axes_of(shown, y, 100 * max((error or 0.0 for error in errors), default=0.0))
    covered = [
        *((record.latency_ms, y(record)) for record in shown),
        *(
            (record.latency_ms, y(record) + part * 100 * (error or 0.0))
            for record, error in zip(named, errors, strict=True)
            for part in _ALONG_A_BAR
        ),
    ]
    bars = {"error_x": _error(front), "error_y": _accuracy_bars(front, scale)}
    line = {"mode": "lines+markers", "marker": {"color": BLUE, "size": 9}}
    figure = go.Figure(
        [
            *ties_drawn(named, tied_pairs(named, errors), y),
            _points("searched", others, y, scale, marker={"color": GREY, "size": 7, "opacity": 0.5}),
            _points("front", front, y, scale, **line, **bars),
            _references(references, y, scale, axes, covered).update(error_y=_accuracy_bars(references, scale)),
        ]
    )
    return on_axes(styled(figure, LATENCY, scale.axis), axes)


def flops_figure(
    references: Sequence[Record],
    records: Sequence[Record],
    predicted: Predicted | None = None,
    by: str = "groups",
    scale: AccuracyScale = PERCENT,
) -> go.Figure:
    """MFLOPs against latency: colours for a row of `COLOURED_BY`, symbols for the unit, references by name.

    Networks whose latency is only predicted are small crosses. The scale is that of what a pointer shows.
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
        figure.add_trace(_points(f"{unit} {value}", members, _mflops, scale, marker=marker, error_x=bars))
    shown = [*records, *references]
    axes = axes_of(shown, _mflops)
    covered = [(record.latency_ms, _mflops(record)) for record in shown]
    figure.add_trace(_references(references, _mflops, scale, axes, covered))
    return on_axes(styled(figure, LATENCY, "MFLOPs"), axes)


def ties_drawn(records: Sequence[Record], pairs: Pairs, y: Callable[[Record], float]) -> list[go.Scatter]:
    """A band from the one to the other of each pair of records, all as one trace; none where there is no pair."""
    if not pairs:
        return []
    ends = [[records[one], records[other]] for one, other in pairs]
    return [
        go.Scatter(
            name="tie",
            x=[x for pair in ends for x in (*(each.latency_ms for each in pair), None)],
            y=[height for pair in ends for height in (*(y(each) for each in pair), None)],
            mode="lines",
            line={"color": BLUE, "width": 16},
            opacity=0.25,
            hoverinfo="skip",
        )
    ]


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


def _points(
    name: str, records: Sequence[Record], y: Callable[[Record], float], scale: AccuracyScale, **options: Any
) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=[record.latency_ms for record in records],
        y=[y(record) for record in records],
        hovertext=[_hover(record, scale) for record in records],
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


def _references(
    references: Sequence[Record],
    y: Callable[[Record], float],
    scale: AccuracyScale,
    axes: Axes,
    drawn: Sequence[tuple[float, float]],
) -> go.Scatter:
    """The references with their names, each on the side where it covers least of what is `drawn`."""
    points = {record.name: (record.latency_ms, y(record)) for record in references}
    sides = sides_of(points, *axes, size_px=PHONE_PX, others=drawn, most_covered_px=math.inf)
    return _points(
        "reference",
        references,
        y,
        scale,
        mode="markers+text",
        marker={"color": ORANGE, "symbol": "diamond-open", "size": 11, "line": {"width": 2}},
        error_x=_error(references),
        text=[escape(record.name) for record in references],
        textposition=[sides[record.name] for record in references],
        textfont={"size": FONT_PX},
        cliponaxis=False,
    )


def _error(records: Sequence[Record]) -> dict[str, Any]:
    halves = [record.latency_ms * record.latency_spread / 2 for record in records]
    return {"type": "data", "array": halves, "thickness": 1.5, "width": 4}


def _accuracy_bars(records: Sequence[Record], scale: AccuracyScale) -> dict[str, Any]:
    errors = [100 * (scale.error_of(record) or 0.0) for record in records]
    return {"type": "data", "array": errors, "thickness": 1, "width": 3, "visible": any(errors)}


def _hover(record: Record, scale: AccuracyScale) -> str:
    lines = [
        f"{bold(record.name)}, unit {record.architecture.unit}",
        f"{scale.phrase(record)} (proxy {proxy_text(record)} %), {ms_text(record)} ms {spread_text(record)}",
        f"{mflops_text(record)} MFLOPs, {params_text(record)} M params",
        *(f"stage {number}: {stage_text(stage)}" for number, stage in enumerate(record.architecture.stages, start=2)),
        whole_text(record.architecture),
    ]
    return "<br>".join(lines)


def bold(text: str) -> str:
    """A text in bold, in plotly's own markup."""
    return f"<b>{escape(text)}</b>"


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


def axes_of(records: Sequence[Record], y: Callable[[Record], float], margin: float = 0.0) -> Axes:
    """What the axes of latency and of `y` span to show the records, with so much room above and below them."""
    values = [y(record) for record in records]
    tops = [value + sign * margin for value in values for sign in (-1, 1)]
    return _range_of([record.latency_ms for record in records]), _range_of(tops)


def on_axes(figure: go.Figure, axes: Axes) -> go.Figure:
    """The figure, whose axes now span that."""
    scales = [axis_scale([span.low, span.high]) if span.is_logarithmic else {"type": "linear"} for span in axes]
    ends = [[math.log10(end) for end in span[:2]] if span.is_logarithmic else list(span[:2]) for span in axes]
    x, y = ({**scale, "range": end} for scale, end in zip(scales, ends, strict=True))
    return figure.update_xaxes(x).update_yaxes(y)


def axis_scale(values: Sequence[float]) -> dict[str, Any]:
    """An axis for these values: where they range far above 0, logarithmic with ticks at 1, 2 and 5 of each decade."""
    if not values or min(values) <= 0 or max(values) <= _LOG_FROM * min(values):
        return {"type": "linear"}
    ticks = [digit * 10.0**power for power in range(-4, 7) for digit in (1, 2, 5)]
    return {"type": "log", "tickvals": ticks, "tickformat": "~g"}


def _range_of(values: Sequence[float]) -> Range:
    if axis_scale(values)["type"] == "linear":
        return Range.around(values)
    return Range(min(values) / _LOG_MARGIN, max(values) * _LOG_MARGIN, is_logarithmic=True)
