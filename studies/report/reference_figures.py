"""The figure of hand-designed networks: FLOPs against latency, with lines along which a FLOP takes equally long."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from search_space.bounds import plain
from studies.latency.flops_verdict import TimedNetwork
from studies.report.figures import BLUE, GREY, LATENCY, ORANGE, bold, styled
from studies.report.label_placement import FONT_PX, HEIGHT_PX, Range, sides_of

_COLOURS = (ORANGE, BLUE, "#1fa187", GREY, "#a05cd6", "#d6457f")
_STEPS = [digit * 10.0**power for power in range(-4, 7) for digit in (1, 2, 5)]


def speed_figure(networks: Sequence[TimedNetwork], families: Sequence[str]) -> go.Figure:
    """MFLOPs against latency, both logarithmic, a colour for each of the families, beside lines of equal MFLOPs/ms.

    Up and to the left is faster for its FLOPs. A name that would lie on others is left to the pointer.
    """
    points = {network.name: (network.latency_ms, network.macs / 1e6) for network in networks}
    x_range = Range.around([x for x, _ in points.values()], is_logarithmic=True)
    y_range = Range.around([y for _, y in points.values()], is_logarithmic=True)
    figure = go.Figure([_speed_line(speed, x_range, y_range) for speed in _speeds(networks)])
    sides = sides_of(points, x_range, y_range)
    for colour, family in zip(_COLOURS, families, strict=False):
        members = [network for network in networks if network.family == family]
        if members:
            figure.add_trace(_family(family, members, colour, sides))
    figure = styled(figure, LATENCY, "MFLOPs").update_layout(height=HEIGHT_PX)
    return figure.update_xaxes(_log_axis(x_range)).update_yaxes(_log_axis(y_range))


def _family(name: str, networks: Sequence[TimedNetwork], colour: str, sides: Mapping[str, str]) -> go.Scatter:
    halves = [network.latency_ms * network.latency.spread / 2 for network in networks]
    return go.Scatter(
        name=escape(name),
        x=[network.latency_ms for network in networks],
        y=[network.macs / 1e6 for network in networks],
        mode="markers+text",
        marker={"color": colour, "size": 8},
        error_x={"type": "data", "array": halves, "thickness": 1.5, "width": 4},
        text=[escape(network.name) if network.name in sides else "" for network in networks],
        textposition=[sides.get(network.name, "top center") for network in networks],
        textfont={"size": FONT_PX},
        hovertext=[_hover(network) for network in networks],
        hoverinfo="text",
    )


def _hover(network: TimedNetwork) -> str:
    lines = (
        bold(network.name),
        f"{plain(network.latency_ms, 3)} ms {network.latency.spread_text}",
        f"{network.macs / 1e6:.1f} MFLOPs, {network.params / 1e6:.2f} M params",
        f"{plain(network.macs_per_ms / 1e6, 3)} MFLOPs/ms",
    )
    return "<br>".join(lines)


def _speeds(networks: Sequence[TimedNetwork]) -> list[float]:
    """Round MFLOPs/ms from the last below the slowest network's to the first above the fastest's."""
    speeds = [network.macs_per_ms / 1e6 for network in networks]
    if not speeds:
        return []
    low = max((step for step in _STEPS if step <= min(speeds)), default=_STEPS[0])
    high = min((step for step in _STEPS if step >= max(speeds)), default=_STEPS[-1])
    return [step for step in _STEPS if low <= step <= high]


def _speed_line(speed: float, x_range: Range, y_range: Range) -> go.Scatter:
    """The points of the plot at which a network does `speed` MFLOPs/ms, named at their upper end."""
    ends = (max(x_range.low, y_range.low / speed), min(x_range.high, y_range.high / speed))
    inside = ends if ends[0] < ends[1] else ()
    return go.Scatter(
        x=list(inside),
        y=[speed * x for x in inside],
        mode="lines+text",
        line={"color": GREY, "width": 1, "dash": "dot"},
        opacity=0.6,
        text=["", f"{plain(speed)} MFLOPs/ms"][: len(inside)],
        textposition="bottom left",
        textfont={"size": FONT_PX},
        hoverinfo="skip",
        showlegend=False,
    )


def _log_axis(ends: Range) -> dict[str, Any]:
    edges = [math.log10(end) for end in (ends.low, ends.high)]
    return {"type": "log", "tickvals": _STEPS, "tickformat": "~g", "range": edges}
