"""One self-contained HTML page of sections, tables and figures: light and dark, and no request ever leaves it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs


def write_page(path: Path, title: str, sections: Iterable[str]) -> Path:
    """The path of the page, written over what stood there: `sections` are HTML, `title` is text.

    plotly.js stands in the page once, if a section holds a figure, and the page's policy forbids every request.
    """
    body = "\n".join(sections)
    script = f"<script>{get_plotlyjs()}</script>\n" if _FIGURE in body else ""
    path.write_text(_PAGE.format(title=escape(title), style=_STYLE, body=script + body), encoding="utf-8")
    return path


def section(heading: str, content: str) -> str:
    """A section of the page; both arguments are HTML."""
    return f"<section><h2>{heading}</h2>{content}</section>"


def figure_html(figure: go.Figure, name: str) -> str:
    """The figure as HTML; `name` is one that no other figure of the page has."""
    return str(
        figure.to_html(
            _PLOTLY, include_plotlyjs=False, full_html=False, default_height="30rem", div_id=f"{_FIGURE}{name}"
        )
    )


def table_html(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], numbers: Collection[str] = ()) -> str:
    """A table of texts, those of the columns in `numbers` to the right; a row is its CSS class and its cells."""
    kinds = ["number" if name in numbers else "text" for name in columns]
    head = "".join(f'<th class="{kind}">{escape(name)}</th>' for kind, name in zip(kinds, columns, strict=True))
    body = ""
    for row_class, row in rows:
        cells = "".join(f'<td class="{kind}">{escape(cell)}</td>' for kind, cell in zip(kinds, row, strict=True))
        body += f"<tr class='{row_class}'>{cells}</tr>"
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


_FIGURE = "figure-"
"""What every figure's id begins with."""
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
<body><main>
{body}
</main></body>
</html>
"""
_STYLE = """
:root { --ink: #1b1f24; --soft: #5d6570; --line: #dfe3e8; --card: #fff; --page: #f6f7f9; --accent: #1769b5; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #9aa3ae; --line: #30363d; --card: #191d23; --page: #101317; --accent: #6cb4f5; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: auto; padding: 1.5rem 1rem 4rem; }
h1 { margin: 0; font-size: 1.7rem; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 0 0 .5rem; font-size: 1.1rem; }
p { margin: .25rem 0 .5rem; }
header p, section > p, .note { color: var(--soft); font-size: .9rem; }
section, article { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; }
section { padding: 1rem 1.25rem; margin-top: 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; margin-top: 1rem; }
article { padding: .9rem 1.25rem; font-size: .9rem; }
article h2 { color: var(--accent); font-size: .8rem; letter-spacing: .06em; text-transform: uppercase; margin: 0; }
article .number { font-size: 1.6rem; font-weight: 600; line-height: 1.3; word-spacing: .25em; }
small { color: var(--soft); font-size: .6em; font-weight: 400; word-spacing: 0; }
.noisy { color: #d0402b; font-size: .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; }
.number { text-align: right; }
article .number { text-align: left; }
tr.reference { color: var(--soft); font-style: italic; }
code, pre { font: .85rem/1.45 ui-monospace, monospace; }
details { border-top: 1px solid var(--line); padding: .45rem 0; }
summary { cursor: pointer; }
summary span { color: var(--soft); font-size: .85rem; }
pre { overflow: auto; max-height: 24rem; margin: .5rem 0; padding: .75rem; background: var(--page); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; margin: 0; font-size: .9rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: 0; padding-left: 1.1rem; font-size: .9rem; }
.js-plotly-plot .main-svg text { fill: var(--ink) !important; }
.js-plotly-plot .hoverlayer text { fill: #f4f5f7 !important; }
"""
