"""`python -m nas.compare`: a study's front, the papers' networks and others, trained and timed alike.

One recipe, one data set, one device. What the ledger knows is not done again, so that the same line goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nas.cli.command import Parser, run_command
from nas.compare.flags import add_flags


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), _run, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="python -m nas.compare",
        description="Trains and times networks alike and prints them beside each other and beside the papers' tables. "
        "Stop it at any moment: the same line goes on. 1 FLOP = 1 multiply-add of convolution and linear layers.",
    )
    add_flags(parser)
    return parser


def _run(flags: argparse.Namespace) -> int:
    from nas.compare.run import run  # here, for what it needs takes seconds to import

    return run(flags)


if __name__ == "__main__":
    sys.exit(main())
