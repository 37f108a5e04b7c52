"""`python -m nas.latency`: everything about latency that is no search, a subcommand each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from types import MappingProxyType, ModuleType

from nas.command import Parser, run_command
from nas.heartbeat import doing

SUBCOMMANDS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "check": ("nas.latency_check", "check", "how well latencies repeat on this machine, quiet and under load"),
        "measure": ("nas.latency_measure", "measure", "chosen architectures, or random ones of a space"),
        "time": ("nas.latency_time", "time_files", "ONNX files as they are, whoever wrote them"),
        "references": ("nas.latency_references", "run", "hand-designed networks: FLOPs against latency"),
        "bundle": ("nas.latency_bundle", "bundle", "write networks to measure on a device without this project"),
        "import": ("nas.latency_bundle", "import_results", "enter what such a device measured into a storage"),
        "agent": ("nas.latency_agent", "serve", "measure on this device what searches elsewhere ask for"),
        "list": ("nas.latency_list", "show", "what a storage holds of latencies, by device"),
        "predict": ("nas.latency_predict", "predict", "a model of latency from those measured, and its error"),
    }
)
"""Subcommand -> its module, the function that runs it, and what it is for. A module's `add_flags` takes its parser."""
WAITING = {"agent"}
"""Those that wait for others' requests, and need not say so again and again."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    given = sys.argv[1:] if argv is None else argv
    wanted = [name for name in SUBCOMMANDS if name in given[:2]]
    return run_command(make_parser(wanted), _run, argv)


def make_parser(subcommands: Sequence[str] = tuple(SUBCOMMANDS)) -> Parser:
    """The command's parser, with the flags of these subcommands.

    Only their modules are imported: a device that runs the agent need not have what the others use.
    """
    parser = Parser(prog="python -m nas.latency", description=__doc__)
    subparsers = parser.add_subparsers(dest="subcommand", required=True, parser_class=Parser, metavar="SUBCOMMAND")
    for name, (module, _, purpose) in SUBCOMMANDS.items():
        subparser = subparsers.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if name in subcommands:
            _adder(import_module(module), name)(subparser)
    return parser


def _adder(module: ModuleType, subcommand: str) -> Callable[[Parser], None]:
    """A module of two subcommands has a function for each."""
    own: Callable[[Parser], None] | None = getattr(module, f"add_{subcommand}_flags", None)
    shared: Callable[[Parser], None] = own or module.add_flags
    return shared


def _run(flags: argparse.Namespace) -> int:
    module, function, _ = SUBCOMMANDS[flags.subcommand]
    run: Callable[[argparse.Namespace], int] = getattr(import_module(module), function)
    with nullcontext() if flags.subcommand in WAITING else doing(f"latency {flags.subcommand}"):
        return run(flags)


if __name__ == "__main__":
    sys.exit(main())
