"""`python -m nas.dashboard`: optuna-dashboard on a kept study, each trial with its card, drawings and ONNX file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from nas.cli.command import Parser, run_command
from nas.cli.flags import add_study_flags


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), _run, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="python -m nas.dashboard", description="Starts optuna-dashboard on a kept study.")
    add = parser.add_argument
    add_study_flags(parser)
    add("--host", default="127.0.0.1", help="the address to listen on")
    add("--port", type=int, default=8080, help="the port to listen on; 0 takes a free one")
    return parser


def _run(flags: argparse.Namespace) -> int:
    from nas.dashboard.run import serve  # here, for what it needs takes seconds to import

    return serve(flags)


if __name__ == "__main__":
    sys.exit(main())
