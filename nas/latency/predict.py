"""`python -m nas.latency predict`: a model of latency fitted to a storage's measurements, with how far it is off."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from nas.cli.architectures import named_architectures
from nas.cli.storage import needed_storage
from nas.latency.flags import FILTERS
from nas.latency.list import group_of
from search_space.architecture import Architecture
from search_space.errors import InputError
from studies.latency.model import (
    BLOCKS,
    FLOPS_ALONE,
    LEAST_MEASUREMENTS,
    Errors,
    LatencyModel,
    best_block,
    errors_of,
    fit,
    leave_one_out,
    matrix_of,
    unseen_errors,
)
from studies.ledger.latencies import Ledger, Measured, medians_of
from studies.storage.studies import ledger_to_read
from studies.text_table import table_text

TRAINED_ON = (20, 40, 60, 80)
DRAWS = 20


def predict(flags: argparse.Namespace) -> int:
    """The exit status of a prediction with these flags."""
    wanted = dict(named_architectures(flags.architectures))
    ledger = Ledger(ledger_to_read(needed_storage(flags)), to_read=True)
    columns = {name: getattr(flags, name) for name in FILTERS if getattr(flags, name) is not None}
    measured = [each for each in ledger.measurements(**columns) if each.architecture]
    architectures, latencies_ms = _medians(measured)
    if len(architectures) < LEAST_MEASUREMENTS:
        raise InputError(f"a model needs {LEAST_MEASUREMENTS} networks measured alike, got {len(architectures)}")
    resolution, classes = max(each.latency.resolution for each in measured), measured[0].classes
    model = fit(architectures, latencies_ms, resolution, classes)
    _print_errors(model, architectures, latencies_ms)
    _print_work(model, architectures)
    for text, architecture in wanted.items():
        off = 100 * model.errors.median
        print(
            f"{text}: {model.predict_ms(architecture):.3f} ms predicted, half of all predictions are within {off:.1f} %"
        )
    return 0


def _medians(measured: Sequence[Measured]) -> tuple[list[Architecture], list[float]]:
    """Each network once, with the median of its latencies.

    Raises:
        InputError: they were not measured alike.
    """
    sizes = {each.latency.resolution for each in measured if not _has_own_resolution(each)}
    usual = str(max(sizes, default=0))
    kinds = {(*group_of(each, usual if _has_own_resolution(each) else ""), each.classes) for each in measured}
    if len(kinds) > 1:
        listed = "; ".join(" ".join(map(str, kind)) for kind in sorted(kinds))
        raise InputError(
            f"a model is of latencies measured alike, and these are not: choose with --device ... {listed}"
        )
    return medians_of(measured)


def _has_own_resolution(measured: Measured) -> bool:
    return measured.architecture is not None and measured.architecture.resolution is not None


def _print_errors(model: LatencyModel, architectures: Sequence[Architecture], latencies_ms: Sequence[float]) -> None:
    numbers = ("median error", "within 5 %", "within 10 %", "worst", "Kendall tau")
    rows = [
        (name, fitted_to, *_texts(errors))
        for name, blocks in (("layers", BLOCKS), ("FLOPs alone", (FLOPS_ALONE,)))
        for fitted_to, errors in _all_errors(architectures, latencies_ms, blocks, model)
    ]
    print(f"latency predicted from {model.measurements} networks")
    print(table_text(("model", "fitted to", *numbers), rows, numbers))


def _all_errors(
    architectures: Sequence[Architecture], latencies_ms: Sequence[float], blocks: Sequence[int], model: LatencyModel
) -> Iterator[tuple[str, Errors]]:
    measured_ms = np.asarray(latencies_ms)
    works = {block: matrix_of(architectures, block, model.resolution, model.classes)[1] for block in blocks}
    yield "all but one", errors_of(leave_one_out(works[best_block(works, measured_ms)], measured_ms), measured_ms)
    for count in TRAINED_ON:
        if count + LEAST_MEASUREMENTS <= len(measured_ms):
            yield f"{count}, {DRAWS} draws", unseen_errors(works, measured_ms, count, DRAWS, seed=0)


def _texts(errors: Errors) -> Iterator[str]:
    for share in (errors.median, errors.within_5_percent, errors.within_10_percent, errors.worst):
        yield f"{100 * share:.1f} %"
    yield f"{errors.tau:.3f}"


def _print_work(model: LatencyModel, architectures: Sequence[Architecture]) -> None:
    spent = [model.ms_by_kind(architecture) for architecture in architectures]
    means = {kind: float(np.mean([each.get(kind, 0.0) for each in spent])) for kind in model.ms_by_work}
    rows = [(kind, f"{ms:.3f}") for kind, ms in sorted(means.items(), key=lambda row: -row[1]) if ms > 0]
    print(f"what a mean network spends its time on, channels in blocks of {model.block}")
    print(table_text(("work", "ms"), rows, ("ms",)))
