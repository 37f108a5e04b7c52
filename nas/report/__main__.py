"""`python -m nas.report`: the report of a kept study as one page, from the storage alone."""

from __future__ import annotations

import sys
from pathlib import Path

from nas.cli.command import Command, Parser
from nas.cli.flags import add_study_flags


def add_flags(parser: Parser) -> None:
    """Adds the command's flags."""
    add = parser.add_argument
    add_study_flags(parser)
    add("--out", type=Path, help="the page, or a folder for report.html (default: runs/STUDY/report.html)")
    add("--table", type=Path, metavar="FILE", help="of a study by --scorer table:FILE, that file")


COMMAND = Command(
    "nas.report", "Writes the report of a kept study: one page, offline.", add_flags, "nas.report.run:report"
)
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
