"""`python -m nas.run --budget 140mflops`: searches, and leaves the Pareto front of accuracy against latency."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from nas.cli.command import Parser, run_command
from nas.cli.stopping import at_once
from nas.search.settings import add_flags, settings_of
from nas.search.time.plan import process_began


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    # Where the process is this command's, its time began with the process.
    began = process_began() if argv is None else time.monotonic()
    return run_command(make_parser(), lambda flags: run(flags, began), argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="python -m nas.run",
        description="Searches the ShuffleNet design space for the front of accuracy against measured latency. "
        "1 FLOP = 1 multiply-add of convolution and linear layers.",
    )
    add_flags(parser)
    return parser


def run(flags: argparse.Namespace, began: float) -> int:
    """The exit status of a run with these flags, whose time began at `time.monotonic()` of `began`."""
    settings = settings_of(flags)
    with at_once("python -m nas.run"):
        from nas.run.run import run  # here, for what it needs takes seconds to import

    return run(settings, began)


if __name__ == "__main__":
    sys.exit(main())
