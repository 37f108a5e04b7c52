"""`python -m nas.train ARCHITECTURE --data ...`: trains one architecture fully, tests it once and keeps its weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from nas.cli.command import Parser, check_folder, is_first_here, run_command
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import doing
from nas.cli.stopping import at_once, keeping
from nas.train.settings import FILES, OWNER, TrainSettings, add_flags, settings_of
from proxies.latency.lifetime import end_soon_after_parent
from search_space.errors import InputError
from studies.facts import QuantisedFacts
from studies.int8_loss import Int8Loss


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), train, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="python -m nas.train",
        description="Trains one architecture, and keeps its weights and accuracies. Stop it at any moment: the same "
        "line with --resume goes on exactly. On several GPUs: torchrun --nproc-per-node N -m nas.train ... "
        "1 FLOP = 1 multiply-add of convolution and linear layers.",
    )
    add_flags(parser)
    return parser


def train(flags: argparse.Namespace) -> int:
    """The exit status of a training with these flags; of several processes the first one speaks."""
    try:
        settings = settings_of(flags)
        check_folder(settings.out)
        if not (settings.resume and settings.checkpoint.exists()):
            OwnFiles(settings.out, OWNER).check(*FILES)
    except InputError:
        if is_first_here():
            raise
        return 2
    if settings.world > 1:
        end_soon_after_parent()  # torchrun, which may be killed
    with keeping(lambda: _how_to_go_on(settings)):
        with at_once("python -m nas.train"):
            from nas.train.run import run  # here, for torch takes seconds to import

        with doing("reading the images") if settings.rank == 0 else nullcontext():
            outcome = run(settings, lambda line: print(line, file=sys.stderr, flush=True))
    if outcome:
        for line in [*_result_lines(outcome.metrics), *(f"wrote {path}" for path in outcome.files)]:
            print(line)
    return 0


def _how_to_go_on(settings: TrainSettings) -> str:
    if settings.checkpoint.exists():
        return f"stopped; the same line with --resume goes on from {settings.checkpoint}"
    return "stopped before the first epoch was over: the same line starts anew"


def _result_lines(metrics: Mapping[str, Any]) -> Iterator[str]:
    data, cost = metrics["data"], metrics["cost"]["training"]
    images = data["validation_images"]
    yield f"validation accuracy: {100 * metrics['validation_accuracy']:.2f} % of {images} images"
    if "int8" in metrics:
        yield _int8_line(metrics)
    if doubt := metrics.get("doubt"):
        yield f"careful: {doubt}; try a lower --learning-rate, other epochs, or more images"
    if metrics["test_accuracy"] is None:
        yield f"test accuracy: unknown, for {metrics['no_test_because']}"
    else:
        yield f"test accuracy: {100 * metrics['test_accuracy']:.2f} % of {data['test_images']} images, tested once"
    yield (
        f"{metrics['name']}: {cost['params'] / 1e6:.4f} M params, {cost['macs'] / 1e6:.3f} MFLOPs "
        f"at {cost['resolution']} px, {cost['classes']} classes"
    )


def _int8_line(metrics: Mapping[str, Any]) -> str:
    facts = QuantisedFacts(metrics["int8"])
    loss = Int8Loss.of({0: metrics["validation_accuracy"]}, {0: facts.accuracy}, {0: facts})
    lost = f", {loss.text} points lost{', much' if loss.is_much else ''}" if loss else ""
    return (
        f"validation accuracy in int8: {100 * facts.accuracy:.2f} % of the same images{lost}; quantised on "
        f"{facts.calibration_images} training images, run in ONNX Runtime {facts.runtime_version}"
    )


if __name__ == "__main__":
    sys.exit(main())
