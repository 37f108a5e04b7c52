"""What a run is told: flags in, one checked, frozen value out. Without torch."""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.command import Parser
from proxies.data_names import EMBEDDED, FOLDER, check_name, folder_path
from proxies.image_folder import class_files
from proxies.recipes import RECIPES, Recipe
from proxies.runtimes import RUNTIMES, check_runtime
from search_space.budget import Budget
from search_space.choices import Choices
from search_space.errors import InputError
from studies.samplers import DEFAULT_SAMPLER, SAMPLERS, check_sampler

DEVICES = ("cpu", "cuda")
DEFAULT_TIME = "9m"
DEFAULT_RUNTIME = "onnxruntime"
ANCHOR = "v2-1.0x"
"""The network timed beside every other: latencies are scaled by it, so that a busy machine cancels out."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run needs to know; those of `identity` must be the same when a study is resumed."""

    budget: Budget
    choices: Choices
    data: str
    data_root: Path | None
    download: bool
    image_size: int | None
    recipe: Recipe
    resolution: int
    classes: int
    device: str
    runtime: str
    sampler: str
    seed: int
    workers: int
    trials: int | None
    seconds: float
    study: str
    storage: str
    out: Path
    resume: bool

    @property
    def latency_device(self) -> str:
        """Where latency is measured: on the training device where the runtime runs there, else on the CPU."""
        return self.device if self.device in RUNTIMES[self.runtime].devices else "cpu"

    def identity(self) -> dict[str, Any]:
        """What decides what a study's numbers mean, as plain JSON."""
        return {
            "budget": str(self.budget),
            "space": self.choices.to_dict(),
            "data": self.data,
            "image_size": self.image_size,
            "recipe": self.recipe.to_dict(),
            "resolution": self.resolution,
            "classes": self.classes,
            "device": self.device,
            "runtime": self.runtime,
            "sampler": self.sampler,
            "seed": self.seed,
        }


def add_flags(parser: Parser) -> None:
    """Nothing: adds the flags of `nas.run` to the parser."""
    add = parser.add_argument
    add("--budget", required=True, help="upper bounds, such as 140mflops, 2.3mparams, 5ms, joined by commas")
    add("--trials", type=int, help="stop when the study holds this many evaluated architectures")
    add("--time", default=DEFAULT_TIME, help="start no trial that would end later than this: 90s, 10m, 2h")
    add("--data", default=EMBEDDED, help="fashion-mnist-12k, a torchvision set such as cifar10, or folder:PATH")
    add("--data-root", type=Path, help="where torchvision sets lie (default: the user's cache folder)")
    add("--download", action="store_true", help="download a torchvision set that is missing")
    add("--image-size", type=int, help="train on images of this many pixels (default: the data's own)")
    add("--resolution", type=int, default=224, help="pixels at which budget and latency hold")
    add("--classes", type=int, default=1000, help="classes at which budget and latency hold")
    add("--device", default="cpu", help=f"where networks are trained: {', '.join(DEVICES)}")
    add("--runtime", default=DEFAULT_RUNTIME, help=f"where latency is measured: {', '.join(RUNTIMES)}")
    add("--space", type=Path, help="a TOML file with the choices (default: the space that ships)")
    add("--sampler", default=DEFAULT_SAMPLER, help=f"one of {', '.join(SAMPLERS)}")
    add("--seed", type=int, default=0, help="seed of the search and of every training")
    add("--workers", type=int, default=default_workers(), help="processes that evaluate, one thread each")
    add("--recipe", default="short", help=f"how candidates are trained: {', '.join(RECIPES)}")
    add("--storage", help="database URL of the study (default: an SQLite file in the output folder)")
    add("--study", help="the study's name (default: made of budget and data)")
    add("--out", type=Path, help="folder for what is written (default: runs/STUDY)")
    add("--resume", action="store_true", help="go on with a study that was stopped or killed")


def settings_of(flags: argparse.Namespace) -> Settings:
    """The settings that the flags amount to.

    Raises:
        InputError: any of them is not usable, found before anything is started or written.
    """
    budget = Budget.parse(flags.budget)
    check_name(flags.data)
    if flags.data.startswith(FOLDER):
        class_files(folder_path(flags.data))
    check_sampler(flags.sampler)
    _check_device(flags.device, flags.runtime)
    numbers = {"trials": 1, "resolution": 32, "classes": 2, "workers": 1, "seed": 0, "image_size": 8}
    for name, least in numbers.items():
        value = getattr(flags, name)
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")
    if flags.recipe not in RECIPES:
        raise InputError(f"--recipe must be one of {', '.join(RECIPES)}, got {flags.recipe!r}")
    study = flags.study if flags.study is not None else _study_name(budget, flags.data)
    if not re.fullmatch(r"\w[\w.+,-]*", study):
        raise InputError(f"--study must begin with a letter or digit and hold only those and . , + - _; got {study!r}")
    out = flags.out or Path("runs") / study
    return Settings(
        budget=budget,
        choices=Choices.from_file(flags.space) if flags.space else Choices.default(),
        data=flags.data,
        data_root=flags.data_root,
        download=flags.download,
        image_size=flags.image_size,
        recipe=RECIPES[flags.recipe],
        resolution=flags.resolution,
        classes=flags.classes,
        device=flags.device,
        runtime=flags.runtime,
        sampler=flags.sampler,
        seed=flags.seed,
        workers=flags.workers,
        trials=flags.trials,
        seconds=parse_time(flags.time),
        study=study,
        storage=flags.storage or f"sqlite:///{out / 'study.db'}",
        out=out,
        resume=flags.resume,
    )


def parse_time(text: str) -> float:
    """The seconds that "90s", "10m" or "2h" stand for.

    Raises:
        InputError: not such a time.
    """
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)([smh])", text.strip().lower())
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not seconds > 0 or math.isinf(seconds):
        raise InputError(f"--time must be a number above 0 with s, m or h, such as 10m; got {text!r}")
    return seconds


def default_workers() -> int:
    """Two where there are two cores: more would disturb each other's latency measurements."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(2, cores)


def _study_name(budget: Budget, data: str) -> str:
    # A folder's path may be long and holds slashes; its hash tells two folders of one name apart.
    path = Path(data.partition(":")[2])
    label = f"{path.name}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:6]}" if ":" in data else data
    return re.sub(r"[^\w.+,-]", "_", f"{budget}-{label}")


def _check_device(device: str, runtime: str) -> None:
    if device not in DEVICES:
        raise InputError(f"--device must be one of {', '.join(DEVICES)}, got {device!r}")
    check_runtime(runtime, "cpu")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("--device cuda needs a GPU that torch sees, and it sees none here: use --device cpu")
