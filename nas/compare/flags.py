"""The flags of `nas.compare`. Without optuna, which takes a second to import."""

from __future__ import annotations

from pathlib import Path

from nas.cli.command import Parser
from nas.cli.flags import DEFAULT_RUNTIME, DEVICES, WORKERS
from nas.compare.networks import ALL, SETS
from proxies.data.names import EMBEDDED
from proxies.latency.runtimes import RUNTIMES
from proxies.training.recipes import RECIPES
from studies.front import PICKS

COMPARISONS = "sqlite:///runs/comparisons.db"
DEFAULT_SET = "40mflops"


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.compare` to the parser."""
    add = parser.add_argument
    add("networks", nargs="*", help="presets, also changed (v2-1.0x+residual), references, units@FLOPs, JSON files")
    add(
        "--set", help=f"{ALL} or some of {', '.join(SETS)}, joined by commas (default: {DEFAULT_SET}, if none is named)"
    )
    add("--study", help="the front of this study too, on its data, by its recipe, where nothing else is said")
    add("--pick", help=f"of that front only {', '.join(PICKS)}, or the beginning of a key")
    add("--budget", help="leave out what costs more, such as 150mflops")
    add("--data", help=f"{EMBEDDED}, a torchvision set such as cifar10, or folder:PATH (default: {EMBEDDED})")
    add("--data-root", type=Path, help="where torchvision sets lie (default: the user's cache folder)")
    add("--download", action="store_true", help="download a torchvision set that is missing")
    add("--image-size", type=int, help="train on images of this many pixels (default: the data's own)")
    add("--recipe", help=f"how each is trained: {', '.join(RECIPES)} (default: short)")
    add("--epochs", type=int, help="shorten or lengthen that recipe")
    add("--seeds", type=int, default=1, help="trainings of each network, one a seed")
    add("--seed", type=int, help="the first of the seeds (default: 0)")
    add("--resolution", type=int, help="pixels at which costs and latencies hold (default: 224)")
    add("--classes", type=int, help="classes at which they hold (default: 1000)")
    add("--device", help=f"where networks are trained: {', '.join(DEVICES)} (default: cpu)")
    add("--runtime", help=f"where latency is measured: {', '.join(RUNTIMES)} (default: {DEFAULT_RUNTIME})")
    add("--latency-device", help="where that is: cpu or cuda (default: cpu)")
    add("--workers", type=int, help=f"processes that train, one thread each ({WORKERS})")
    add("--storage", help=f"database URL of the ledger (default: the study's, or {COMPARISONS})")
    add("--out", type=Path, default=Path("runs/compare"), help="folder for compare.json and compare.html")
