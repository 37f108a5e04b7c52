"""A card for each network of the front: what is inside it, where its cost lies, how it trained, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from search_space.cost import cost_of
from search_space.plan import Plan, plan_of
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.display import (
    FLOP,
    at_own,
    comparison,
    mflops_text,
    ms_text,
    params_text,
    proxy_text,
    spread_text,
    whole_text,
)
from studies.front import nearest_reference
from studies.latency.model import LEAST_MEASUREMENTS, LatencyModel
from studies.latency.unmeasured import Predicted
from studies.record import Record
from studies.report.page import Cell, Link, Section, section, table_html
from studies.report.study.drawing import Drawing
from studies.report.study.layer_rows import KINDS, LEAST_DRAWN, LayerRow, layer_rows, places_of
from studies.report.study.network_drawing import network_drawing, unit_drawing
from studies.report.study.training_curves import TrainingCurves, curves_of

HEADING, ALONE = "Networks of the front", "On the finalists' front alone, with the search's own numbers"
_COLUMNS = ("layer", "of", "output", "MFLOPs", "k params", "latency us")


class Measure(NamedTuple):
    """What bars are drawn of: its name, its value in a row, and the unit that it is shown in."""

    name: str
    value: Callable[[LayerRow], float]
    scale: float
    unit: str

    def total(self, rows: Sequence[LayerRow]) -> float:
        """The sum over the rows."""
        return sum(map(self.value, rows))

    def text(self, value: float, digits: int = 3) -> str:
        """A value in the unit, to so many digits; all of those before the point."""
        shown = self.scale * value
        return f"{shown:.0f} {self.unit}" if shown >= 10**digits else f"{shown:.{digits}g} {self.unit}"


_MEASURES = (
    Measure("FLOPs", lambda row: row.macs, 1e-6, "M"),
    Measure("parameters", lambda row: row.params, 1e-3, "k"),
    Measure("latency", lambda row: row.latency_ms or 0.0, 1e3, "us"),
)


class Segment(NamedTuple):
    """A part of a bar: the CSS class of its kind, its share of the whole, and what it shows when pointed at."""

    kind: str
    share: float
    text: str


class Bar(NamedTuple):
    """The segments of a bar, and the sum that stands below it."""

    segments: tuple[Segment, ...]
    total: str


@dataclass(frozen=True, slots=True)
class LayerCosts:
    """Where a network's cost lies: a bar for each place and measure, the kinds shown, and every layer in a table."""

    measures: tuple[str, ...]
    bars: Mapping[str, tuple[Bar, ...]]
    key: tuple[tuple[str, str], ...]
    note: str
    table: Markup


@dataclass(frozen=True, slots=True)
class NetworkCard:
    """What the card of a network shows; without `costs` where its recorded cost is not that of the page's task."""

    anchor: str
    name: str
    numbers: str
    is_noisy: bool
    outline: Drawing
    facts: Mapping[str, str]
    back: Link
    stages: Drawing
    units: tuple[tuple[tuple[str, Drawing], ...], ...]
    costs: LayerCosts | None
    curves: TrainingCurves
    configuration: str


def cards_section(
    front: Sequence[Record],
    references: Sequence[Record],
    predicted: Predicted | None,
    resolution: int = 224,
    classes: int = 1000,
    *,
    finalists: Sequence[Record] = (),
    scale: AccuracyScale = PERCENT,
) -> Section | None:
    """The section of the front's cards; None where the front is empty.

    `predicted` holds the model that shares a latency out among the layers. The costs hold at `resolution` and
    `classes`; a card of a record that does not has no costs by layer, and says so. `finalists` are on their own front
    alone, and their cards come last.
    """
    if not front and not finalists:
        return None
    model = predicted.model if predicted else None
    found, alone = (
        [_card(record, references, model, resolution, classes, scale) for record in records]
        for records in (front, finalists)
    )
    return section(HEADING, template="cards.html", found=found, subheading=ALONE, alone=alone)


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
) -> NetworkCard:
    plan = plan_of(record.architecture, classes)
    cost = cost_of(record.architecture, resolution, classes)
    holds = (cost.macs, cost.params) == (record.macs, record.params)
    flops = f"{mflops_text(record)} MFLOPs{at_own(record.architecture)}"
    return NetworkCard(
        anchor=anchor_of(record),
        name=record.name,
        numbers=f"{scale.phrase(record)} · {ms_text(record)} ms · {flops}",
        is_noisy=record.noisy,
        outline=network_drawing(plan, cost.layers, labels=False),
        facts=_facts(record, references, scale, cost.memory_text if holds else "unknown"),
        back=Link("its row in the table", row_anchor_of(record)),
        stages=network_drawing(plan, cost.layers),
        units=_units(plan),
        costs=_costs(record, model, resolution, classes) if holds else None,
        curves=curves_of(record.training),
        configuration=json.dumps(record.architecture.to_dict(), indent=2),
    )


