"""Flags that several commands share, in groups: each adds its flags to a parser, and makes one value of them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from nas.cli.command import Parser
from nas.cli.storage import RUNS, add_storage_flag
from proxies.data.names import CACHE_VARIABLE, EMBEDDED, check_images
from proxies.data.source import DataSource
from proxies.latency.runtimes import RUNTIMES
from proxies.latency.setup import DEFAULT_RUNTIME
from proxies.training.recipes import RECIPES, Recipe
from search_space.bounds import (
    CLASSES,
    EPOCHS,
    IMAGE_SIZES,
    PROCESSES,
    RESOLUTIONS,
    SECONDS,
    SEEDS,
    Bounds,
)
from search_space.budget import Budget
from search_space.choices import Choices
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER
from search_space.precision import FP32, PRECISIONS, precision_named
from search_space.reading import shown
from search_space.shipped_spaces import SHIPPED_SPACES, ShippedSpace, narrowed_to, shipped_for
from search_space.task import CLASSIFICATION, TASKS, Task

DEVICES = ("cpu", "cuda")
WORKERS = "default: one a core, but for one from four cores on, where latencies are measured; two on a GPU"


# What a flag takes


@dataclass(frozen=True, slots=True)
class Number:
    """A flag's type: a number within bounds, or one of a few `words` in its place."""

    bounds: Bounds
    words: tuple[str, ...] = ()

    def __call__(self, text: str) -> float | str:
        """The number, or the word, that a command line gives."""
        if text in self.words:
            return text
        try:
            return self.bounds.read("", text)
        except InputError as error:
            of_words = f", or {', '.join(self.words)}" if self.words else ""
            raise argparse.ArgumentTypeError(f"{str(error).strip()}{of_words}") from error


def between(least: int, most: int) -> Number:
    """A flag's type: a whole number from `least` to `most`."""
    return Number(Bounds(least, most))


def one_of(names: Iterable[str]) -> Callable[[str], str]:
    """A flag's type: one of these names, in capitals or not."""
    known = {each.lower(): each for each in names}

    def name(text: str) -> str:
        if text.lower() not in known:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(known.values())}, got {text!r}")
        return known[text.lower()]

    return name


def duration(text: str) -> float:
    """A flag's type: the seconds that "90s", "10m" or "2h" stand for."""
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})([smh])", text.strip().lower(), re.ASCII)
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if seconds < SECONDS.least:
        raise argparse.ArgumentTypeError(f"must be a number above 0 with s, m or h, such as 10m; got {shown(text)}")
    if seconds > SECONDS.most:
        raise argparse.ArgumentTypeError(f"must be at most {SECONDS.most / 3600:.0f}h, got {shown(text)}")
    return seconds


def add_seed_flag(parser: Parser, of_what: str, default: int | None = 0) -> None:
    """Adds --seed."""
    parser.add_argument("--seed", type=Number(SEEDS), default=default, help=of_what)


def seeds_from(first: int, count: int) -> tuple[int, ...]:
    """So many seeds, counted on from the first.

    Raises:
        InputError: the last one is no seed any more.
    """
    SEEDS.check("the last of --seeds, counted on from --seed,", first + count - 1)
    return tuple(range(first, first + count))


# Images and trainings


def add_data_flags(parser: Parser, default: str | None = EMBEDDED) -> None:
    """Adds --data, --data-root, --download and --image-size."""
    add = parser.add_argument
    or_none = "" if default else f" (default: {EMBEDDED})"
    add("--data", default=default, help=f"{EMBEDDED}, a torchvision set such as cifar10, or folder:PATH{or_none}")
    add_data_place_flags(parser)
    help_ = "train on images of this many pixels (default: the data's own)"
    add("--image-size", type=Number(IMAGE_SIZES), help=help_)


