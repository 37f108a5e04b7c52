"""Where the names of a figure's points stand, so that they cover neither each other nor the points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HEIGHT_PX, WIDTH_PX = 720, 980
"""The height is kept; the width, as the page's column on a large screen, serves only to place the names."""
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
_OUTSIDE = (_Box(-_FAR, 0, -_FAR, _FAR), _Box(WIDTH_PX, _FAR, -_FAR, _FAR))
"""Left and right of the plot, where a name would be cut off."""


def sides_of(points: Mapping[str, tuple[float, float]], x_range: Range, y_range: Range) -> dict[str, str]:
    """Where names stand: each where it covers least of points and earlier names; one that covers too much is left out.

    Short names choose first: they need least room, and a variant's name is longer than that of what it varies.
    """
    places = {name: (x_range.place(x, WIDTH_PX), y_range.place(y, HEIGHT_PX)) for name, (x, y) in points.items()}
    taken = [*_OUTSIDE, *(_Box(x - 4, x + 4, y - 4, y + 4) for x, y in places.values())]
    sides: dict[str, str] = {}
    for name in sorted(places, key=len):
        boxes = _name_boxes(*places[name], len(name))
        covered = {side: sum(box.overlap(other) for other in taken) for side, box in boxes.items()}
        side = min(covered, key=lambda side: covered[side])
        if covered[side] <= FONT_PX**2:
            sides[name] = side
            taken.append(boxes[side])
    return sides


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
