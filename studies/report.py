"""The report: one HTML page with the front, what it stands beside, and what its numbers do not say.

The page opens without a network: plotly.js stands in it once, and its content policy forbids every request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from studies.figures import flops_figure, front_figure, stage_text
from studies.front import PICKS, nearest_reference, pick
from studies.record import Record
from studies.table import COLUMNS, FLOP, NUMBERS, SPREAD, accuracy_text, comparison, ms_text, rows_of


def write_report(
    path: Path,
    *,
    front: Sequence[Record],
    references: Sequence[Record],
    records: Sequence[Record],
    settings: Mapping[str, Any],
    provenance: Mapping[str, Any],
    title: str,
) -> Path:
    """The path of the page, written: one HTML file that needs no other and no network.

    Args:
        path: where to write; what stands there is replaced.
        front: fastest first, as `front_of` gives it; empty where a run stopped before its first network.
        references: hand-designed networks, scored and timed like the others.
        records: every network the search completed, the front's among them.
        settings: what the user asked for, by name.
        provenance: how and where the numbers were had, by name.
        title: the page's heading, such as the study's name.
    """
    sections = (
        _header(title, len(records), len(front), len(references)),
        _picks(front, references),
        _figures(front, references, records),
        _table(front, references),
        _architectures(front),
        _definitions("Settings", settings),
        _definitions("How the numbers were had", provenance),
        _limits([*records, *references]),
    )
    page = _PAGE.format(title=escape(title), style=_STYLE, body="\n".join(sections))
    path.write_text(page, encoding="utf-8")
    return path


def _header(title: str, searched: int, on_front: int, references: int) -> str:
    counts = f"{_count(searched, 'network')} searched, {on_front} on the front"
    beside = f", beside {_count(references, 'hand-designed reference')}" if references else ""
    return f"<header><h1>{escape(title)}</h1><p>{counts}{beside}.</p></header>"


def _picks(front: Sequence[Record], references: Sequence[Record]) -> str:
    """A card for each pick of the front; none where it is empty, and one where it is a single network."""
    names = PICKS if len(front) > 2 else PICKS[: len(front)]
    picks = sorted(((name, pick(front, name)) for name in names), key=lambda picked: picked[1].latency_ms)
    cards = [_card(name, record, references) for name, record in picks]
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def _card(name: str, record: Record, references: Sequence[Record]) -> str:
    reference = nearest_reference(record, references)
    beside = f"<p>{escape(comparison(record, reference))}</p>" if reference else ""
    noisy = ' <span class="noisy">noisy</span>' if record.noisy else ""
    numbers = f"{accuracy_text(record)}<small> %</small> {ms_text(record)}<small> ms</small>{noisy}"
    return (
        f'<article><h2>{name}</h2><p class="number">{numbers}</p><p><code>{escape(record.name)}</code></p>{beside}'
        "</article>"
    )


def _figures(front: Sequence[Record], references: Sequence[Record], records: Sequence[Record]) -> str:
    headings = "Accuracy against latency", "FLOPs against latency"
    if not records and not references:
        return _section(headings[0], "<p>No network was completed, so there is nothing to draw.</p>")
    notes = (
        "<p>Up and to the left is better. Bars show half the spread of a latency either way.</p>",
        f"<p>Networks of equal FLOPs differ in speed. g is the largest number of groups in a network. {FLOP}</p>",
    )
    figures = front_figure(front, references, records), flops_figure(references, records)
    drawn = [
        figure.to_html(
            _PLOTLY,
            include_plotlyjs=False,
            full_html=False,
            default_height="30rem",
            div_id=f"figure-{number}",
        )
        for number, figure in enumerate(figures, start=1)
    ]
    parts = [_section(*part) for part in zip(headings, map("".join, zip(notes, drawn, strict=True)), strict=True)]
    return f"<script>{get_plotlyjs()}</script>" + "".join(parts)


def _table(front: Sequence[Record], references: Sequence[Record]) -> str:
    rows = rows_of(front, references)
    if not rows:
        return _section("The front", "<p>It is empty.</p>")
    kinds = ["number" if name in NUMBERS else "text" for name in COLUMNS]
    head = "".join(f'<th class="{kind}">{name}</th>' for kind, name in zip(kinds, COLUMNS, strict=True))
    body = ""
    for row in rows:
        cells = zip(kinds, row.cells, strict=True)
        texts = "".join(f'<td class="{kind}">{escape(cell)}</td>' for kind, cell in cells)
        body += f"<tr class='{'reference' if row.is_reference else 'found'}'>{texts}</tr>"
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    return _section("The front", f'{table}<p class="note">{FLOP} {SPREAD}</p>')


def _architectures(front: Sequence[Record]) -> str:
    return _section("Architectures of the front", "".join(map(_details, front))) if front else ""


def _details(record: Record) -> str:
    stages = " · ".join(map(stage_text, record.architecture.stages))
    summary = f"<code>{escape(record.name)}</code> <span>{escape(stages)}</span>"
    text = json.dumps(record.architecture.to_dict(), indent=2)
    key = f"<p>key <code>{record.architecture.key()}</code></p>"
    return f"<details><summary>{summary}</summary>{key}<pre>{escape(text)}</pre></details>"


def _definitions(heading: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    rows = "".join(
        f"<dt>{escape(str(name).replace('_', ' '))}</dt><dd>{escape(_plain(value))}</dd>"
        for name, value in values.items()
    )
    return _section(heading, f"<dl>{rows}</dl>")


def _plain(value: Any) -> str:
    """A setting as people write it, whatever JSON it is."""
    if value is None or value == "" or isinstance(value, bool):
        return {True: "yes", False: "no"}.get(value, "none")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


def _limits(records: Sequence[Record]) -> str:
    measured = {f"{r.latency.get('runtime', '')} {r.latency.get('device', '')}".strip() for r in records} - {""}
    where = f" ({'; '.join(sorted(measured))})" if measured else ""
    return _section(
        "What the numbers do not say",
        "<ul><li>Accuracy is the validation accuracy of a <strong>short training</strong>: fit to rank networks, not "
        "what a full training reaches. References were trained in the same way.</li>"
        f"<li>Latency is that of this device and runtime only{escape(where)}; on another, another front.</li>"
        f"<li>{FLOP} Other counts in use, such as two operations for each, give larger numbers.</li></ul>",
    )


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


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