def add_data_place_flags(parser: Parser) -> None:
    """Adds --cache, --data-root and --download, which say where data lie that are known already."""
    add = parser.add_argument
    add("--cache", type=Path, help=f"where decoded images are kept (default: {CACHE_VARIABLE}, or the user's cache)")
    add("--data-root", type=Path, help="where torchvision sets lie (default: as --cache)")
    add("--download", action="store_true", help="download a torchvision set that is missing")
    add_skip_flag(parser)


def add_skip_flag(parser: Parser) -> None:
    """Adds --skip-unreadable."""
    parser.add_argument("--skip-unreadable", action="store_true", help="go on without a folder's unreadable images")


def data_of(flags: argparse.Namespace) -> DataSource:
    """The images that the flags mean.

    Raises:
        InputError: there are none of that name.
    """
    check_images(flags.data)
    return data_at(flags, flags.data, flags.image_size)


def data_at(flags: argparse.Namespace, name: str, image_size: int | None = None) -> DataSource:
    """The images of that name, where the flags of `add_data_place_flags` say."""
    return DataSource(name, flags.data_root, image_size, flags.download, flags.skip_unreadable, flags.cache)


def add_recipe_flags(parser: Parser, default: str | None, how: str = "how networks are trained") -> None:
    """Adds --recipe; `how` says what is trained by it."""
    or_none = "" if default else " (default: short)"
    parser.add_argument("--recipe", type=one_of(RECIPES), default=default, help=f"{how}: {', '.join(RECIPES)}{or_none}")


def add_epochs_flag(parser: Parser) -> None:
    """Adds --epochs, which changes the recipe."""
    parser.add_argument("--epochs", type=Number(EPOCHS), help="shorten or lengthen that recipe")


def with_epochs(recipe: Recipe, epochs: int | None) -> Recipe:
    """The recipe by so many epochs; None leaves it as it is."""
    return recipe if epochs is None else replace(recipe, epochs=epochs)


def add_worker_flags(parser: Parser, do: str = "train", device: str | None = "cpu", *, or_none: str = "") -> None:
    """Adds --device and --workers; `or_none` says what the device is where the flag has no default."""
    add = parser.add_argument
    add("--device", type=one_of(DEVICES), default=device, help=f"where networks are trained: cpu, cuda{or_none}")
    add("--workers", type=Number(PROCESSES), help=f"processes that {do}, one thread each ({WORKERS})")


def check_device(device: str) -> None:
    """Refuses a device that is not there.

    Raises:
        InputError: no device to train on, or a GPU that is not there.
    """
    if device not in DEVICES:
        raise InputError(f"--device must be one of {', '.join(DEVICES)}, got {device!r}")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("--device cuda needs a GPU that torch sees, and it sees none here: use --device cpu")


# What networks are for


def add_task_flags(parser: Parser, holds: str, resolutions: Bounds = RESOLUTIONS, classes: Bounds = CLASSES) -> None:
    """Adds --task, --resolution and --classes, which say at what that `holds` is."""
    sizes = ", ".join(f"{task.resolution} for {name}" for name, task in TASKS.items())
    usual = TASKS[CLASSIFICATION].num_classes
    add = parser.add_argument
    add("--task", type=one_of(TASKS), default=CLASSIFICATION, help=f"what networks are for: {', '.join(TASKS)}")
    pixels = f"pixels of the square image at which {holds} (default: {sizes})"
    add("--resolution", type=Number(resolutions), help=pixels)
    of_task = f"classes at which {holds} (default: {usual}; a backbone has none)"
    add("--classes", type=Number(classes), help=of_task)


def add_own_resolution_flag(parser: Parser) -> None:
    """Adds --resolution, of commands that train networks which may have a resolution of their own."""
    usual = TASKS[CLASSIFICATION].resolution
    parser.add_argument(
        "--resolution",
        type=Number(RESOLUTIONS),
        default=usual,
        help="pixels for which the images stand: a network of its own resolution is trained on images as much smaller "
        f"as that is (default: {usual})",
    )


