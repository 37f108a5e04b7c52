"""`python -m nas.latency measure`: latencies of chosen architectures, or of random ones of a space, into a storage."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from nas.cli.architectures import named_architectures
from nas.cli.flags import choices_of, precision_of, task_of
from nas.cli.heartbeat import Steps, doing
from nas.cli.storage import storage_named
from proxies.latency.measure import Latency, Prepared, check_runtime, compare, prepare
from search_space.architecture import Architecture
from search_space.budget import Budget
from search_space.choosers import RandomChooser
from search_space.cost import cost_of
from search_space.errors import InputError
from search_space.precision import INT8
from search_space.presets import ANCHOR, PRESETS
from search_space.scratch import Scratch
from search_space.space import SearchSpace
from search_space.task import Task
from studies.checked_facts import LEDGERED, checked_latency
from studies.ledger.latencies import Ledger, Measured
from studies.storage.database import engine_of
from studies.storage.studies import check_storage


def measure(flags: argparse.Namespace) -> int:
    """The exit status of a measurement with these flags: 1 where an architecture failed."""
    task = task_of(flags)
    chosen = [(name, task.deployed(architecture)) for name, architecture in _chosen(flags, task)]
    precision = precision_of(flags)
    check_runtime(flags.runtime, flags.device, precision)
    ledger = None
    if url := storage_named(flags):
        check_storage(url)
        ledger = Ledger(engine_of(url))
    failed, steps = 0, Steps(len(chosen))
    for name, architecture, result, seconds in _measured(flags, task, chosen, steps):
        steps.done += 1
        if ledger and isinstance(result, Latency):
            how = checked_latency({**result.to_dict(), "seconds": seconds}, LEDGERED)
            ledger.add([Measured(architecture.key(), task.num_classes, result.fingerprint, "run", how, architecture)])
        print(f"{steps.done} of {len(chosen)} {name} | {steps.left()}", file=sys.stderr, flush=True)
        print(_line(name, architecture, result, task), flush=True)
        failed += isinstance(result, str)
    return 1 if failed else 0


def _chosen(flags: argparse.Namespace, task: Task) -> Iterator[tuple[str, Architecture]]:
    if not flags.architectures and not flags.random:
        raise InputError("something must be measured: name presets or JSON files, or give --random 60")
    yield from named_architectures(flags.architectures)
    if flags.random:
        budget = Budget.parse(flags.budget)
        space = SearchSpace(choices_of(flags, budget, task), budget, task)
        for number in range(flags.random):
            architecture = space.suggest(RandomChooser(flags.seed + number))
            yield architecture.short_name, architecture


def _measured(
    flags: argparse.Namespace, task: Task, chosen: list[tuple[str, Architecture]], steps: Steps
) -> Iterator[tuple[str, Architecture, Latency | str, float]]:
    """Each architecture with its latency, or with the cause why it has none, and the seconds that it took."""
    from proxies.backbone import deployed

    options = {
        **{"batch_size": flags.batch_size, "runtime": flags.runtime},
        **{"device": flags.device, "precision": precision_of(flags)},
    }

    def prepared(architecture: Architecture, name: str) -> Prepared:
        size = task.of(architecture).resolution
        return prepare(deployed(architecture, task.num_classes), Path(folder, name), resolution=size, **options)

    with Scratch() as folder, doing(f"timing {ANCHOR}", steps.seconds_left) as at:
        anchor = prepared(PRESETS[ANCHOR], "anchor")
        anchor_ms = compare(anchor, anchor).p10_ms
        for number, (name, architecture) in enumerate(chosen):
            at.now(f"timing {name}, {number + 1} of {len(chosen)}")
            started = time.perf_counter()
            result: Latency | str
            try:
                candidate = prepared(architecture, "candidate")
                result = compare(candidate, anchor, reference_ms=anchor_ms, seed=number)
            except Exception as error:  # whatever an exporter or a runtime raises costs one network, not the rest
                result = f"{type(error).__name__}: {' '.join(str(error).split())}"
            yield name, architecture, result, time.perf_counter() - started


def _line(name: str, architecture: Architecture, result: Latency | str, task: Task) -> str:
    cost = cost_of(architecture, task.resolution, task.num_classes)
    counts = f"{cost.macs / 1e6:.1f} MFLOPs, {cost.params / 1e6:.2f} M params"
    if isinstance(result, str):
        return f"{name}: {counts}, failed: {result}"
    noisy = " noisy" if result.noisy else ""
    images = f", {1000 * result.batch_size / result.latency_ms:.0f} images/s" if result.batch_size > 1 else ""
    latency = f"{result.latency_ms:.3f} ms ±{50 * result.spread:.1f} %{noisy}{images}"
    precision = f" in {INT8}" if result.precision == INT8 else ""
    return f"{name}: {counts}, {latency}{precision} at {task.described(architecture)}"
