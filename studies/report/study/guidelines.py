"""The guidelines G1 to G4 on a front and its references, as a table, and in words why a network is fast or slow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from search_space.guidelines import Guidelines, guidelines_of
from studies.front import nearest_reference
from studies.latency.model import LatencyModel
from studies.record import Record
from studies.report.page import Section, section, table_html
from studies.report.study.cards import name_cell
from studies.report.study.time_by_kind import times_of

HEADING, TIMES = "Why they are fast", "Where the time goes"
COLUMNS = ("name", "ms a 100 MFLOPs", "G1 imbalance", "G2 grouped %", "G3 kernels", "G4 element-wise %", "in words")
NOTICED = 1.1
"""Two networks' numbers differ where the larger is more than so many times the smaller."""
_MEASURES: tuple[tuple[Callable[[Guidelines], float], str, str], ...] = (
    (lambda each: each.channel_imbalance, "more even channels", "less even channels"),
    (lambda each: each.grouped_share, "fewer FLOPs in groups", "more FLOPs in groups"),
    (lambda each: each.kernels, "fewer kernels", "more kernels"),
    (lambda each: each.element_wise_share, "less element-wise work", "more element-wise work"),
)
_NOTE = (
    "The four guidelines of ShuffleNet V2 (Ma 2018, sec. 2), read off each network's plan; less is faster. G1: memory "
    "access of the 1x1 convolutions over what even channels would need. G2: share of the FLOPs in grouped 1x1 "
    "convolutions. G3: layers and joins run one after the other. G4: share of the memory access of depthwise "
    "convolutions, squeeze-and-excitation, shuffles, poolings and joins. In words: beside the reference of nearest "
    "latency."
)


def guidelines_section(
    front: Sequence[Record],
    references: Sequence[Record],
    model: LatencyModel | None = None,
    resolution: int = 224,
    classes: int = 1000,
) -> Section | None:
    """The section of the report; None where there is no network.

    Costs hold at `resolution` and `classes`. `model` tells what a difference costs in time, where there is one.
    """
    shown = sorted([*front, *references], key=lambda record: record.latency_ms)
    if not shown:
        return None
    found = {id(record): guidelines_of(record.architecture, resolution, classes) for record in shown}
    rows = []
    for record in shown:
        others = [other for other in references if other.architecture != record.architecture]
        nearest = nearest_reference(record, others)
        words = in_words(found[id(record)], found[id(nearest)], nearest.name) if nearest else ""
        row_class = "reference" if record.reference else "found"
        rows.append((row_class, (name_cell(record, front), *_cells(record, found[id(record)]), words)))
    table = table_html(COLUMNS, rows, COLUMNS[1:-1])
    times = times_of(front, references, model, resolution, classes) if model else None
    return section(HEADING, _NOTE, table=table, template="guidelines.html", subheading=TIMES, times=times)


def in_words(ours: Guidelines, theirs: Guidelines, name: str) -> str:
    """In which of the four a network differs from another one, in words: "fewer kernels than v2-0.5x"."""
    return f"{', '.join(_differences(ours, theirs)) or 'much the same'} beside {name}"


def _differences(ours: Guidelines, theirs: Guidelines) -> Iterator[str]:
    for value, less, more in _MEASURES:
        low, high = sorted((value(ours), value(theirs)))
        if high > NOTICED * low:
            yield less if value(ours) == low else more


def _cells(record: Record, found: Guidelines) -> tuple[str, ...]:
    speed = 1e8 * record.latency_ms / record.macs
    shares = f"{100 * found.grouped_share:.0f}", str(found.kernels), f"{100 * found.element_wise_share:.0f}"
    return f"{speed:.2f}", f"{found.channel_imbalance:.2f}", *shares
