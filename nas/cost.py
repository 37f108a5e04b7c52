"""`python -m nas.cost`: the exact cost of any network that a command line can name, by layer if asked."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nas.cli.architectures import NETWORKS, named_network
from nas.cli.command import Parser, run_command
from nas.cli.flags import Number, add_task_flags, between, task_of
from search_space.architecture import Architecture
from search_space.bounds import CHANNELS, CLASSES, RESOLUTIONS
from search_space.cost import Cost, cost_of
from search_space.errors import InputError
from search_space.hand_designed import HandDesigned
from search_space.plan import NO_CLASSIFIER, STEM_STRIDES
from search_space.precision import FLASH_IS, RAM_IS
from search_space.presets import PRESETS
from search_space.task import Task
from studies.text_table import table_text

if TYPE_CHECKING:
    from torch import nn


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), show_cost, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="python -m nas.cost",
        description="Prints networks' exact costs. 1 FLOP = 1 multiply-add of convolution and linear layers; "
        f"{RAM_IS}; {FLASH_IS}.",
    )
    add = parser.add_argument
    add("networks", nargs="+", metavar="NETWORK", help=f"{NETWORKS}; presets are {', '.join(PRESETS)}")
    add_task_flags(parser, "the cost holds", replace(RESOLUTIONS, least=1), replace(CLASSES, least=1))
    add("--channels", type=Number(CHANNELS), default=3, help="channels of the input")
    strides = between(min(STEM_STRIDES), max(STEM_STRIDES))
    add("--stem-stride", type=strides, default=4, help=f"stride of the stem: {', '.join(map(str, STEM_STRIDES))}")
    add("--layers", action="store_true", help="print every layer")
    add("--verify", action="store_true", help="build the network and count it with fvcore as well")
    return parser


def show_cost(flags: argparse.Namespace) -> int:
    """The exit status of the command with these flags: 1 where fvcore counts otherwise."""
    task = replace(task_of(flags), in_channels=flags.channels)
    if task.num_classes == NO_CLASSIFIER and flags.stem_stride != max(STEM_STRIDES):
        raise InputError(f"a backbone has the published stem, of stride 4; got --stem-stride {flags.stem_stride}")
    named = [(text, named_network(text).network) for text in flags.networks]
    for text, network in named:
        if isinstance(network, HandDesigned):
            _check_hand_designed(text, task, flags)
    status = 0
    for text, network in named:
        if isinstance(network, HandDesigned):
            status |= _show_hand_designed(network, task, flags)
        else:
            status |= _show(text, network, task, flags)
    return status


def _show(text: str, architecture: Architecture, task: Task, flags: argparse.Namespace) -> int:
    cost = cost_of(architecture, task.resolution, task.num_classes, task.in_channels, flags.stem_stride)
    if flags.layers:
        print(_layer_table(cost))
    print(
        f"{text}: {_counts(cost.macs, cost.params)}, {cost.memory_access_bytes / 1e6:.2f} MB memory access at fp32; "
        f"{cost.memory_text}; at {task.described(architecture)}"
    )
    if not flags.verify:
        return 0
    from proxies.backbone import deployed

    network = deployed(architecture, task.num_classes, task.in_channels, flags.stem_stride)
    return _verify(network, cost.macs, cost.params, task.of(architecture))


def _check_hand_designed(text: str, task: Task, flags: argparse.Namespace) -> None:
    """Refuses what is known of architectures of the space alone.

    Raises:
        InputError: layers or a backbone are asked of a hand-designed network.
    """
    what = "layers are listed" if flags.layers else "backbones are made"
    if flags.layers or task.num_classes == NO_CLASSIFIER:
        cure = "leave --layers out" if flags.layers else f"leave --task {flags.task} out"
        raise InputError(f"{what} of architectures of the space alone, and {text!r} is a hand-designed network: {cure}")


def _show_hand_designed(network: HandDesigned, task: Task, flags: argparse.Namespace) -> int:
    from proxies.counting import count
    from proxies.references.networks import build_reference

    built = build_reference(network.name, task.num_classes, task.in_channels, flags.stem_stride)
    macs, params = count(built, (1, task.in_channels, task.resolution, task.resolution))
    print(f"{network.name}: {_counts(macs, params)} at {task.description}, counted as it runs")
    return _verify(built, macs, params, task) if flags.verify else 0


def _counts(macs: int, params: int) -> str:
    return f"{macs / 1e6:.3f} MFLOPs, {params / 1e6:.4f} M params"


def _verify(network: nn.Module, macs: int, params: int, task: Task) -> int:
    """0 where fvcore counts the same, else 1; what it counts is printed."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # fvcore uses what torch deprecates
        from fvcore.nn import FlopCountAnalysis, parameter_count

        image = torch.zeros(1, task.in_channels, task.resolution, task.resolution)
        analysis = FlopCountAnalysis(network.eval(), image)
        counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    found = int(counts["conv"] + counts["linear"]), parameter_count(network)[""]
    agrees = found == (macs, params)
    verdict = "agrees" if agrees else f"DIFFERS from {macs} multiply-adds, {params} parameters"
    print(f"fvcore counts {found[0]} multiply-adds of conv and linear, {found[1]} parameters: {verdict}")
    return 0 if agrees else 1


def _layer_table(cost: Cost) -> str:
    numbers = ("channels", "size", "macs", "params", "live_bytes", "memory_access_bytes")
    columns = ("channels", "size", "multiply-adds", "params", "live bytes", "memory access bytes")
    rows = ((layer.name, layer.kind, *(f"{getattr(layer, name):,}" for name in numbers)) for layer in cost.layers)
    return table_text(("layer", "kind", *columns), rows, columns)


if __name__ == "__main__":
    sys.exit(main())
