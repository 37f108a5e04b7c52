"""The flags of `nas.finalists`. Without optuna, which takes a second to import."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.cli.command import Parser
from nas.cli.flags import WORKERS, check_device
from proxies.training.recipes import RECIPES
from search_space.errors import InputError

LEAST = {"seeds": 1, "most": 1, "workers": 1}
"""Flag -> the smallest number that it takes."""
SEEDS, MOST = 3, 12
"""Trainings of each finalist, and how many finalists there are beside the references, where nobody says."""


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.finalists` to the parser."""
    add = parser.add_argument
    add("--study", help="the study's name (default: the only one in the storage)")
    add("--storage", help="database URL (default: the SQLite file of runs/STUDY, or the only one under runs)")
    add("--recipe", default="long", help=f"how finalists are trained: {', '.join(RECIPES)}")
    add("--seeds", type=int, default=SEEDS, help="trainings of each network; none has the study's own seed")
    add("--most", type=int, default=MOST, help="so many finalists beside the references; the front's are always in")
    add("--workers", type=int, help=f"processes that train, one thread each ({WORKERS})")
    add("--device", help="where networks are trained: cpu, cuda (default: as in the search)")
    add("--data-root", type=Path, help="where torchvision sets lie (default: the user's cache folder)")
    add("--download", action="store_true", help="download a torchvision set that is missing")


def check_flags(flags: argparse.Namespace) -> None:
    """Refuses flags that are not usable, whatever the study.

    Raises:
        InputError: any of the flags is not usable, whatever the study.
    """
    for name, least in LEAST.items():
        value = getattr(flags, name)
        if value is not None and value < least:
            raise InputError(f"--{name} must be at least {least}, got {value}")
    if flags.recipe not in RECIPES:
        raise InputError(f"--recipe must be one of {', '.join(RECIPES)}, got {flags.recipe!r}")
    if flags.device is not None:
        check_device(flags.device)
