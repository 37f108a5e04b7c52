"""Where the names of a figure's points stand, so that they cover neither each other nor the points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

HEIGHT_PX, WIDTH_PX = 720, 980
"""The height is kept; the width, as the page's column on a large screen, serves only to place the names."""
PHONE_PX = 215, 300
"""A plot's width and height on a phone: names that do not cover each other there do so nowhere."""
FONT_PX = 10
_MARGIN = 1.4
"""A logarithmic axis reaches this factor beyond the extreme points."""
_SHARE = 0.08
"""A linear axis reaches this share of what it spans beyond them."""


class Range(NamedTuple):
    """What an axis spans."""

    low: float
    high: float
    is_logarithmic: bool = False

    @classmethod
    def around(cls, values: Sequence[float], *, is_logarithmic: bool = False) -> Range:
        """The range of an axis for these values."""
        if not values:
            return cls(1.0, 10.0, is_logarithmic)
        low, high = min(values), max(values)
        if is_logarithmic:
            return cls(low / _MARGIN, high * _MARGIN, True)
        margin = _SHARE * (high - low) or 1.0
        return cls(low - margin, high + margin)

    def place(self, value: float, pixels: int) -> float:
        """How far from the low end the value stands on an axis of so many pixels."""
        if self.is_logarithmic:
            return pixels * math.log(value / self.low) / math.log(self.high / self.low)
        return pixels * (value - self.low) / (self.high - self.low)


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


def sides_of(
    points: Mapping[str, tuple[float, float]],
    x_range: Range,
    y_range: Range,
    *,
    size_px: tuple[int, int] = (WIDTH_PX, HEIGHT_PX),
    others: Iterable[tuple[float, float]] = (),
    most_covered_px: float = FONT_PX**2,
) -> dict[str, str]:
    """Where names stand: each where it covers least of points and earlier names; one that covers too much is left out.

    Short names choose first: they need least room, and a variant's name is longer than that of what it varies.

    Args:
        points: those to be named, by their names.
        x_range: what the plot spans.
        y_range: the same.
        size_px: its width and height.
        others: points that have no name and are not to be covered either.
        most_covered_px: the area from which on a name covers too much.
    """

    def place(x: float, y: float) -> tuple[float, float]:
        return x_range.place(x, size_px[0]), y_range.place(y, size_px[1])

    places = {name: place(*point) for name, point in points.items()}
    drawn = [*places.values(), *(place(*point) for point in others)]
    taken = [*_outside(size_px[0]), *(_Box(x - 4, x + 4, y - 4, y + 4) for x, y in drawn)]
    sides: dict[str, str] = {}
    for name in sorted(places, key=len):
        boxes = _name_boxes(*places[name], len(name))
        covered = {side: sum(box.overlap(other) for other in taken) for side, box in boxes.items()}
        side = min(covered, key=lambda side: covered[side])
        if covered[side] <= most_covered_px:
            sides[name] = side
            taken.append(boxes[side])
    return sides


def _outside(width_px: int) -> tuple[_Box, _Box]:
    """Left and right of the plot, where a name would be cut off."""
    return _Box(-_FAR, 0, -_FAR, _FAR), _Box(width_px, _FAR, -_FAR, _FAR)


def _name_boxes(x: float, y: float, letters: int) -> dict[str, _Box]:
    """What a name covers on each side of its point, in pixels."""
    width, height = 0.58 * FONT_PX * letters, 1.2 * FONT_PX
    half = height / 2
    return {
        "middle right": _Box(x + 6, x + 6 + width, y - half, y + half),
        "middle left": _Box(x - 6 - width, x - 6, y - half, y + half),
        "top center": _Box(x - width / 2, x + width / 2, y + 5, y + 5 + height),
        "bottom center": _Box(x - width / 2, x + width / 2, y - 5 - height, y - 5),
    }