def _facts(record: Record, references: Sequence[Record], scale: AccuracyScale, memory: str) -> dict[str, str]:
    nearest = nearest_reference(record, references)
    where = record.latency.where
    own = f"the short training's own {proxy_text(record)} %{_trained_on(record)}"
    return {
        "key": record.architecture.key(),
        "network": f"unit {record.architecture.unit}, {whole_text(record.architecture)}",
        "FLOPs, parameters": f"{mflops_text(record)} M, {params_text(record)} M",
        "memory": f"{memory}; read and written in all {record.memory_access_bytes / 1e6:.1f} MB at fp32",
        "latency": f"{ms_text(record)} ms {spread_text(record)}" + (f", {where}" if where else ""),
        "accuracy": f"{scale.phrase(record)}, predicted; {own}",
        "beside": comparison(record, nearest) if nearest else "no reference",
    }


def _trained_on(record: Record) -> str:
    """On images of how many pixels, where it is not those of all others."""
    size = record.training.plain.get("image_size")
    return f" on images of {size} px" if size and record.architecture.resolution is not None else ""


def _units(plan: Plan) -> tuple[tuple[tuple[str, Drawing], ...], ...]:
    """For each stage its units that differ, each with what it is called."""
    places = dict(places_of(plan))
    stages: dict[str, list[tuple[str, Drawing]]] = {}
    for name, unit in plan.units():
        if name in places and len(unit.branches) > 1:
            stages.setdefault(name.partition(".")[0], []).append((places[name][0], unit_drawing(unit)))
    return tuple(map(tuple, stages.values()))


def _costs(record: Record, model: LatencyModel | None, resolution: int, classes: int) -> LayerCosts:
    rows = layer_rows(record.architecture, resolution, classes, model, record.latency_ms)
    measures = _MEASURES if model else _MEASURES[:2]
    lines = [("layer", _cells(row, model)) for row in rows if row.macs or row.params or row.latency_ms]
    columns = _COLUMNS if model else _COLUMNS[:-1]
    used = {row.kind for row in rows}
    return LayerCosts(
        measures=tuple(f"{each.name}, {each.text(each.total(rows), digits=4)} in all" for each in measures),
        bars=_bars(rows, measures),
        key=tuple((kind, name) for kind, name in KINDS.items() if kind in used),
        note=f"{_of_latency(model)} {FLOP}",
        table=table_html(columns, lines, columns[3:]),
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


def _bars(rows: Sequence[LayerRow], measures: Sequence[Measure]) -> dict[str, tuple[Bar, ...]]:
    """For each place a bar of each measure, beside the longest: a segment for each layer."""
    places = {row.place: [other for other in rows if other.place == row.place] for row in rows}
    most = [max(map(measure.total, places.values())) for measure in measures]
    return {
        place: tuple(
            Bar(tuple(_segments(each, measure, of)), measure.text(measure.total(each)))
            for measure, of in zip(measures, most, strict=True)
        )
        for place, each in places.items()
    }


def _segments(rows: Sequence[LayerRow], measure: Measure, most: float) -> Iterator[Segment]:
    for row in rows:
        value = measure.value(row)
        if value > LEAST_DRAWN * most:
            yield Segment(row.kind, value / most, f"{row.text}: {measure.text(value)}")


def _cells(row: LayerRow, model: LatencyModel | None) -> tuple[str, ...]:
    output = f"{row.channels} x {row.size_px} x {row.size_px}" if row.channels else ""
    counts = f"{row.macs / 1e6:.3f}", f"{row.params / 1e3:.2f}"
    latency = () if model is None else ("" if row.latency_ms is None else f"{1e3 * row.latency_ms:.1f}",)
    return (row.text, row.place, output, *counts, *latency)
