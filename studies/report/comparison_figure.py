"""The figure of a comparison: accuracy against latency, a colour for each family, every network by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import plotly.graph_objects as go

from search_space.bounds import plain
from studies.papers.comparison import Compared, Comparison
from studies.report.figures import BLUE, GREY, LATENCY, ORANGE, axis_scale, bold, on_axes, styled
from studies.report.label_placement import FONT_PX, HEIGHT_PX, Range, sides_of

_COLOURS = (ORANGE, BLUE, "#1fa187", GREY, "#a05cd6", "#d6457f", "#d9a514")


def drawn_of(comparison: Comparison) -> list[Compared]:
    """The networks that the figure shows: both timed and trained, and half as accurate as the best one or better."""
    known = [each for each in comparison.networks if each.latency_ms is not None and each.accuracy is not None]
    best = max((each.accuracy or 0.0 for each in known), default=0.0)
    return [each for each in known if (each.accuracy or 0.0) >= best / 2]


def comparison_figure(comparison: Comparison) -> go.Figure:
    """Accuracy in percent against latency, with the errors of both; a name that would lie on others shows on touch."""
    shown = drawn_of(comparison)
    points = {each.name: (each.latency_ms or 0.0, 100 * (each.accuracy or 0.0)) for each in shown}
    latencies = [x for x, _ in points.values()]
    errors = [100 * (each.accuracy_error or 0.0) for each in shown]
    accuracies = [y + sign * error for (_, y), error in zip(points.values(), errors, strict=True) for sign in (-1, 1)]
    axes = (
        Range.around(latencies, is_logarithmic=axis_scale(latencies)["type"] == "log"),
        Range.around(accuracies),
    )
    sides = sides_of(points, *axes)
    families = list(dict.fromkeys(each.family for each in shown))
    figure = go.Figure(
        [
            _family(family, [each for each in shown if each.family == family], _COLOURS[number % len(_COLOURS)], sides)
            for number, family in enumerate(families)
        ]
    )
    return on_axes(styled(figure, LATENCY, "accuracy, %").update_layout(height=HEIGHT_PX), axes)


def _family(name: str, networks: Sequence[Compared], colour: str, sides: Mapping[str, str]) -> go.Scatter:
    bars = {"type": "data", "thickness": 1.5, "width": 4}
    halves = [(each.latency_ms or 0.0) * each.latency.spread / 2 if each.latency else None for each in networks]
    errors = [None if each.accuracy_error is None else 100 * each.accuracy_error for each in networks]
    return go.Scatter(
        name=escape(name),
        x=[each.latency_ms for each in networks],
        y=[100 * (each.accuracy or 0.0) for each in networks],
        mode="markers+text",
        marker={"color": colour, "size": 9},
        error_x={**bars, "array": halves},
        error_y={**bars, "array": errors},
        text=[escape(each.name) if each.name in sides else "" for each in networks],
        textposition=[sides.get(each.name, "top center") for each in networks],
        textfont={"size": FONT_PX},
        hovertext=[_hover(each) for each in networks],
        hoverinfo="text",
    )


def _hover(network: Compared) -> str:
    counts = f"{(network.macs or 0) / 1e6:.1f} MFLOPs, {(network.params or 0) / 1e6:.2f} M params"
    accuracy = f"{100 * (network.accuracy or 0.0):.1f} %, {plain(network.latency_ms or 0.0, 3)} ms"
    return f"{bold(network.name)}<br>{accuracy}<br>{counts}"