def task_of(flags: argparse.Namespace) -> Task:
    """The task that the flags mean; what they leave open is as in `TASKS`.

    Raises:
        InputError: it has no classes and some were given.
    """
    usual = TASKS[flags.task]
    if usual.num_classes == NO_CLASSIFIER and flags.classes is not None:
        raise InputError(
            f"--task {flags.task} has no classifier and so no classes; got {flags.classes}: leave --classes out"
        )
    return Task(flags.resolution or usual.resolution, flags.classes or usual.num_classes)


def add_classifier_flags(parser: Parser, holds: str, *, has_defaults: bool = True) -> None:
    """Adds --resolution and --classes, of commands that know classifiers alone."""
    usual = TASKS[CLASSIFICATION]
    for flag, bounds, default in (
        ("--resolution", RESOLUTIONS, usual.resolution),
        ("--classes", CLASSES, usual.num_classes),
    ):
        what = f"{'pixels' if flag == '--resolution' else 'classes'} at which {holds}"
        if has_defaults:
            parser.add_argument(flag, type=Number(bounds), default=default, help=what)
        else:
            parser.add_argument(flag, type=Number(bounds), help=f"{what} (default: {default})")


def add_space_flag(parser: Parser) -> None:
    """Adds --space."""
    shipped = " or ".join(SHIPPED_SPACES)
    help_ = f"a TOML file with the choices, or {shipped}, which ship (default: by the budget)"
    parser.add_argument("--space", type=Path, help=help_)


def shipped_space_of(flags: argparse.Namespace, budget: Budget, task: Task) -> ShippedSpace | None:
    """The space that ships which the flags mean for such a budget; None where they name a file."""
    if flags.space is None:
        return shipped_for(budget, task)
    name = str(flags.space)
    return narrowed_to(name, budget, task) if name in SHIPPED_SPACES else None


def choices_of(flags: argparse.Namespace, budget: Budget, task: Task) -> Choices:
    """The choices that the flags mean for such a budget.

    Raises:
        InputError: the file cannot be read, or holds no choices.
    """
    shipped = shipped_space_of(flags, budget, task)
    return Choices.from_file(flags.space) if shipped is None else shipped.choices


# Latencies


def add_runtime_flags(parser: Parser, default: str | None = DEFAULT_RUNTIME) -> None:
    """Adds --runtime and --precision, and --device, on which it runs."""
    add_runtime_flag(parser, default)
    parser.add_argument("--device", type=one_of(DEVICES), default="cpu", help=f"where it runs: {', '.join(DEVICES)}")


def add_runtime_flag(parser: Parser, default: str | None = DEFAULT_RUNTIME) -> None:
    """Adds --runtime and --precision."""
    or_none = "" if default else f" (default: {DEFAULT_RUNTIME})"
    parser.add_argument("--runtime", default=default, help=f"what runs the networks: {', '.join(RUNTIMES)}{or_none}")
    add_precision_flag(parser)


def add_precision_flag(parser: Parser) -> None:
    """Adds --precision, which is None where it is not given."""
    what = f"what they are computed in: {', '.join(PRECISIONS)} (default: {FP32})"
    parser.add_argument("--precision", type=one_of(PRECISIONS), help=what)


def precision_of(flags: argparse.Namespace, runtime: str | None = None) -> str:
    """The precision that the flags mean, of networks in this runtime (None: the flags' own).

    Raises:
        InputError: it is asked for, and the runtime rounds to another by itself.
    """
    row = RUNTIMES.get(runtime or flags.runtime)
    if flags.precision == FP32 and row and row.precision != "float32":
        own = precision_named(row.precision)
        raise InputError(
            f"the runtime {runtime or flags.runtime} computes in {own}; got --precision fp32: leave it out"
        )
    return str(flags.precision or FP32)


# Studies


def add_study_flags(parser: Parser) -> None:
    """Adds --study and --storage, which say where a study is kept; see `nas.cli.storage.storage_of`."""
    add = parser.add_argument
    add("--study", help="the study's name (default: the only one in the storage)")
    add_storage_flag(parser, "of the study", RUNS)
