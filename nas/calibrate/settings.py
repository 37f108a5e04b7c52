"""The settings of a calibration: flags in, one checked, frozen value out. Without torch."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nas.cli.command import Parser
from nas.cli.flags import (
    Number,
    add_classifier_flags,
    add_data_flags,
    add_epochs_flag,
    add_recipe_flags,
    add_seed_flag,
    add_space_flag,
    add_worker_flags,
    check_device,
    choices_of,
    data_of,
    seeds_from,
    with_epochs,
)
from nas.cli.storage import CALIBRATIONS, add_storage_flag, storage_named
from nas.workers.cores import workers_here
from nas.workers.setup import EvaluatorSetup
from proxies.data.names import FOLDER, folder_path
from proxies.data.source import DataSource
from proxies.training.recipes import PROXIES, RECIPES, Recipe
from search_space.bounds import NETWORKS, SEED_COUNTS
from search_space.budget import Budget
from search_space.errors import InputError
from search_space.space import SearchSpace
from search_space.task import Task

LEAST_ARCHITECTURES = 4


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """All that a calibration needs to know.

    `fully` says how many networks of each set are trained fully, by the set's name as in `nas.calibrate.sets.SETS`;
    so many of each set again as there are `extra` get the short trainings alone.
    """

    data: DataSource
    space: SearchSpace
    fully: Mapping[str, int] = field(hash=False)
    extra: int
    full: Recipe
    proxies: tuple[Recipe, ...]
    seeds: tuple[int, ...]
    device: str
    workers: int
    storage: str = field(repr=False)
    out: Path

    @property
    def setup(self) -> EvaluatorSetup:
        """What its evaluators need to know."""
        return EvaluatorSetup(
            data=self.data,
            recipe=self.full,
            device=self.device,
            workers=self.workers,
            seed=self.seeds[0],
            storage=self.storage,
            task=self.space.task,
        )


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.calibrate` to the parser."""
    add = parser.add_argument
    add_data_flags(parser)
    add("--budget", default="140mflops", help="architectures are spread over it")
    add_space_flag(parser)
    add_classifier_flags(parser, "the budget holds")
    fully = "how many are trained fully, spread over the budget"
    networks = Number(replace(NETWORKS, least=LEAST_ARCHITECTURES))
    add("--architectures", type=networks, default=24, help=fully)
    beside = "N beside them that all use the whole budget"
    add("--equal", type=Number(replace(NETWORKS, least=0)), default=0, metavar="N", help=beside)
    add("--at-equal-flops", action="store_true", help="let all use the whole budget, and none be spread over it")
    short = "how many get the short trainings, as many more of --equal (default: no more)"
    add("--records", type=networks, help=short)
    add_recipe_flags(parser, "full", "what the scores are held against")
    add_epochs_flag(parser)
    add("--proxies", default=",".join(PROXIES), help="the short trainings to try, joined by commas")
    add("--seeds", type=Number(SEED_COUNTS), default=2, help="full trainings of each architecture, one a seed")
    add_seed_flag(parser, "seed of the draws and the first one of the trainings")
    add_worker_flags(parser)
    add_storage_flag(parser, "that keeps trainings and calibrations", CALIBRATIONS)
    add("--out", type=Path, help="folder for what is written (default: runs/calibration-DATA)")


def settings_of(flags: argparse.Namespace) -> CalibrationSettings:
    """The settings that the flags amount to.

    Raises:
        InputError: any of them is not usable, found before anything is started or written.
    """
    data = data_of(flags)
    if flags.equal and flags.equal < LEAST_ARCHITECTURES:
        raise InputError(f"--equal must be 0 or at least {LEAST_ARCHITECTURES}, got {flags.equal}")
    check_device(flags.device)
    full = with_epochs(RECIPES[flags.recipe], flags.epochs)
    proxies = _proxies(flags.proxies, full)
    records = flags.architectures if flags.records is None else flags.records
    if records < flags.architectures:
        raise InputError(f"--records must be at least --architectures = {flags.architectures}, got {records}")
    if flags.at_equal_flops and flags.equal:
        raise InputError(f"--at-equal-flops has no other set beside it: leave out --equal {flags.equal}")
    fully = {"equal": flags.architectures} if flags.at_equal_flops else {"stratified": flags.architectures}
    fully |= {"equal": flags.equal} if flags.equal else {}
    return CalibrationSettings(
        data=data,
        space=_space(flags),
        fully=fully,
        extra=records - flags.architectures,
        full=full,
        proxies=proxies,
        seeds=seeds_from(flags.seed, flags.seeds),
        device=flags.device,
        workers=workers_here(flags.workers, flags.device),
        storage=storage_named(flags) or CALIBRATIONS,
        out=flags.out or Path("runs", f"calibration-{_label(flags.data)}"),
    )


def _space(flags: argparse.Namespace) -> SearchSpace:
    budget = Budget.parse(flags.budget)
    if budget.latency_ms is not None:
        raise InputError(f"a calibration measures no latency: give FLOPs or parameters, got --budget {flags.budget}")
    task = Task(flags.resolution, flags.classes)
    return SearchSpace(choices_of(flags, budget, task), budget, task)


def _label(data: str) -> str:
    """What the data's folder of results is called."""
    return folder_path(data).resolve().name if data.startswith(FOLDER) else data


def _proxies(text: str, full: Recipe) -> tuple[Recipe, ...]:
    names = [name.strip() for name in text.split(",")]
    if full.name in names:
        raise InputError(f"--proxies must not name what they are held against, --recipe {full.name}; got {text!r}")
    if len(set(names)) < len(names):
        raise InputError(f"--proxies must not repeat a recipe, got {text!r}")
    for name in names:
        if name not in RECIPES:
            raise InputError(f"--proxies must name recipes among {', '.join(RECIPES)}, got {name!r}")
    return tuple(RECIPES[name] for name in names)
