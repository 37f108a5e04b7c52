"""The front beside the references as a table: display units, and how much faster and better each network is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import JustifyMethod
from rich.table import Table

from search_space.architecture import BOTTLENECK, Architecture, Stage
from search_space.budget import Budget
from search_space.cost import cost_of
from search_space.precision import FP32, INT8
from search_space.task import Task
from studies.accuracy_scale import PERCENT, AccuracyScale
from studies.front import nearest_reference
from studies.record import Record
from studies.text_table import as_text, cell_of

FLOP = "1 FLOP = 1 multiply-add of convolution and linear layers."
SPREAD = (
    "± is a latency's standard error: between the processes that measured it, and between states of the machine; "
    "noisy: the processes differ by more than the protocol accepts."
)
BESIDE = "beside nearest reference"
RAM, FLASH = "RAM KiB", "flash KiB"
NUMBERS = ("MFLOPs", "M params", RAM, FLASH, "latency ms", "accuracy %", "points", "proxy %")
TIE = 1.02
"""Latencies whose ratio is smaller are the same: repeated measurements differ by as much."""


@dataclass(frozen=True, slots=True)
class FrontRow:
    """One network as text, a cell for each of `columns_of`."""

    cells: tuple[str, ...]
    is_reference: bool


@dataclass(frozen=True, slots=True)
class MemoryColumns:
    """RAM and flash beside the other numbers, where a budget bounds memory: at which precision and task they are."""

    precision: str
    task: Task

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> MemoryColumns | None:
        """Those that a study's settings ask for; None where its budget does not bound memory."""
        budget = Budget.parse(text) if (text := settings.get("budget")) else Budget()
        if not budget.bounds_memory or not {"resolution", "classes"} <= settings.keys():
            return None
        return cls(budget.precision or FP32, Task(settings["resolution"], settings["classes"]))

    @property
    def note(self) -> str:
        """What the columns say."""
        return f"RAM and flash: at {self.precision}."

    def cells(self, record: Record) -> tuple[str, str]:
        """A network's RAM and flash as text, rounded up."""
        cost = cost_of(record.architecture, self.task.resolution, self.task.num_classes)
        tenths = (math.ceil(10 * count(self.precision) / 1024) for count in (cost.ram_bytes, cost.flash_bytes))
        ram, flash = (f"{each / 10:,.1f}" for each in tenths)
        return ram, flash


def columns_of(scale: AccuracyScale = PERCENT, memory: MemoryColumns | None = None) -> tuple[str, ...]:
    """The names of the table's columns."""
    needs = (RAM, FLASH) if memory else ()
    return ("name", "unit", "MFLOPs", "M params", *needs, "latency ms", scale.column, "proxy %", BESIDE)


def rows_of(
    front: Sequence[Record],
    references: Sequence[Record],
    scale: AccuracyScale = PERCENT,
    memory: MemoryColumns | None = None,
) -> list[FrontRow]:
    """The rows of front and references together, fastest first; a reference's last cell says that it is one.

    It says too how far that is over the budget, where it is.
    """
    rows = [(record, _beside(record, references, scale), False) for record in front]
    rows += [(record, _of_reference(record, scale), True) for record in references]
    rows.sort(key=lambda row: row[0].latency_ms)
    return [FrontRow((*_numbers(record, scale, memory), last), is_reference) for record, last, is_reference in rows]


def in_int8(records: Sequence[Record]) -> list[Record]:
    """The records that were timed in int8."""
    return [record for record in records if record.latency.plain.get("precision") == INT8]


def note_on_precision(records: Sequence[Record]) -> str:
    """That latencies are those of int8 while accuracies are not, before there are finalists; "" where none is."""
    if not in_int8(records):
        return ""
    return (
        "Latencies are those in int8; accuracies are predicted for fp32, and what int8 costs of them is known of "
        "finalists alone."
    )


def notes_of(records: Sequence[Record], scale: AccuracyScale, memory: MemoryColumns | None) -> str:
    """What the table's columns mean."""
    notes = FLOP, SPREAD, memory.note if memory else "", scale.note, note_on_precision(records)
    return " ".join(filter(None, notes))


def front_table(
    front: Sequence[Record],
    references: Sequence[Record],
    scale: AccuracyScale = PERCENT,
    memory: MemoryColumns | None = None,
) -> Table:
    """The table of front and references, fastest first; references are dim. Only its last column ever wraps."""
    caption = notes_of([*front, *references], scale, memory)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption=caption, caption_justify="left")
    for name in columns_of(scale, memory):
        side: JustifyMethod = "right" if name in NUMBERS else "left"
        table.add_column(name, justify=side, no_wrap=name != BESIDE, overflow="fold")
    for row in rows_of(front, references, scale, memory):
        table.add_row(*map(cell_of, row.cells), style="dim" if row.is_reference else "")
    return table


