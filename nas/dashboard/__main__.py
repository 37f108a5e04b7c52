"""`python -m nas.dashboard`: optuna-dashboard on a kept study, each trial with its card, drawings and ONNX file."""

from __future__ import annotations

import sys

from nas.cli.command import Command, Parser
from nas.cli.flags import Number, add_study_flags
from search_space.bounds import PORTS


def add_flags(parser: Parser) -> None:
    """Adds the command's flags."""
    add = parser.add_argument
    add_study_flags(parser)
    add("--host", default="127.0.0.1", help="the address to listen on")
    add("--port", type=Number(PORTS), default=8080, help="the port to listen on; 0 takes a free one")


COMMAND = Command("nas.dashboard", "Starts optuna-dashboard on a kept study.", add_flags, "nas.dashboard.run:serve")
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
