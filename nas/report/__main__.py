"""`python -m nas.report`: the report of a kept study as one page, from the storage alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nas.cli.command import Parser, run_command
from nas.cli.flags import add_study_flags


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), _run, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="python -m nas.report", description="Writes the report of a kept study: one page, offline.")
    add = parser.add_argument
    add_study_flags(parser)
    add("--out", type=Path, help="the page (default: runs/STUDY/report.html)")
    add("--table", type=Path, metavar="FILE", help="of a study by --scorer table:FILE, that file")
    return parser


def _run(flags: argparse.Namespace) -> int:
    from nas.report.run import report  # here, for what it needs takes seconds to import

    return report(flags)


if __name__ == "__main__":
    sys.exit(main())
