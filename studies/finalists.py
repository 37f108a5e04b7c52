"""A study's finalists: which of its networks they are, and how they stand once they were trained for longer."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from studies.front import front_of
from studies.record import Record
from studies.table import FLOP, SPREAD, accuracy_text, mflops_text, ms_text, proxy_text, spread_text

ON_FRONT, REFERENCE = "front", "reference"
LEFT = ("name", "front")
_UNBOUNDED = 10_000


@dataclass(frozen=True, slots=True)
class Choice:
    """The networks to train for longer: the study's front, fastest first, then those `near` it, the nearest first.

    `left_out` are as near as these, and were more than is wanted.
    """

    front: tuple[Record, ...]
    near: tuple[Record, ...]
    left_out: int

    @property
    def records(self) -> tuple[Record, ...]:
        """All that are chosen."""
        return self.front + self.near


@dataclass(frozen=True, slots=True)
class Finalist:
    """A network that was trained for longer: its record in the study, and its accuracies, in [0, 1], by seed."""

    record: Record
    accuracies: Mapping[int, float] = field(hash=False)

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return fmean(self.accuracies.values())

    @property
    def deviation(self) -> float | None:
        """The standard deviation over the seeds (of a sample: n - 1); None where there is but one."""
        return stdev(self.accuracies.values()) if len(self.accuracies) > 1 else None


def choose(records: Sequence[Record], error: float, most: int) -> Choice:
    """The front, all of it, and the records that may be on it, for a prediction is off by `error`; `most` in all.

    Such a record's accuracy + `error` reaches the best accuracy among those that are at most as slow.
    """
    found: dict[str, Record] = {}
    for record in records:
        found.setdefault(record.architecture.key(), record)
    front = front_of(list(found.values()))
    keys = {record.architecture.key() for record in front}

    def best(record: Record) -> float:
        return max(other.accuracy for other in front if other.latency_ms <= record.latency_ms)

    near = [record for key, record in found.items() if key not in keys and record.accuracy + error >= best(record)]
    near.sort(key=lambda record: best(record) - record.accuracy)
    room = max(0, most - len(front))
    return Choice(tuple(front), tuple(near[:room]), len(near[room:]))


def final_front(finalists: Sequence[Finalist]) -> list[Record]:
    """The front by the finalists' own accuracy, which its records hold; references may stand on it."""
    return front_of([replace(each.record, accuracy=each.accuracy) for each in finalists])


def trials_of(finalists: Sequence[Finalist], recipe: Mapping[str, Any]) -> list[FrozenTrial]:
    """A completed trial a network, as a study keeps them: mean accuracy, the study's latency, and how they were had."""
    return [
        optuna.create_trial(
            values=[each.accuracy, each.record.latency_ms],
            user_attrs={
                "architecture": each.record.architecture.to_dict(),
                "key": each.record.architecture.key(),
                "accuracies": {str(seed): accuracy for seed, accuracy in each.accuracies.items()},
                "recipe": dict(recipe),
                "reference": each.record.reference,
                "predicted_accuracy": each.record.accuracy,
                "proxy_accuracy": each.record.proxy_accuracy,
                "latency_spread": each.record.latency_spread,
                "macs": each.record.macs,
                "params": each.record.params,
            },
        )
        for each in finalists
    ]


def render_finalists(finalists: Sequence[Finalist], recipe: str) -> str:
    """The finalists as a table in plain text, fastest first, with what its columns mean."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("name", "MFLOPs", "latency ms", f"{recipe} %", "predicted %", "proxy %", "seeds", "front"):
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    front = {record.architecture.key() for record in final_front(finalists)}
    for each in sorted(finalists, key=lambda each: (each.record.latency_ms, -each.accuracy)):
        # Text, not str: a name is shown as it is, whatever brackets it holds.
        table.add_row(*map(Text, _cells(each, each.record.architecture.key() in front)))
    console = Console(file=io.StringIO(), width=_UNBOUNDED, color_system=None)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "\n".join([*filter(None, lines), f"{FLOP} {SPREAD}", *_notes(recipe)])


def _notes(recipe: str) -> Iterator[str]:
    yield (
        f"{recipe} %: mean accuracy on the validation images ± standard deviation over the seeds; "
        "predicted and proxy %: the study's own."
    )
    yield "front: by these means; latencies are those that the study measured: finalists are not timed again."


def _cells(finalist: Finalist, is_on_front: bool) -> Iterator[str]:
    record = finalist.record
    yield record.name
    yield mflops_text(record)
    yield f"{ms_text(record)} {spread_text(record)}"
    spread = "" if finalist.deviation is None else f" ± {100 * finalist.deviation:.1f}"
    yield f"{100 * finalist.accuracy:.1f}{spread}"
    yield accuracy_text(record)
    yield proxy_text(record)
    yield str(len(finalist.accuracies))
    yield ", ".join((ON_FRONT,) * is_on_front + (REFERENCE,) * bool(record.reference))
