"""`python -m nas.finalists --study NAME`: trains a study's finalists by other seeds, times them, ranks them anew."""

from __future__ import annotations

import sys

from nas.cli.command import Command
from nas.finalists.flags import add_flags

COMMAND = Command(
    "nas.finalists",
    "Trains a study's front, what may be on it and its references by other seeds, times them again "
    "together, and prints the front of that. Stop it at any moment: the same line goes on. "
    "1 FLOP = 1 multiply-add of convolution and linear layers.",
    add_flags,
    "nas.finalists.run:run",
)
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
