"""`python -m nas.finalists --study NAME`: trains a study's finalists by other seeds, times them, ranks them anew."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nas.cli.command import Parser, run_command
from nas.finalists.flags import add_flags


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), _run, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="python -m nas.finalists",
        description="Trains a study's front, what may be on it and its references by other seeds, times them again "
        "together, and prints the front of that. Stop it at any moment: the same line goes on. "
        "1 FLOP = 1 multiply-add of convolution and linear layers.",
    )
    add_flags(parser)
    return parser


def _run(flags: argparse.Namespace) -> int:
    from nas.finalists.run import run  # here, for what it needs takes seconds to import

    return run(flags)


if __name__ == "__main__":
    sys.exit(main())
