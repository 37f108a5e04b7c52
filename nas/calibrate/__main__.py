"""`python -m nas.calibrate --data ...`: how far short trainings may be believed, measured against full ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nas.calibrate.settings import add_flags
from nas.cli.command import Parser, run_command


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), _run, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="python -m nas.calibrate",
        description="Trains architectures both fully and by each short recipe, and prints how well every score ranks "
        "them. Stop it at any moment: the same line goes on. 1 FLOP = 1 multiply-add of convolution and linear layers.",
    )
    add_flags(parser)
    return parser


def _run(flags: argparse.Namespace) -> int:
    from nas.calibrate.run import run  # here, for what it needs takes seconds to import

    return run(flags)


if __name__ == "__main__":
    sys.exit(main())
