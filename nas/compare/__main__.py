"""`python -m nas.compare`: a study's front, the papers' networks and others, trained and timed alike.

One recipe, one data set, one device. What the ledger knows is not done again, so that the same line goes on.
"""

from __future__ import annotations

import sys

from nas.cli.command import Command
from nas.compare.flags import add_flags

COMMAND = Command(
    "nas.compare",
    "Trains and times networks alike and prints them beside each other and beside the papers' tables. "
    "Stop it at any moment: the same line goes on. 1 FLOP = 1 multiply-add of convolution and linear layers.",
    add_flags,
    "nas.compare.run:run",
)
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
