"""`python -m nas.latency`: everything about latency that is no search, a subcommand each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from types import MappingProxyType

from nas.cli.command import Parser, run_command
from nas.cli.heartbeat import doing
from nas.cli.stopping import at_once
from nas.latency.flags import FLAGS

SUBCOMMANDS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "check": ("nas.latency.check", "check", "how well latencies repeat on this machine, quiet and under load"),
        "measure": ("nas.latency.measure", "measure", "chosen architectures, or random ones of a space"),
        "time": ("nas.latency.time", "time_files", "ONNX files as they are, whoever wrote them"),
        "explain": ("nas.latency.explain", "explain", "where a network's time goes, unit by unit, and which to change"),
        "references": ("nas.latency.references", "run", "hand-designed networks: FLOPs against latency"),
        "bundle": ("nas.latency.bundle", "bundle", "write networks to measure on a device without this project"),
        "import": ("nas.latency.bundle", "import_results", "enter what such a device measured into a storage"),
        "agent": ("nas.latency.agent", "serve", "measure on this device what searches elsewhere ask for"),
        "list": ("nas.latency.list", "show", "what a storage holds of latencies, by device"),
        "predict": ("nas.latency.predict", "predict", "a model of latency from those measured, and its error"),
    }
)
"""Subcommand -> its module, the function that runs it, and what it is for; `nas.latency.flags` has its flags."""
WAITING = {"agent"}
"""Those that wait for others' requests, and need not say so again and again."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), _run, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="python -m nas.latency", description=__doc__)
    subparsers = parser.add_subparsers(dest="subcommand", required=True, parser_class=Parser, metavar="SUBCOMMAND")
    for name, (_, _, purpose) in SUBCOMMANDS.items():
        FLAGS[name](subparsers.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}."))
    return parser


def _run(flags: argparse.Namespace) -> int:
    # Only that module is imported: a device that runs the agent need not have what the others use.
    module, function, _ = SUBCOMMANDS[flags.subcommand]
    with at_once("python -m nas.latency"):
        run: Callable[[argparse.Namespace], int] = getattr(import_module(module), function)
    with nullcontext() if flags.subcommand in WAITING else doing(f"latency {flags.subcommand}"):
        return run(flags)


if __name__ == "__main__":
    sys.exit(main())
