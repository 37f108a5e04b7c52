"""One self-contained HTML page of sections, tables and figures: light and dark, and no request ever leaves it.

Its looks and its behaviour (sorting, copying, opening what a link names) are `page.css` and `page.js` beside this file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape, unescape
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs


class Link(NamedTuple):
    """A text of a table that leads to what has the id `target` on the page; `anchor`, if any, is an id of its own."""

    text: str
    target: str
    anchor: str = ""


Cell = str | Link


def write_page(path: Path, title: str, sections: Iterable[str]) -> Path:
    """The path of the page, written over what stood there: `sections` are HTML, `title` is text.

    A list of contents follows the header, where there are sections to list. plotly.js stands in the page once, if a
    section holds a figure, and the page's policy forbids every request.
    """
    body, headings = _anchored("\n".join(sections))
    before, header, after = body.partition("</header>")
    body = before + header + _contents(headings) + after if header else _contents(headings) + body
    plotly = f"<script>{get_plotlyjs()}</script>\n" if _FIGURE in body else ""
    style, script = _asset("page.css"), _asset("page.js")
    page = _PAGE.format(title=escape(title), style=style, plotly=plotly, body=body, script=script)
    path.write_text(page, encoding="utf-8")
    return path


def section(heading: str, content: str) -> str:
    """A section of the page, listed in its contents; both arguments are HTML."""
    return f"<section><h2>{heading}</h2>{content}</section>"


def definitions_section(heading: str, values: Mapping[str, Any]) -> str:
    """A section of names and what they are, as people write it, whatever JSON it is; empty where there are none."""
    if not values:
        return ""
    rows = "".join(
        f"<dt>{escape(str(name).replace('_', ' '))}</dt><dd>{escape(_plain(value))}</dd>"
        for name, value in values.items()
    )
    return section(escape(heading), f"<dl>{rows}</dl>")


def figure_html(figure: go.Figure, name: str, text: str = "") -> str:
    """The figure as HTML; `name` is one that no other figure of the page has.

    `text` is what is read out in its place; where it is empty, the axes and the number of points of each series.
    """
    drawn = figure.to_html(
        _PLOTLY, include_plotlyjs=False, full_html=False, default_height="30rem", div_id=f"{_FIGURE}{name}"
    )
    caption = escape(text or _described(figure))
    return f'<figure><figcaption class="unseen">{caption}</figcaption>{drawn}</figure>'


def table_html(
    columns: Sequence[str], rows: Iterable[tuple[str, Sequence[Cell]]], numbers: Collection[str] = ()
) -> str:
    """A table of texts and links that its reader can sort; a row is its CSS class and its cells.

    Columns in `numbers` stand to the right and sort by the number that a cell begins with, unknown ones last. A column
    of sentences wraps.
    """
    rows = list(rows)
    kinds = [
        "number" if name in numbers else _text_kind([row[place] for _, row in rows])
        for place, name in enumerate(columns)
    ]
    head = "".join(
        f'<th class="{kind}" scope="col" aria-sort="none"><button type="button">{escape(name)}</button></th>'
        for kind, name in zip(kinds, columns, strict=True)
    )
    body = ""
    for row_class, row in rows:
        cells = "".join(f'<td class="{kind}">{cell_html(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))
        body += f"<tr class='{row_class}'>{cells}</tr>"
    return scrolled(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", "table of " + columns[0])


def _plain(value: Any) -> str:
    if value is None or value == "" or isinstance(value, bool):
        return {True: "yes", False: "no"}.get(value, "none")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


def _text_kind(cells: Iterable[Cell]) -> str:
    return "text words" if any(isinstance(cell, str) and len(cell) > _LONGEST_LINE for cell in cells) else "text"


def cell_html(cell: Cell) -> str:
    """A text, or a link, as HTML."""
    if isinstance(cell, str):
        return escape(cell)
    anchor = f' id="{escape(cell.anchor)}"' if cell.anchor else ""
    return f'<a{anchor} href="#{escape(cell.target)}">{escape(cell.text)}</a>'


def scrolled(content: str, label: str) -> str:
    """HTML content in a box that scrolls sideways, by the keyboard too; `label` is a text that names the box."""
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(label)}">{content}</div>'


def standalone_svg(svg: str) -> str:
    """An SVG drawing of the project as a file of its own, in the page's colours, light and dark."""
    style = f"<style>{_asset('page.css')} svg {{ background: var(--card); }}</style>"
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{style}", 1)


def _anchored(body: str) -> tuple[str, dict[str, str]]:
    """The body with an id on each section, and the sections' headings by id."""
    headings: dict[str, str] = {}

    def anchor(match: re.Match[str]) -> str:
        slug = "-".join(re.findall(r"[a-z0-9]+", unescape(match[1]).lower())) or "section"
        while slug in headings:
            slug += "-again"
        headings[slug] = match[1]
        return f'<section id="{slug}" aria-labelledby="{slug}-heading"><h2 id="{slug}-heading">{match[1]}</h2>'

    return re.sub(r"<section><h2>(.*?)</h2>", anchor, body), headings


def _contents(headings: dict[str, str]) -> str:
    if len(headings) < _LEAST_LISTED:
        return ""
    links = "".join(f'<li><a href="#{slug}">{heading}</a></li>' for slug, heading in headings.items())
    return f'<nav aria-label="contents"><ul>{links}</ul></nav>'


def _described(figure: go.Figure) -> str:
    """The figure in words: what is drawn against what, and how many points each series has."""
    axes = [figure.layout[axis].title.text for axis in ("yaxis", "xaxis")]
    parts = [f"{trace.name or trace.type} ({len(trace.y) if trace.y is not None else 0})" for trace in figure.data]
    return f"Figure: {' against '.join(axis for axis in axes if axis)}. Series: {', '.join(parts)}."


def _asset(name: str) -> str:
    return files("studies.report").joinpath(name).read_text(encoding="utf-8")


_FIGURE = "figure-"
"""What every figure's id begins with."""
_LONGEST_LINE = 45
"""A cell of more letters is a sentence."""
_LEAST_LISTED = 3
"""A page of fewer sections needs no list of them."""
_PLOTLY = {"displaylogo": False, "responsive": True, "modeBarButtons": [["zoom2d", "pan2d", "resetScale2d", "toImage"]]}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<main id="content" tabindex="-1">
{plotly}{body}
</main>
<script>{script}</script>
</body>
</html>
"""