def render_table(
    front: Sequence[Record],
    references: Sequence[Record],
    scale: AccuracyScale = PERCENT,
    memory: MemoryColumns | None = None,
) -> str:
    """The same table as plain text, as wide as it needs to be, for pipes and files."""
    return as_text(front_table(front, references, scale, memory))


def comparison(record: Record, reference: Record) -> str:
    """How a network stands beside a reference: "1.32x faster, +1.4 points vs v2-1.0x"."""
    ratio = reference.latency_ms / record.latency_ms
    if max(ratio, 1 / ratio) < TIE:
        speed = "as fast"
    else:
        speed = f"{ratio:.2f}x faster" if ratio > 1 else f"{1 / ratio:.2f}x slower"
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    points = round(100 * (record.accuracy - reference.accuracy), 1) + 0.0
    return f"{speed}, {points:+.1f} points vs {reference.name}"


def mflops_text(record: Record) -> str:
    """Millions of FLOPs, "140.2"."""
    return f"{record.macs / 1e6:.1f}"


def unit_text(architecture: Architecture) -> str:
    """The unit, and the resolution where the architecture has its own: "v2, 160 px"."""
    own = "" if architecture.resolution is None else f", {architecture.resolution} px"
    return architecture.unit + own


def at_own(architecture: Architecture) -> str:
    """The resolution at which FLOPs and latency hold, where it is the architecture's own: " at 160 px"."""
    return "" if architecture.resolution is None else f" at {architecture.resolution} px"


def holds_at(task: Task, records: Sequence[Record]) -> str:
    """At what costs and latencies of the records hold, in words: at a task, and some at their own resolutions."""
    is_own = any(record.architecture.resolution is not None for record in records)
    return task.description + (", or at a network's own pixels where the table names them" if is_own else "")


def params_text(record: Record) -> str:
    """Millions of parameters, "2.28"."""
    return f"{record.params / 1e6:.2f}"


def ms_text(record: Record) -> str:
    """Milliseconds to three digits, "3.42"; more before the point where there are more."""
    decimals = max(0, 2 - math.floor(math.log10(record.latency_ms)))
    return f"{record.latency_ms:.{decimals}f}"


def spread_text(record: Record) -> str:
    """How far the latency may be off either way, "±0.6 %", and whether that is more than the protocol accepts."""
    return record.latency.spread_text


def proxy_text(record: Record) -> str:
    """The short training's own accuracy in percent."""
    return f"{100 * record.proxy_accuracy:.1f}"


def stage_text(stage: Stage) -> str:
    """A stage in a line: "4 x 116, groups 1, split 1/2, kernel 3", and SE and Xception where it has them."""
    parts = [f"{stage.depth} x {stage.width}", f"groups {stage.groups}"]
    parts += [f"split {stage.split}"] if stage.split else []
    extras = [word for word, has in (("SE", stage.se), ("Xception", stage.xception)) if has]
    return ", ".join([*parts, f"kernel {stage.kernel}", *extras])


def whole_text(architecture: Architecture) -> str:
    """What holds for the whole network in a line: "stem 24, head 1024, relu", and where it differs from the papers'."""
    parts = [f"stem {architecture.stem}", f"head {architecture.head or 'none'}", architecture.activation]
    return ", ".join([*parts, *options_of(architecture)])


def options_of(architecture: Architecture) -> list[str]:
    """The options of the whole network that the papers' own have not, in words."""
    options = {
        "residual": architecture.residual,
        "pre-depthwise": architecture.pre_depthwise,
        "no shuffle": not architecture.shuffle,
        f"bottleneck {architecture.bottleneck}": architecture.bottleneck != BOTTLENECK,
        f"images of {architecture.resolution} px": architecture.resolution is not None,
    }
    return [name for name, has in options.items() if has]


def over_budget_text(record: Record) -> str:
    """How much more than the budget a reference counts, "3.5 % over the budget"; "" where it keeps to it."""
    return f"{100 * record.over_budget:.1f} % over the budget" if record.over_budget else ""


def _numbers(record: Record, scale: AccuracyScale, memory: MemoryColumns | None) -> tuple[str, ...]:
    latency = f"{ms_text(record)} {spread_text(record)}"
    counts = mflops_text(record), params_text(record), *(memory.cells(record) if memory else ())
    return record.name, unit_text(record.architecture), *counts, latency, scale.text(record), proxy_text(record)


def _beside(record: Record, references: Sequence[Record], scale: AccuracyScale) -> str:
    if reference := nearest_reference(record, references):
        return comparison(record, reference)
    # Points have to be counted from something: without a reference, from the fastest network.
    fastest = scale.beside(record)
    return f"{comparison(record, fastest)}, the fastest" if fastest else ""


def _of_reference(record: Record, scale: AccuracyScale) -> str:
    other = None if scale.is_level_known else scale.beside(record)
    beside = f"points vs {other.name}" if other else ""
    return ", ".join(filter(None, ("reference", over_budget_text(record), beside)))
