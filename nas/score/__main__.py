"""`python -m nas.score NETWORK ...`: what a search would take each network's accuracy to be, and what that rests on."""

from __future__ import annotations

import sys
from pathlib import Path

from nas.cli.architectures import ARCHITECTURES
from nas.cli.command import Command, Parser
from nas.cli.flags import add_data_flags, add_own_resolution_flag, add_recipe_flags, add_seed_flag, add_worker_flags
from nas.cli.storage import CALIBRATIONS, add_storage_flag


def add_flags(parser: Parser) -> None:
    """Adds the command's flags."""
    add = parser.add_argument
    add("networks", nargs="+", metavar="NETWORK", help=ARCHITECTURES)
    add_data_flags(parser)
    add_recipe_flags(parser, "short", "how they are trained")
    add_own_resolution_flag(parser)
    add_seed_flag(parser, "seed of the trainings")
    add_worker_flags(parser)
    add_storage_flag(parser, "that keeps trainings, and may hold calibrations", CALIBRATIONS)
    add("--json", type=Path, metavar="OUT", help="write the scores to this file as JSON too")


COMMAND = Command(
    "nas.score",
    "Trains networks as a search does and prints their scores: the accuracy that a search would take "
    "each to have, beside the prior, which needs no training, and the short training's own accuracy. Stop it at "
    "any moment: the same line goes on, and what is known is not trained again.",
    add_flags,
    "nas.score.run:run",
)
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
