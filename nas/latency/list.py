"""`python -m nas.latency list`: what a storage holds of latencies, a line for each device, runtime and task."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from nas.cli.left_out import tell_left_out
from nas.cli.storage import needed_storage
from search_space.bounds import plain
from search_space.precision import precision_named
from search_space.task import task_name
from studies.latency.repeatability import reference_drift
from studies.ledger.latencies import Ledger, Measured
from studies.storage.secrets import shown_url
from studies.storage.studies import ledger_to_read
from studies.text_table import table_text

COLUMNS = ("device", "runtime", "precision", "task", "pixels", "batch", "networks", "ms", "noisy", "reference drift")


def show(flags: argparse.Namespace) -> int:
    """The exit status of a listing with these flags."""
    url = needed_storage(flags)
    groups: dict[tuple[str, ...], list[Measured]] = {}
    ledger = Ledger(ledger_to_read(url), to_read=True)
    tell_left_out("latencies", ledger.flaws())
    for measured in ledger.measurements():
        groups.setdefault(group_of(measured), []).append(measured)
    if not groups:
        print(f"{shown_url(url)} holds no latency yet: nas.run, nas.latency references and import enter them")
        return 0
    rows = [(*group, *_summary(members)) for group, members in sorted(groups.items())]
    print(table_text(COLUMNS, rows, COLUMNS[4:]))
    print("ms: fastest to slowest. Drift: largest over smallest own time, less 1.")
    return 0


def group_of(measured: Measured, pixels: str = "") -> tuple[str, ...]:
    """What latencies must share to be compared: device, runtime and version, precision, task, pixels and batch.

    `pixels` stand in place of its own where a network has been timed at a resolution of its own.
    """
    latency = measured.latency
    runtime, task = f"{latency.runtime} {latency.runtime_version}", task_name(measured.classes)
    precision, own = precision_named(latency.precision), pixels or str(latency.resolution)
    return measured.device, runtime, precision, task, own, str(latency.batch_size)


def _summary(members: Sequence[Measured]) -> tuple[str, ...]:
    latencies = [member.latency for member in members]
    times = [latency.latency_ms for latency in latencies]
    drift, hours = reference_drift(latencies)
    return (
        str(len({member.network for member in members})),
        f"{plain(min(times), 3)} to {plain(max(times), 3)}",
        f"{sum(latency.noisy for latency in latencies)} of {len(latencies)}",
        f"{100 * drift:.1f} % in {hours:.1f} h",
    )
