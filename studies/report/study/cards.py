"""A card for each network of the front: what is inside it, where its cost lies, how it trained, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from html import escape

from search_space.cost import Cost, cost_of
from search_space.plan import Plan, plan_of
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.display import FLOP, comparison, mflops_text, ms_text, params_text, proxy_text, spread_text
from studies.front import nearest_reference
from studies.latency.model import LEAST_MEASUREMENTS, LatencyModel
from studies.latency.unmeasured import Predicted
from studies.record import Record
from studies.report.page import Cell, Link, cell_html, scrolled, section, table_html
from studies.report.study.layer_rows import KINDS, LayerRow, layer_rows, places_of
from studies.report.study.network_drawing import network_svg, unit_svg
from studies.report.study.training_curves import curves_html

HEADING, ALONE = "Networks of the front", "On the finalists' front alone, with the search's own numbers"
_COLUMNS = ("layer", "of", "output", "MFLOPs", "k params", "latency us")
_MEASURES: tuple[tuple[str, Callable[[LayerRow], float], float, str], ...] = (
    ("FLOPs", lambda row: row.macs, 1e-6, "M"),
    ("parameters", lambda row: row.params, 1e-3, "k"),
    ("latency", lambda row: row.latency_ms or 0.0, 1e3, "us"),
)
"""What bars are drawn of: its name, its value in a row, and the display unit with its scale."""
_SEEN = 0.002
"""Smaller shares of a bar are not drawn."""


def cards_section(
    front: Sequence[Record],
    references: Sequence[Record],
    predicted: Predicted | None,
    resolution: int = 224,
    classes: int = 1000,
    *,
    finalists: Sequence[Record] = (),
    scale: AccuracyScale = PERCENT,
) -> str:
    """The section of the front's cards, as HTML; empty where the front is.

    `predicted` holds the model that shares a latency out among the layers. The costs hold at `resolution` and
    `classes`; a card of a record that does not has no costs by layer, and says so. `finalists` are on their own front
    alone, and their cards come last.
    """
    model = predicted.model if predicted else None
    cards = [_card(record, references, model, resolution, classes, scale) for record in (*front, *finalists)]
    if finalists:
        cards.insert(len(front), f"<h3>{escape(ALONE)}</h3>")
    return section(HEADING, "".join(cards)) if cards else ""


def anchor_of(record: Record) -> str:
    """The id of a record's card on the page."""
    return f"network-{record.architecture.key()}"


def row_anchor_of(record: Record) -> str:
    """The id of its name in the front's table, which its card leads back to."""
    return f"row-{record.architecture.key()}"


def name_cell(record: Record, front: Sequence[Record]) -> Cell:
    """The record's name for a table; where it is one of the front, a link to its card."""
    is_carded = not record.reference and any(each.architecture == record.architecture for each in front)
    return Link(record.name, anchor_of(record)) if is_carded else record.name


def _card(
    record: Record,
    references: Sequence[Record],
    model: LatencyModel | None,
    resolution: int,
    classes: int,
    scale: AccuracyScale,
) -> str:
    plan = plan_of(record.architecture, classes)
    cost = cost_of(record.architecture, resolution, classes)
    holds = (cost.macs, cost.params) == (record.macs, record.params)
    parts = (
        f'{_facts(record, references, scale)}<p class="note back">{cell_html(Link(_BACK, row_anchor_of(record)))}</p>',
        f"<h3>Its stages</h3>{_drawing(plan, cost)}",
        f"<h3>Cost by layer</h3>{_costs(record, model, resolution, classes) if holds else _NOT_OF_THIS_TASK}",
        f'<div class="pair"><div><h3>Training</h3>{curves_html(record.training)}</div>'
        f"<div><h3>Configuration</h3>{_configuration(record)}</div></div>",
    )
    return (
        f'<details class="network" id="{anchor_of(record)}"><summary>{_summary(record, plan, cost, scale)}</summary>'
        f'<div class="network-body">{"".join(parts)}</div></details>'
    )


_BACK = "its row in the table"
_NOT_OF_THIS_TASK = (
    '<p class="note">It is not shown: the recorded cost is that of another task than this page\'s resolution and '
    "classes.</p>"
)


def _summary(record: Record, plan: Plan, cost: Cost, scale: AccuracyScale) -> str:
    noisy = ' <span class="noisy">noisy</span>' if record.noisy else ""
    numbers = f"{scale.phrase(record)} · {ms_text(record)} ms · {mflops_text(record)} MFLOPs"
    name = f"<b>{escape(record.name)}</b><br><span>{numbers}</span>{noisy}"
    return f"<span class='what'>{name}</span>{network_svg(plan, cost.layers, labels=False)}"


