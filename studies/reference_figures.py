"""The figure of hand-designed networks: FLOPs against latency, with lines along which a FLOP takes equally long."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import plotly.graph_objects as go

from studies.figures import BLUE, GREY, LATENCY, ORANGE, styled
from studies.misleading import TimedNetwork

HEIGHT_PX, WIDTH_PX = 720, 980
"""The height is kept; the width, as the page's column on a large screen, serves only to place the names."""
_COLOURS = (ORANGE, BLUE, "#1fa187", GREY, "#a05cd6", "#d6457f")
_FONT_PX = 10
_MARGIN = 1.4
"""The axes reach this factor beyond the extreme points."""
_STEPS = [digit * 10.0**power for power in range(-4, 7) for digit in (1, 2, 5)]


class _Box(NamedTuple):
    left: float
    right: float
    bottom: float
    top: float

    def overlap(self, other: _Box) -> float:
        """The area that both boxes cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


_FAR = 10_000.0
_OUTSIDE = (_Box(-_FAR, 0, -_FAR, _FAR), _Box(WIDTH_PX, _FAR, -_FAR, _FAR))
"""Left and right of the plot, where a name would be cut off."""


def speed_figure(networks: Sequence[TimedNetwork], families: Sequence[str]) -> go.Figure:
    """MFLOPs against latency, both logarithmic, a colour for each of the families, beside lines of equal MFLOPs/ms.

    Up and to the left is faster for its FLOPs. A name that would lie on others is left to the pointer.
    """
    x_range = _range([network.latency_ms for network in networks])
    y_range = _range([network.macs / 1e6 for network in networks])
    figure = go.Figure([_speed_line(speed, x_range, y_range) for speed in _speeds(networks)])
    sides = _sides(networks, x_range, y_range)
    for colour, family in zip(_COLOURS, families, strict=False):
        members = [network for network in networks if network.family == family]
        if members:
            figure.add_trace(_family(family, members, colour, sides))
    figure = styled(figure, LATENCY, "MFLOPs").update_layout(height=HEIGHT_PX)
    return figure.update_xaxes(_log_axis(x_range)).update_yaxes(_log_axis(y_range))


def _family(name: str, networks: Sequence[TimedNetwork], colour: str, sides: Mapping[str, str]) -> go.Scatter:
    halves = [network.latency_ms * network.latency_spread / 2 for network in networks]
    return go.Scatter(
        name=escape(name),
        x=[network.latency_ms for network in networks],
        y=[network.macs / 1e6 for network in networks],
        mode="markers+text",
        marker={"color": colour, "size": 8},
        error_x={"type": "data", "array": halves, "thickness": 1.5, "width": 4},
        text=[escape(network.name) if network.name in sides else "" for network in networks],
        textposition=[sides.get(network.name, "top center") for network in networks],
        textfont={"size": _FONT_PX},
        hovertext=[_hover(network) for network in networks],
        hoverinfo="text",
    )


def _hover(network: TimedNetwork) -> str:
    noisy = " noisy" if network.noisy else ""
    lines = (
        f"<b>{escape(network.name)}</b>",
        f"{network.latency_ms:.3g} ms ±{100 * network.latency_spread / 2:.1f} %{noisy}",
        f"{network.macs / 1e6:.1f} MFLOPs, {network.params / 1e6:.2f} M params",
        f"{network.macs_per_ms / 1e6:.3g} MFLOPs/ms",
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


def _speed_line(speed: float, x_range: tuple[float, float], y_range: tuple[float, float]) -> go.Scatter:
    """The points of the plot at which a network does `speed` MFLOPs/ms, named at their upper end."""
    ends = (max(x_range[0], y_range[0] / speed), min(x_range[1], y_range[1] / speed))
    inside = ends if ends[0] < ends[1] else ()
    return go.Scatter(
        x=list(inside),
        y=[speed * x for x in inside],
        mode="lines+text",
        line={"color": GREY, "width": 1, "dash": "dot"},
        opacity=0.6,
        text=["", f"{speed:g} MFLOPs/ms"][: len(inside)],
        textposition="bottom left",
        textfont={"size": _FONT_PX},
        hoverinfo="skip",
        showlegend=False,
    )


def _sides(
    networks: Sequence[TimedNetwork], x_range: tuple[float, float], y_range: tuple[float, float]
) -> dict[str, str]:
    """Where names stand: each where it covers least of points and earlier names; one that covers too much is left out.

    Short names choose first: they need least room, and a variant's name is longer than that of what it varies.
    """
    points = {
        network.name: (
            _place(network.latency_ms, x_range, WIDTH_PX),
            _place(network.macs / 1e6, y_range, HEIGHT_PX),
        )
        for network in networks
    }
    taken = [*_OUTSIDE, *(_Box(x - 4, x + 4, y - 4, y + 4) for x, y in points.values())]
    sides: dict[str, str] = {}
    for name in sorted(points, key=len):
        boxes = _name_boxes(*points[name], len(name))
        covered = {side: sum(box.overlap(other) for other in taken) for side, box in boxes.items()}
        side = min(covered, key=lambda side: covered[side])
        if covered[side] <= _FONT_PX**2:
            sides[name] = side
            taken.append(boxes[side])
    return sides


def _name_boxes(x: float, y: float, letters: int) -> dict[str, _Box]:
    """What a name covers on each side of its point, in pixels."""
    width, height = 0.58 * _FONT_PX * letters, 1.2 * _FONT_PX
    half = height / 2
    return {
        "middle right": _Box(x + 6, x + 6 + width, y - half, y + half),
        "middle left": _Box(x - 6 - width, x - 6, y - half, y + half),
        "top center": _Box(x - width / 2, x + width / 2, y + 5, y + 5 + height),
        "bottom center": _Box(x - width / 2, x + width / 2, y - 5 - height, y - 5),
    }


def _place(value: float, ends: tuple[float, float], pixels: int) -> float:
    return pixels * math.log(value / ends[0]) / math.log(ends[1] / ends[0])


def _range(values: Sequence[float]) -> tuple[float, float]:
    return (min(values) / _MARGIN, max(values) * _MARGIN) if values else (1.0, 10.0)


def _log_axis(ends: tuple[float, float]) -> dict[str, Any]:
    return {"type": "log", "tickvals": _STEPS, "tickformat": "~g", "range": [math.log10(end) for end in ends]}
