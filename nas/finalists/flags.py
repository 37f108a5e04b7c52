"""The flags of `nas.finalists`. Without optuna, which takes a second to import."""

from __future__ import annotations

from nas.cli.command import Parser
from nas.cli.flags import (
    Number,
    add_data_place_flags,
    add_recipe_flags,
    add_study_flags,
    add_worker_flags,
)
from search_space.bounds import NETWORKS, SEED_COUNTS

SEEDS, MOST = 3, 12
"""Trainings of each finalist, and how many finalists there are beside the references, where nobody says."""


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.finalists` to the parser."""
    add = parser.add_argument
    add_study_flags(parser)
    add_recipe_flags(parser, "long", "how finalists are trained")
    trainings = "trainings of each network; none has the study's own seed"
    add("--seeds", type=Number(SEED_COUNTS), default=SEEDS, help=trainings)
    most = "so many finalists beside the references; the front's are always in"
    add("--most", type=Number(NETWORKS), default=MOST, help=most)
    add_worker_flags(parser, device=None, or_none=" (default: as in the search)")
    add("--data", help="where the search's images lie here, such as folder:PATH (default: where they lay then)")
    add_data_place_flags(parser)
