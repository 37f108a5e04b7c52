"""`python -m nas.cost`: the exact cost of presets and architectures' JSON files, by layer if asked."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.table import Table

from nas.cli.architectures import read_architecture
from nas.cli.command import Parser, run_command
from nas.cli.flags import add_task_flags, task_of
from search_space.architecture import Architecture
from search_space.cost import Cost, cost_of
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER, STEM_STRIDES
from search_space.presets import PRESETS
from search_space.task import Task


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), show_cost, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="python -m nas.cost",
        description="Prints architectures' exact costs. 1 FLOP = 1 multiply-add of convolution and linear layers.",
    )
    add = parser.add_argument
    add("architectures", nargs="+", help=f"JSON files, and presets: {', '.join(PRESETS)}")
    add_task_flags(parser, "the cost holds")
    add("--channels", type=int, default=3, help="channels of the input")
    add("--stem-stride", type=int, default=4, help=f"stride of the stem: {', '.join(map(str, STEM_STRIDES))}")
    add("--layers", action="store_true", help="print every layer")
    add("--verify", action="store_true", help="build the network and count it with fvcore as well")
    return parser


def show_cost(flags: argparse.Namespace) -> int:
    """The exit status of the command with these flags: 1 where fvcore counts otherwise."""
    task = replace(task_of(flags, least_resolution=1, least_classes=1), in_channels=flags.channels)
    if task.num_classes == NO_CLASSIFIER and flags.stem_stride != max(STEM_STRIDES):
        raise InputError(f"a backbone has the published stem, of stride 4; got --stem-stride {flags.stem_stride}")
    status = 0
    for text, architecture in [(text, read_architecture(text)) for text in flags.architectures]:
        cost = cost_of(architecture, task.resolution, task.num_classes, task.in_channels, flags.stem_stride)
        if flags.layers:
            Console(width=120, highlight=False).print(_layer_table(cost))
        print(
            f"{text}: {cost.macs / 1e6:.3f} MFLOPs, {cost.params / 1e6:.4f} M params, "
            f"{cost.peak_bytes / 1e6:.2f} MB peak activations, {cost.memory_access_bytes / 1e6:.2f} MB memory access "
            f"at {task.description}, float32"
        )
        if flags.verify:
            status |= _verify(architecture, cost, task, flags.stem_stride)
    return status


def _verify(architecture: Architecture, cost: Cost, task: Task, stem_stride: int) -> int:
    import torch

    from proxies.backbone import deployed

    network = deployed(architecture, task.num_classes, task.in_channels, stem_stride).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # fvcore uses what torch deprecates
        from fvcore.nn import FlopCountAnalysis, parameter_count

        analysis = FlopCountAnalysis(network, torch.zeros(1, task.in_channels, task.resolution, task.resolution))
        counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    macs, params = int(counts["conv"] + counts["linear"]), parameter_count(network)[""]
    agrees = (macs, params) == (cost.macs, cost.params)
    verdict = "agrees" if agrees else f"DIFFERS from {cost.macs} multiply-adds, {cost.params} parameters"
    print(f"fvcore counts {macs} multiply-adds of conv and linear, {params} parameters: {verdict}")
    return 0 if agrees else 1


def _layer_table(cost: Cost) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("layer", no_wrap=True)
    table.add_column("kind")
    for column in ("channels", "size", "multiply-adds", "params", "live bytes", "memory access bytes"):
        table.add_column(column, justify="right")
    for layer in cost.layers:
        numbers = (layer.channels, layer.size, layer.macs, layer.params, layer.live_bytes, layer.memory_access_bytes)
        table.add_row(layer.name, layer.kind, *(f"{number:,}" for number in numbers))
    return table


if __name__ == "__main__":
    sys.exit(main())
