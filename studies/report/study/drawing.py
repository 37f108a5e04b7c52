"""A drawing of shapes and texts, as an SVG on a page or in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from studies.report.rendering import asset, render


class Shape(NamedTuple):
    """A shape of SVG, or a text, with its attributes."""

    tag: str
    attributes: Mapping[str, float | str]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes in their order on a sheet, and the same in words; one `is_fluid` is as large as there is room for."""

    width: float
    height: float
    words: str
    shapes: tuple[Shape, ...]
    is_fluid: bool = False

    def inline(self) -> Markup:
        """The drawing within a page, whose style it takes."""
        return render("drawing.svg", drawing=self, style="")

    def standalone(self) -> Markup:
        """The drawing as a file of its own, in the page's colours, light and dark."""
        return render("drawing.svg", drawing=self, style=asset("page.css"))
