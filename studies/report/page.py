"""One self-contained HTML page of sections, tables and figures: light and dark, and no request ever leaves it.

Its markup stands in `templates`; its looks and its behaviour (sorting, copying, opening what a link names) are
`page.css` and `page.js`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from search_space.bounds import plain
from search_space.files import write_text
from studies.report.rendering import asset, render


class Link(NamedTuple):
    """A text of a table that leads to what has the id `target` on the page; `anchor`, if any, is an id of its own."""

    text: str
    target: str
    anchor: str = ""


Cell = str | Link

_NO_MARKUP = Markup()
_NO_FIGURES: Mapping[str, go.Figure] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page, which its list of contents names; `has_figures` where plotly draws in it."""

    heading: str
    content: Markup
    has_figures: bool = False


def write_page(
    path: Path, title: str, sections: Iterable[Section | None], *, lead: str = "", opening: Markup = _NO_MARKUP
) -> Path:
    """The path of the page, written over what stood there: `lead` is a sentence below its title.

    A list of contents follows, where there are sections to list, then the `opening`. plotly.js stands in the page once,
    if a section holds a figure, and the page's policy forbids every request. A section that is None is left out.
    """
    present = [section for section in sections if section is not None]
    page = render(
        "page.html",
        title=title,
        lead=lead,
        opening=opening,
        sections=_anchored(present),
        least_listed=_LEAST_LISTED,
        style=asset("page.css"),
        script=asset("page.js"),
        plotly=Markup(get_plotlyjs()) if any(section.has_figures for section in present) else "",
    )
    return write_text(path, page)


def section(
    heading: str,
    *lines: str,
    figures: Mapping[str, go.Figure] = _NO_FIGURES,
    table: Markup = _NO_MARKUP,
    note: str = "",
    template: str = "section.html",
    **values: object,
) -> Section:
    """A section of lines, figures by names that no other figure of the page has, a table, and a note below it.

    A `template` that extends `section.html` may hold more, of the `values`.
    """
    drawn = [figure_html(figure, name) for name, figure in figures.items()]
    content = render(template, lines=lines, figures=drawn, table=table, note=note, **values)
    return Section(heading, content, bool(drawn))


def definitions_section(heading: str, values: Mapping[str, object], note: str = "") -> Section | None:
    """A section of names and what they are, as people write it, whatever JSON it is; None where there are none."""
    if not values:
        return None
    shown = {str(name).replace("_", " "): _plain(value) for name, value in values.items()}
    return section(heading, note=note, template="definitions.html", values=shown)


def figure_html(figure: go.Figure, name: str, text: str = "") -> Markup:
    """The figure as HTML; `name` is one that no other figure of the page has.

    `text` is what is read out in its place; where it is empty, the axes and the number of points of each series.
    """
    drawn = figure.to_html(
        _PLOTLY, include_plotlyjs=False, full_html=False, default_height="30rem", div_id=f"figure-{name}"
    )
    return render("figure.html", caption=text or _described(figure), drawn=Markup(drawn))


def table_html(
    columns: Sequence[str], rows: Iterable[tuple[str, Sequence[Cell]]], numbers: Collection[str] = ()
) -> Markup:
    """A table of texts and links that its reader can sort; a row is its CSS class and its cells.

    Columns in `numbers` stand to the right and sort by the number that a cell begins with, unknown ones last. A column
    of sentences wraps.
    """
    rows = list(rows)
    kinds = [
        "number" if name in numbers else _text_kind([row[place] for _, row in rows])
        for place, name in enumerate(columns)
    ]
    return render("table.html", columns=columns, kinds=kinds, rows=rows)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "none"
    if isinstance(value, float):
        return plain(value, 6)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


def _text_kind(cells: Iterable[Cell]) -> str:
    return "text words" if any(isinstance(cell, str) and len(cell) > _LONGEST_LINE for cell in cells) else "text"


def _anchored(sections: Iterable[Section]) -> dict[str, Section]:
    """The sections, each by an id of its own, made of its heading."""
    anchored: dict[str, Section] = {}
    for each in sections:
        anchor = "-".join(re.findall(r"[a-z0-9]+", each.heading.lower())) or "section"
        while anchor in anchored:
            anchor += "-again"
        anchored[anchor] = each
    return anchored


def _described(figure: go.Figure) -> str:
    """The figure in words: what is drawn against what, and how many points each series has."""
    axes = [figure.layout[axis].title.text for axis in ("yaxis", "xaxis")]
    parts = [f"{trace.name or trace.type} ({len(trace.y) if trace.y is not None else 0})" for trace in figure.data]
    return f"Figure: {' against '.join(axis for axis in axes if axis)}. Series: {', '.join(parts)}."


_LONGEST_LINE = 45
"""A cell of more letters is a sentence."""
_LEAST_LISTED = 3
"""A page of fewer sections needs no list of them."""
_PLOTLY = {"displaylogo": False, "responsive": True, "modeBarButtons": [["zoom2d", "pan2d", "resetScale2d", "toImage"]]}
