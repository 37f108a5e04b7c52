"""The settings of a calibration: flags in, one checked, frozen value out. Without torch."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nas.cli.command import Parser
from nas.cli.flags import DEVICES, WORKERS, check_device
from nas.cli.storage import CALIBRATIONS
from nas.workers.cores import default_workers
from proxies.data.names import EMBEDDED, FOLDER, check_images, folder_path
from proxies.training.recipes import PROXIES, RECIPES, Recipe
from search_space.budget import Budget
from search_space.choices import Choices
from search_space.errors import InputError
from search_space.space import SearchSpace
from search_space.task import Task

LEAST = {
    "architectures": 4,
    "seeds": 1,
    "seed": 0,
    "workers": 1,
    "resolution": 32,
    "classes": 2,
    "image_size": 8,
}
"""Flag -> the smallest number that it takes."""


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """All that a calibration needs to know.

    `fully` says how many networks of each set are trained fully, by the set's name as in `nas.calibrate.sets.SETS`;
    so many of each set again as there are `extra` get the short trainings alone.
    """

    data: str
    data_root: Path | None
    download: bool
    image_size: int | None
    space: SearchSpace
    fully: Mapping[str, int] = field(hash=False)
    extra: int
    full: Recipe
    proxies: tuple[Recipe, ...]
    seeds: tuple[int, ...]
    device: str
    workers: int
    storage: str
    out: Path


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.calibrate` to the parser."""
    add = parser.add_argument
    add("--data", default=EMBEDDED, help="fashion-mnist-12k, a torchvision set such as cifar10, or folder:PATH")
    add("--data-root", type=Path, help="where torchvision sets lie (default: the user's cache folder)")
    add("--download", action="store_true", help="download a torchvision set that is missing")
    add("--image-size", type=int, help="train on images of this many pixels (default: the data's own)")
    add("--budget", default="140mflops", help="architectures are spread over it")
    add("--space", type=Path, help="a TOML file with the choices (default: the space that ships)")
    add("--resolution", type=int, default=224, help="pixels at which the budget holds")
    add("--classes", type=int, default=1000, help="classes at which the budget holds")
    add("--architectures", type=int, default=24, help="how many are trained fully, spread over the budget")
    add("--equal", type=int, default=0, metavar="N", help="N beside them that all use the whole budget")
    add("--at-equal-flops", action="store_true", help="let all use the whole budget, and none be spread over it")
    add("--records", type=int, help="how many get the short trainings, as many more of --equal (default: no more)")
    add("--recipe", default="full", help=f"what the scores are held against: {', '.join(RECIPES)}")
    add("--epochs", type=int, help="shorten or lengthen that recipe")
    add("--proxies", default=",".join(PROXIES), help="the short trainings to try, joined by commas")
    add("--seeds", type=int, default=2, help="full trainings of each architecture, one a seed")
    add("--seed", type=int, default=0, help="seed of the draws and the first one of the trainings")
    add("--device", default="cpu", help=f"where networks are trained: {', '.join(DEVICES)}")
    add("--workers", type=int, help=f"processes that train, one thread each ({WORKERS})")
    add("--storage", default=CALIBRATIONS, help="database URL that keeps trainings and calibrations")
    add("--out", type=Path, help="folder for what is written (default: runs/calibration-DATA)")


def settings_of(flags: argparse.Namespace) -> CalibrationSettings:
    """The settings that the flags amount to.

    Raises:
        InputError: any of them is not usable, found before anything is started or written.
    """
    check_images(flags.data)
    for name, least in LEAST.items():
        value = getattr(flags, name)
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")
    if flags.equal and flags.equal < LEAST["architectures"]:
        raise InputError(f"--equal must be 0 or at least {LEAST['architectures']}, got {flags.equal}")
    check_device(flags.device)
    full = _full(flags.recipe, flags.epochs)
    proxies = _proxies(flags.proxies, full)
    records = flags.architectures if flags.records is None else flags.records
    if records < flags.architectures:
        raise InputError(f"--records must be at least --architectures = {flags.architectures}, got {records}")
    if flags.at_equal_flops and flags.equal:
        raise InputError(f"--at-equal-flops has no other set beside it: leave out --equal {flags.equal}")
    fully = {"equal": flags.architectures} if flags.at_equal_flops else {"stratified": flags.architectures}
    fully |= {"equal": flags.equal} if flags.equal else {}
    return CalibrationSettings(
        data=flags.data,
        data_root=flags.data_root,
        download=flags.download,
        image_size=flags.image_size,
        space=_space(flags),
        fully=fully,
        extra=records - flags.architectures,
        full=full,
        proxies=proxies,
        seeds=tuple(range(flags.seed, flags.seed + flags.seeds)),
        device=flags.device,
        workers=flags.workers or default_workers(flags.device),
        storage=flags.storage,
        out=flags.out or Path("runs", f"calibration-{_label(flags.data)}"),
    )


def _space(flags: argparse.Namespace) -> SearchSpace:
    budget = Budget.parse(flags.budget)
    if budget.latency_ms is not None:
        raise InputError(f"a calibration measures no latency: give FLOPs or parameters, got --budget {flags.budget}")
    choices = Choices.from_file(flags.space) if flags.space else Choices.default()
    return SearchSpace(choices, budget, Task(flags.resolution, flags.classes))


def _label(data: str) -> str:
    """What the data's folder of results is called."""
    return folder_path(data).resolve().name if data.startswith(FOLDER) else data


def _proxies(text: str, full: Recipe) -> tuple[Recipe, ...]:
    names = [name.strip() for name in text.split(",")]
    if full.name in names:
        raise InputError(f"--proxies must not name what they are held against, --recipe {full.name}; got {text!r}")
    if len(set(names)) < len(names):
        raise InputError(f"--proxies must not repeat a recipe, got {text!r}")
    return tuple(_recipe("--proxies", name) for name in names)


def _full(name: str, epochs: int | None) -> Recipe:
    recipe = _recipe("--recipe", name)
    if epochs is None:
        return recipe
    if epochs < 1:
        raise InputError(f"--epochs must be at least 1, got {epochs}")
    return replace(recipe, epochs=epochs)


def _recipe(flag: str, name: str) -> Recipe:
    if name not in RECIPES:
        raise InputError(f"{flag} must name recipes among {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]
