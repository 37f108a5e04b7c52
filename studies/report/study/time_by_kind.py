"""Where the time of a front's networks goes, by kind of layer, as a fitted model shares out what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from studies.display import ms_text
from studies.front import nearest_reference
from studies.latency.model import STEM, LatencyModel
from studies.record import Record
from studies.report.page import Cell
from studies.report.study.cards import Segment, name_cell
from studies.report.study.layer_rows import KINDS, LEAST_DRAWN, layer_rows

NAMES = {STEM: "stem, and what every call takes", **KINDS}
"""The kinds that time is divided among; all of the stem is one of them."""
MOST_TOLD = 2
NOTICED = 0.03
"""A difference is stated where it is more than this share of the network's latency."""
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


@dataclass(frozen=True, slots=True)
class TimesRow:
    """A network's latency as a bar of its kinds, the bar in words, and what differs most from its nearest reference."""

    kind: str
    name: Cell
    ms: str
    segments: tuple[Segment, ...]
    words: str
    differences: str


@dataclass(frozen=True, slots=True)
class TimesByKind:
    """The rows of all networks, fastest first, and the kinds that they show: CSS class -> name."""

    rows: tuple[TimesRow, ...]
    key: tuple[tuple[str, str], ...]


def times_of(
    front: Sequence[Record],
    references: Sequence[Record],
    model: LatencyModel,
    resolution: int,
    classes: int,
) -> TimesByKind:
    """For each network the shares of its latency by kind, and what it differs in from its nearest reference."""
    shown = sorted([*front, *references], key=lambda record: record.latency_ms)
    times = {id(record): ms_by_kind(record, model, resolution, classes) for record in shown}
    rows = []
    for record in shown:
        ours = times[id(record)]
        nearest = nearest_reference(record, [o for o in references if o.architecture != record.architecture])
        text = "; ".join(differences(ours, times[id(nearest)])) if nearest else ""
        beside = f"{text or 'much the same'} beside {nearest.name}" if nearest else ""
        kind, name = "reference" if record.reference else "found", name_cell(record, front)
        rows.append(TimesRow(kind, name, ms_text(record), tuple(_segments(ours)), _in_words(ours), beside))
    used = [kind for kind in NAMES if any(kind in each for each in times.values())]
    return TimesByKind(tuple(rows), tuple((_colour(kind), NAMES[kind]) for kind in used))


def _drawn(times: Times) -> dict[str, float]:
    """The shares that are large enough to be drawn, by kind."""
    total = sum(times.values())
    return {kind: ms / total for kind, ms in times.items() if ms > LEAST_DRAWN * total}


def _in_words(times: Times) -> str:
    return ", ".join(f"{NAMES[kind]} {100 * share:.0f} %" for kind, share in _drawn(times).items())


def _segments(times: Times) -> Iterator[Segment]:
    for kind, share in _drawn(times).items():
        yield Segment(_colour(kind), share, f"{NAMES[kind]}: {100 * share:.0f} %, {times[kind]:.3f} ms")


def _colour(kind: str) -> str:
    """The CSS class that colours it: the stem is drawn as a convolution elsewhere too."""
    return "spatial" if kind == STEM else kind