def _facts(record: Record, references: Sequence[Record], scale: AccuracyScale) -> str:
    nearest = nearest_reference(record, references)
    where = " ".join(str(record.latency[name]) for name in ("runtime", "device") if name in record.latency)
    facts = {
        "key": record.architecture.key(),
        "FLOPs, parameters": f"{mflops_text(record)} M, {params_text(record)} M",
        "memory": f"activations at most {record.peak_bytes / 1e6:.2f} MB, read and written in all "
        f"{record.memory_access_bytes / 1e6:.1f} MB",
        "latency": f"{ms_text(record)} ms {spread_text(record)}" + (f", {where}" if where else ""),
        "accuracy": f"{scale.phrase(record)}, predicted; the short training's own {proxy_text(record)} %",
        "beside": comparison(record, nearest) if nearest else "no reference",
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    return f"<dl>{rows}</dl>"


def _drawing(plan: Plan, cost: Cost) -> str:
    places = dict(places_of(plan))
    stages: dict[str, list[str]] = {}
    for name, unit in plan.units():
        if name in places and len(unit.branches) > 1:
            drawn = f"<figure><figcaption>{escape(places[name][0])}</figcaption>{unit_svg(unit)}</figure>"
            stages.setdefault(name.partition(".")[0], []).append(drawn)
    note = (
        '<p class="note">A slab is a unit: as tall as its output\'s resolution, as thick as its channels (both '
        "logarithmic). Inside a unit a batch norm follows every convolution.</p>"
    )
    network = scrolled(network_svg(plan, cost.layers), "drawing of the stages")
    units = "".join(f"<div>{''.join(drawn)}</div>" for drawn in stages.values())
    return f'{network}{note}<div class="units">{units}</div>'


def _costs(record: Record, model: LatencyModel | None, resolution: int, classes: int) -> str:
    rows = layer_rows(record.architecture, resolution, classes, model, record.latency_ms)
    measures = _MEASURES if model else _MEASURES[:2]
    bars = scrolled(_bars(rows, measures), "cost by unit")
    lines = [("layer", _cells(row, model)) for row in rows if row.macs or row.params or row.latency_ms]
    columns = _COLUMNS if model else _COLUMNS[:-1]
    table = table_html(columns, lines, columns[3:])
    return (
        f'{bars}{_key(rows)}<p class="note">{_of_latency(model)} {FLOP}</p>'
        f"<details><summary>Every layer in numbers</summary>{table}</details>"
    )


def _of_latency(model: LatencyModel | None) -> str:
    if model is None:
        return (
            f"No latency by layer: it takes a model fitted to {LEAST_MEASUREMENTS} measured networks or more, which "
            "this study has not."
        )
    return (
        f"Latency by layer is predicted, not measured: the shares of a model fitted to {model.measurements} measured "
        f"networks (median error {100 * model.errors.median:.1f} % on one left out), scaled so that they sum to the "
        "measured latency. What every call takes counts as the stem's."
    )


def _bars(rows: Sequence[LayerRow], measures: Iterable[tuple[str, Callable[[LayerRow], float], float, str]]) -> str:
    """A table of a row for each place; in a cell the place's share of the whole, a segment for each layer."""
    measures = list(measures)
    places = {row.place: [other for other in rows if other.place == row.place] for row in rows}
    most = [max(sum(map(value, each)) for each in places.values()) for _, value, _, _ in measures]
    body = ""
    for place, each in places.items():
        cells = "".join(_bar_cell(each, *measure, of) for measure, of in zip(measures, most, strict=True))
        body += f'<tr><th scope="row">{escape(place)}</th>{cells}</tr>'
    sums = (scale * sum(map(value, rows)) for _, value, scale, _ in measures)
    head = "".join(
        f'<th scope="col">{name}, {total:.4g} {unit} in all</th>'
        for (name, _, _, unit), total in zip(measures, sums, strict=True)
    )
    return f'<table class="bars"><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>'


def _bar_cell(
    rows: Sequence[LayerRow], name: str, value: Callable[[LayerRow], float], scale: float, unit: str, most: float
) -> str:
    segments = "".join(
        f'<i class="{row.kind}" style="width:{100 * value(row) / most:.1f}%" '
        f'title="{escape(row.text)}: {scale * value(row):.3g} {unit}"></i>'
        for row in rows
        if value(row) > _SEEN * most
    )
    return f'<td><div class="bar">{segments}</div><small>{scale * sum(map(value, rows)):.3g} {unit}</small></td>'


def _key(rows: Sequence[LayerRow]) -> str:
    used = [kind for kind in KINDS if any(row.kind == kind for row in rows)]
    items = "".join(f'<li><i class="{kind}"></i>{KINDS[kind]}</li>' for kind in used)
    return f'<ul class="key">{items}</ul>'


def _cells(row: LayerRow, model: LatencyModel | None) -> tuple[str, ...]:
    output = f"{row.channels} x {row.size_px} x {row.size_px}" if row.channels else ""
    counts = f"{row.macs / 1e6:.3f}", f"{row.params / 1e3:.2f}"
    latency = () if model is None else ("" if row.latency_ms is None else f"{1e3 * row.latency_ms:.1f}",)
    return (row.text, row.place, output, *counts, *latency)


def _configuration(record: Record) -> str:
    text = json.dumps(record.architecture.to_dict(), indent=2)
    return (
        '<p class="note">In a file, it is what commands take in place of a preset\'s name.</p>'
        f'<div class="copy"><button type="button" aria-live="polite">copy</button><pre>{escape(text)}</pre></div>'
    )
