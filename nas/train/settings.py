"""The settings of one architecture's training: flags in, one checked, frozen value out. Without torch."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nas.cli.architectures import ARCHITECTURES, named_architecture
from nas.cli.command import Parser
from nas.cli.flags import (
    DEVICES,
    Number,
    add_data_flags,
    add_epochs_flag,
    add_own_resolution_flag,
    add_recipe_flags,
    add_seed_flag,
    check_device,
    data_of,
    one_of,
)
from proxies.data.source import DataSource
from proxies.training.recipes import RECIPES, Recipe
from search_space.architecture import Architecture
from search_space.bounds import BATCHES, LEARNING_RATES, PROCESSES, Bounds
from search_space.errors import InputError
from search_space.files import file_name
from search_space.precision import FP32, INT8, PRECISIONS
from search_space.presets import PRESETS

CHECKPOINT = "checkpoint.pt"
OWNER, FILES = "nas.train", ("weights.safetensors", "architecture.json", "metrics.json")
"""Whose the files of a training are, and those that it leaves beside its checkpoint."""
LEAST_PER_PROCESS = 4
"""Images of a batch: half a batch is trained on as well, and batch norms need two images."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """All that a training needs to know; `rank`, `world` and `local_rank` are torchrun's, 0, 1 and 0 without it."""

    name: str
    architecture: Architecture
    data: DataSource
    recipe: Recipe
    weights_from: Path | None
    device: str
    precision: str
    seed: int
    resolution: int
    out: Path
    resume: bool
    rank: int
    world: int
    local_rank: int

    @property
    def in_int8(self) -> bool:
        """Whether the trained network is quantised, and its accuracy counted in 8 bits too."""
        return self.precision == INT8

    @property
    def checkpoint(self) -> Path:
        """The file of the last checkpoint."""
        return self.out / CHECKPOINT


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.train` to the parser."""
    add = parser.add_argument
    add("architecture", help=f"one of {ARCHITECTURES}; presets are {', '.join(PRESETS)}")
    add_data_flags(parser)
    add_recipe_flags(parser, "full", "how the network is trained")
    add_epochs_flag(parser)
    add("--batch-size", type=Number(BATCHES), help="instead of the recipe's; of all processes together")
    add("--learning-rate", type=Number(LEARNING_RATES), help="instead of the recipe's")
    add_own_resolution_flag(parser)
    add("--weights-from", type=Path, metavar="FILE", help="start from weights.safetensors, or torchvision's .pth")
    add("--device", type=one_of(DEVICES), default="cpu", help=f"where it is trained: {', '.join(DEVICES)}")
    in_what = f"what its accuracy is counted in, beside fp32 in any case: {', '.join(PRECISIONS)} (default: {FP32})"
    add("--precision", type=one_of(PRECISIONS), default=FP32, help=in_what)
    add_seed_flag(parser, "seed of the first weights and of all that training draws")
    add("--out", type=Path, help="folder for what is written (default: runs/train-NAME)")
    add("--resume", action="store_true", help="go on from the folder's checkpoint, if there is one")


def settings_of(flags: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> TrainSettings:
    """The settings that the flags, and torchrun's environment, amount to.

    Raises:
        InputError: any of them is not usable, found before anything is started or written.
    """
    name, architecture = named_architecture(flags.architecture)
    data = data_of(flags)
    rank, world, local_rank = _processes(environment)
    recipe = _recipe(flags, world).of(architecture, flags.resolution)
    if flags.weights_from is not None and not flags.weights_from.is_file():
        raise InputError(f"--weights-from must be a file, got {str(flags.weights_from)!r}")
    out = flags.out or Path("runs", file_name(f"train-{name}"))
    if (out / CHECKPOINT).exists() and not flags.resume:
        raise InputError(
            f"{str(out)!r} already holds a training's {CHECKPOINT}: go on with --resume, or name another --out"
        )
    check_device(flags.device)
    return TrainSettings(
        name=name,
        architecture=architecture,
        data=data,
        recipe=recipe,
        weights_from=flags.weights_from,
        device=flags.device,
        precision=flags.precision,
        seed=flags.seed,
        resolution=flags.resolution,
        out=out,
        resume=flags.resume,
        rank=rank,
        world=world,
        local_rank=local_rank,
    )


def _recipe(flags: argparse.Namespace, world: int) -> Recipe:
    changed = {name: getattr(flags, name) for name in ("epochs", "batch_size", "learning_rate")}
    recipe = replace(RECIPES[flags.recipe], **{name: value for name, value in changed.items() if value is not None})
    least = LEAST_PER_PROCESS * world
    if recipe.batch_size < least:
        text = f" for {world} processes" if world > 1 else ""
        raise InputError(f"--batch-size must be at least {least}{text}, got {recipe.batch_size}")
    return recipe


def _processes(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """This process's rank, how many there are, and its rank on this machine."""
    rule = "several processes are started by torchrun, which sets WORLD_SIZE, RANK and LOCAL_RANK"
    try:
        world = int(PROCESSES.read("WORLD_SIZE", environment.get("WORLD_SIZE", "1")))
        if world == 1:
            return 0, 1, 0
        others = Bounds(0, world - 1)
        rank, local_rank = (int(others.read(name, environment[name])) for name in ("RANK", "LOCAL_RANK"))
    except (KeyError, InputError) as error:
        raise InputError(f"{rule}; got {error}") from error
    return rank, world, local_rank
