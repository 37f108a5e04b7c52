"""`python -m nas.calibrate --data ...`: how far short trainings may be believed, measured against full ones."""

from __future__ import annotations

import sys

from nas.calibrate.settings import add_flags
from nas.cli.command import Command

COMMAND = Command(
    "nas.calibrate",
    "Trains architectures both fully and by each short recipe, and prints how well every score ranks "
    "them. Stop it at any moment: the same line goes on. 1 FLOP = 1 multiply-add of convolution and linear layers.",
    add_flags,
    "nas.calibrate.run:run",
)
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
