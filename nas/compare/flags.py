"""The flags of `nas.compare`. Without optuna, which takes a second to import."""

from __future__ import annotations

from pathlib import Path

from nas.cli.architectures import NETWORKS
from nas.cli.command import Parser
from nas.cli.flags import (
    Number,
    add_classifier_flags,
    add_data_flags,
    add_epochs_flag,
    add_recipe_flags,
    add_runtime_flag,
    add_seed_flag,
    add_worker_flags,
)
from nas.cli.storage import add_storage_flag
from nas.compare.networks import ALL, SETS
from search_space.bounds import SEED_COUNTS
from studies.front import PICKS

COMPARISONS = "sqlite:///runs/comparisons.db"
DEFAULT_SET = "40mflops"


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.compare` to the parser."""
    add = parser.add_argument
    add("networks", nargs="*", help=NETWORKS)
    add(
        "--set", help=f"{ALL} or some of {', '.join(SETS)}, joined by commas (default: {DEFAULT_SET}, if none is named)"
    )
    add("--study", help="the front of this study too, on its data, by its recipe, where nothing else is said")
    add("--pick", help=f"of that front only {', '.join(PICKS)}, or the beginning of a key")
    add("--budget", help="leave out what costs more, such as 150mflops")
    add_data_flags(parser, default=None)
    add_recipe_flags(parser, None, "how each is trained")
    add_epochs_flag(parser)
    add("--seeds", type=Number(SEED_COUNTS), default=1, help="trainings of each network, one a seed")
    add_seed_flag(parser, "the first of the seeds (default: 0)", default=None)
    add_classifier_flags(parser, "costs and latencies hold", has_defaults=False)
    add_worker_flags(parser, device=None, or_none=" (default: cpu)")
    add_runtime_flag(parser, default=None)
    add("--latency-device", help="where that is: cpu or cuda (default: cpu)")
    add_storage_flag(parser, "of the ledger", f"the study's, or {COMPARISONS}")
    add("--out", type=Path, default=Path("runs/compare"), help="folder for compare.json and compare.html")
