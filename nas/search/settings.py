"""The settings of a run: flags in, one checked, frozen value out. Without torch."""

from __future__ import annotations

import argparse
import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.cli.command import Parser, parse_time
from nas.cli.flags import DEFAULT_RUNTIME, DEVICES, WORKERS, add_task_flags, check_device, task_of
from nas.workers.cores import default_workers
from nas.workers.engines import ENGINES, check_engine
from proxies.data.names import EMBEDDED, check_images
from proxies.latency.runtimes import RUNTIMES, check_runtime
from proxies.training.recipes import RECIPES, Recipe
from search_space.budget import Budget
from search_space.choices import Choices
from search_space.errors import InputError
from search_space.task import CLASSIFICATION, Task
from studies.sampling.sampler_names import DEFAULT_SAMPLER, SAMPLER_NAMES, check_sampler

TRAINING, TABLE = "training", "table"
"""What scores candidates: a training of each, or a table of finished ones."""
DEFAULT_TIME = "9m"
GPU_THROUGHPUT_BATCH = 64
LEAST = {"trials": 1, "workers": 1, "seed": 0, "image_size": 8, "throughput_batch": 0}
"""Flag -> the smallest number that it takes."""
ONNX = ".onnx"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run needs to know; those of `identity` must be the same when a study is resumed.

    `resolution` and `classes` are those of the task; a backbone has no classes.
    """

    scorer: str
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
    latency_device: str
    latency_from: str | None
    latency_timeout_seconds: float
    throughput_batch: int
    sampler: str
    seed: int
    workers: int
    engine: str
    finalists: bool
    trials: int | None
    seconds: float
    study: str
    storage: str
    out: Path
    resume: bool

    @property
    def task(self) -> Task:
        """What the networks are for."""
        return Task(self.resolution, self.classes)

    @property
    def table(self) -> Path | None:
        """The table of finished trainings to search over; None where networks are trained."""
        kind, _, path = self.scorer.partition(":")
        return Path(path) if kind == TABLE else None

    @property
    def study_flags(self) -> list[str]:
        """The flags by which other commands find the study; a password in the URL is left out."""
        from sqlalchemy.engine import make_url  # here, that --help need not wait for it

        storage = make_url(self.storage).render_as_string(hide_password=True)
        where = [] if storage == f"sqlite:///runs/{self.study}/study.db" else ["--storage", storage]
        return ["--study", self.study, *where]

    def identity(self) -> dict[str, Any]:
        """What decides what a study's numbers mean, as plain JSON."""
        # Studies from before there were tasks say nothing of theirs, and go on.
        task = {} if self.task.name == CLASSIFICATION else {"task": self.task.name}
        return {
            **task,
            "budget": str(self.budget),
            "space": self.choices.to_dict(),
            "data": self.data,
            "image_size": self.image_size,
            "recipe": self.recipe.to_dict(),
            "resolution": self.resolution,
            "classes": self.classes,
            "device": self.device,
            "runtime": self.runtime,
            "latency_device": self.latency_device,
            "latency_from": self.latency_from,
            "throughput_batch": self.throughput_batch,
            "sampler": self.sampler,
            "seed": self.seed,
        }


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.run` to the parser."""
    add = parser.add_argument
    add("--budget", help="upper bounds, such as 140mflops, 2.3mparams, 5ms, joined by commas")
    add("--latency-budget", help="upper bound on latency, such as 5ms: the same as in --budget")
    add("--trials", type=int, help="stop when the study holds this many different networks")
    add("--time", default=DEFAULT_TIME, help="how long the whole run takes: 90s, 10m, 2h")
    add("--data", default=EMBEDDED, help="fashion-mnist-12k, a torchvision set such as cifar10, or folder:PATH")
    add("--data-root", type=Path, help="where torchvision sets lie (default: the user's cache folder)")
    add("--download", action="store_true", help="download a torchvision set that is missing")
    add("--image-size", type=int, help="train on images of this many pixels (default: the data's own)")
    add_task_flags(parser, "budget and latency hold")
    add("--device", default="cpu", help=f"where networks are trained: {', '.join(DEVICES)}")
    add("--runtime", default=DEFAULT_RUNTIME, help=f"where latency is measured: {', '.join(RUNTIMES)}")
    add("--latency-device", help="where that is: cpu or cuda (default: as --device, if the runtime runs there)")
    add("--latency-from", metavar="NAME", help="measure on the device whose `nas.latency agent` has this name")
    add("--latency-timeout", default="10m", help="how long to wait for that device, for one network")
    add("--throughput-batch", type=int, help="measure images a second at this batch too (default: 64 on a GPU, else 0)")
    add("--space", type=Path, help="a TOML file with the choices (default: the space that ships)")
    add("--sampler", default=DEFAULT_SAMPLER, help=f"one of {', '.join(SAMPLER_NAMES)}")
    add("--seed", type=int, default=0, help="seed of the search and of every training")
    add("--workers", type=int, help=f"processes that evaluate, one thread each ({WORKERS})")
    add("--scorer", default=TRAINING, help="training, or table:FILE to search over finished trainings in seconds")
    add("--engine", default="local", help=f"what runs them: {', '.join(ENGINES)}")
    add("--no-finalists", dest="finalists", action="store_false", help="do not train the best for longer in the end")
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
    _check_scorer(flags.scorer)
    budget = _budget_of(flags.budget, flags.latency_budget, is_needed=flags.scorer == TRAINING)
    check_images(flags.data)
    check_sampler(flags.sampler)
    check_engine(flags.engine)
    if flags.engine == "local":  # else the coordinating machine need not have the GPU
        check_device(flags.device)
    latency_device = _latency_device(flags)
    _check_remote(flags.latency_from, flags.runtime)
    _check_numbers(flags)
    task = task_of(flags)
    if flags.recipe not in RECIPES:
        raise InputError(f"--recipe must be one of {', '.join(RECIPES)}, got {flags.recipe!r}")
    study = _study_of(flags, budget, task)
    out = flags.out or Path("runs") / study
    return Settings(
        scorer=flags.scorer,
        budget=budget,
        choices=task.offered(Choices.from_file(flags.space) if flags.space else Choices.default()),
        data=flags.data,
        data_root=flags.data_root,
        download=flags.download,
        image_size=flags.image_size,
        recipe=RECIPES[flags.recipe],
        resolution=task.resolution,
        classes=task.num_classes,
        device=flags.device,
        runtime=flags.runtime,
        latency_device=latency_device,
        latency_from=flags.latency_from,
        latency_timeout_seconds=parse_time("--latency-timeout", flags.latency_timeout),
        throughput_batch=_throughput_batch(flags.throughput_batch, latency_device),
        sampler=flags.sampler,
        seed=flags.seed,
        workers=flags.workers or default_workers(flags.device),
        engine=flags.engine,
        finalists=flags.finalists,
        trials=flags.trials,
        seconds=parse_time("--time", flags.time),
        study=study,
        storage=flags.storage or f"sqlite:///{out / 'study.db'}",
        out=out,
        resume=flags.resume,
    )


def _check_numbers(flags: argparse.Namespace) -> None:
    for name, least in LEAST.items():
        value = getattr(flags, name)
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")


def _study_of(flags: argparse.Namespace, budget: Budget, task: Task) -> str:
    searched = flags.data if flags.scorer == TRAINING else flags.scorer
    study = flags.study if flags.study is not None else _study_name(budget, task, searched)
    if not re.fullmatch(r"\w[\w.+,-]*", study):
        raise InputError(f"--study must begin with a letter or digit and hold only those and . , + - _; got {study!r}")
    return str(study)


def _study_name(budget: Budget, task: Task, data: str) -> str:
    # A folder's path may be long and holds slashes; its hash tells two folders of one name apart.
    path = Path(data.partition(":")[2])
    label = f"{path.name}-{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:6]}" if ":" in data else data
    of_task = "" if task.name == CLASSIFICATION else task.name
    return re.sub(r"[^\w.+,-]", "_", "-".join(filter(None, (str(budget), of_task, label))))


def _check_scorer(scorer: str) -> None:
    kind, _, path = scorer.partition(":")
    if scorer != TRAINING and (kind != TABLE or not path):
        raise InputError(f"--scorer must be {TRAINING}, or {TABLE}:FILE for a finished table; got {scorer!r}")


def _budget_of(text: str | None, latency: str | None, *, is_needed: bool) -> Budget:
    if text is None and latency is None and not is_needed:
        return Budget()
    if text is None and latency is None:
        raise InputError("a search needs a bound to keep to: give --budget 140mflops, or --latency-budget 5ms")
    budget = Budget.parse(",".join(part for part in (text, latency) if part is not None))
    if latency is not None and Budget.parse(latency) != Budget(latency_ms=budget.latency_ms):
        raise InputError(f"--latency-budget must be a time, such as 5ms; got {latency!r}")
    return budget


def _throughput_batch(given: int | None, latency_device: str) -> int:
    if given is not None:
        return given
    return GPU_THROUGHPUT_BATCH if latency_device == "cuda" else 0


def _latency_device(flags: argparse.Namespace) -> str:
    """Where latency is measured: where the user says, else on the training device if the runtime runs there."""
    if flags.latency_device is not None:
        check_runtime(flags.runtime, flags.latency_device)
        return str(flags.latency_device)
    if flags.device != "cpu" and flags.latency_from is None:
        with suppress(InputError):
            check_runtime(flags.runtime, flags.device)
            return str(flags.device)
    check_runtime(flags.runtime, "cpu")
    return "cpu"


def _check_remote(device: str | None, runtime: str) -> None:
    if device is None or (RUNTIMES[runtime].suffix == ONNX and "cpu" in RUNTIMES[runtime].devices):
        return
    able = ", ".join(name for name, row in RUNTIMES.items() if row.suffix == ONNX and "cpu" in row.devices)
    raise InputError(f"networks go to another device as ONNX files, which {able} read; got --runtime {runtime}")
