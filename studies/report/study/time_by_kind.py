"""Where the time of a front's networks goes, by kind of layer, as a fitted model shares out what was measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

from studies.display import ms_text
from studies.front import nearest_reference
from studies.latency.model import LatencyModel
from studies.record import Record
from studies.report.page import cell_html, scrolled
from studies.report.study.cards import name_cell
from studies.report.study.layer_rows import KINDS, layer_rows

STEM = "stem"
NAMES = {STEM: "stem, and what every call takes", **KINDS}
"""The kinds that time is divided among; all of the stem is one of them."""
MOST_TOLD = 2
NOTICED = 0.03
"""A difference is stated where it is more than this share of the network's latency."""
_SEEN = 0.002
"""Smaller shares of a bar are not drawn."""

Times = Mapping[str, float]


def ms_by_kind(record: Record, model: LatencyModel, resolution: int, classes: int) -> dict[str, float]:
    """Milliseconds by row of `NAMES`, which sum to the record's measured latency; kinds that take none are left out."""
    times = dict.fromkeys(NAMES, 0.0)
    for row in layer_rows(record.architecture, resolution, classes, model, record.latency_ms):
        times[STEM if row.place == STEM else row.kind] += row.latency_ms or 0.0
    return {kind: ms for kind, ms in times.items() if ms}


def differences(ours: Times, theirs: Times) -> list[str]:
    """What two networks differ by most, in words: "shuffle -0.21 ms (4 % against 19 %)"; the largest first."""
    changes = {kind: ours.get(kind, 0.0) - theirs.get(kind, 0.0) for kind in NAMES}
    total, others = sum(ours.values()), sum(theirs.values())
    most = sorted(NAMES, key=lambda kind: -abs(changes[kind]))[:MOST_TOLD]
    return [
        f"{NAMES[kind]} {changes[kind]:+.2f} ms ({100 * ours.get(kind, 0.0) / total:.0f} % against "
        f"{100 * theirs.get(kind, 0.0) / others:.0f} %)"
        for kind in most
        if abs(changes[kind]) > NOTICED * total
    ]


def times_html(
    front: Sequence[Record],
    references: Sequence[Record],
    model: LatencyModel,
    resolution: int,
    classes: int,
) -> str:
    """A bar for each network, shares of its latency by kind, and what it differs in from its nearest reference."""
    shown = sorted([*front, *references], key=lambda record: record.latency_ms)
    times = {id(record): ms_by_kind(record, model, resolution, classes) for record in shown}
    rows = ""
    for record in shown:
        nearest = nearest_reference(record, [o for o in references if o.architecture != record.architecture])
        text = "; ".join(differences(times[id(record)], times[id(nearest)])) if nearest else ""
        words = f"{text or 'much the same'} beside {nearest.name}" if nearest else ""
        row_class = "reference" if record.reference else "found"
        rows += (
            f'<tr class="{row_class}"><td class="text">{cell_html(name_cell(record, front))}</td>'
            f'<td class="number">{ms_text(record)}</td><td>{_bar(times[id(record)])}</td>'
            f'<td class="text words">{escape(words)}</td></tr>'
        )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("name", "ms", "by kind of layer", "most different in"))
    table = f'<table class="times"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return scrolled(table, "time by kind of layer") + _key(times.values()) + f'<p class="note">{_NOTE}</p>'


_NOTE = (
    "Fitted, not measured: the shares of the model that the cards tell of, scaled to each measured latency. Kinds that "
    "always come together cannot be separated by it. In brackets: shares of the network's own time, and of the other's."
)


def _bar(times: Times) -> str:
    total = sum(times.values())
    shares = {kind: ms / total for kind, ms in times.items() if ms > _SEEN * total}
    text = ", ".join(f"{NAMES[kind]} {100 * share:.0f} %" for kind, share in shares.items())
    segments = "".join(
        f'<i class="{_colour(kind)}" style="width:{100 * share:.1f}%" title="{NAMES[kind]}: {100 * share:.0f} %, '
        f'{times[kind]:.3f} ms"></i>'
        for kind, share in shares.items()
    )
    return f'<div class="bar" role="img" aria-label="{escape(text)}">{segments}</div>'


def _key(all_times: Collection[Times]) -> str:
    used = [kind for kind in NAMES if any(kind in times for times in all_times)]
    return '<ul class="key">' + "".join(f'<li><i class="{_colour(k)}"></i>{NAMES[k]}</li>' for k in used) + "</ul>"


def _colour(kind: str) -> str:
    """The CSS class that colours it: the stem is drawn as a convolution elsewhere too."""
    return "spatial" if kind == STEM else kind
