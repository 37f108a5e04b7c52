"""The settings of a run: flags in, one checked, frozen value out. Without torch."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nas.cli.command import Parser
from nas.cli.flags import (
    Number,
    add_data_flags,
    add_recipe_flags,
    add_runtime_flag,
    add_seed_flag,
    add_space_flag,
    add_task_flags,
    add_worker_flags,
    check_device,
    data_of,
    duration,
    one_of,
    precision_of,
    shipped_space_of,
    task_of,
)
from nas.cli.storage import add_storage_flag, storage_named
from nas.workers.cores import workers_here
from nas.workers.engines import ENGINES, check_engine
from nas.workers.setup import EvaluatorSetup
from proxies.data.names import check_images
from proxies.data.source import DataSource
from proxies.latency.runtimes import AGENT_RUNTIMES, check_runtime
from proxies.latency.setup import LatencySetup
from proxies.training.recipes import RECIPES, Recipe
from search_space.bounds import BATCHES, NETWORKS
from search_space.budget import Budget
from search_space.choices import Choices
from search_space.errors import InputError
from search_space.files import file_name
from search_space.precision import FLASH_IS, FP32, RAM_IS
from search_space.task import CLASSIFICATION, Task
from studies.sampling.sampler_names import DEFAULT_SAMPLER, SAMPLER_NAMES
from studies.storage.secrets import shown_url

TRAINING, TABLE = "training", "table"
"""What scores candidates: a training of each, or a table of finished ones."""
DEFAULT_TIME = "9m"
GPU_THROUGHPUT_BATCH = 64


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run needs to know; those of `identity` must be the same when a study is resumed."""

    scorer: str
    budget: Budget
    choices: Choices
    data: DataSource
    recipe: Recipe
    task: Task
    device: str
    latency: LatencySetup
    sampler: str
    seed: int
    workers: int
    engine: str
    finalists: bool
    trials: int | None
    seconds: float
    study: str
    storage: str = field(repr=False)
    out: Path
    resume: bool
    space: str = ""
    """What the choices are called, in a line; "" where nobody said."""
    is_space_asked: bool = True
    """Whether a flag names them."""

    @property
    def is_sized_by_latency(self) -> bool:
        """Whether latency alone decides how large networks are, and in which space that ships."""
        is_alone = self.budget.latency_ms is not None and not self.budget.sizes_networks
        return is_alone and not self.is_space_asked

    @property
    def setup(self) -> EvaluatorSetup:
        """What its evaluators need to know."""
        return EvaluatorSetup(
            data=self.data,
            recipe=self.recipe,
            device=self.device,
            workers=self.workers,
            seed=self.seed,
            storage=self.storage,
            task=self.task,
            latency=self.latency,
            limit_ms=self.budget.latency_ms,
        )

    @property
    def table(self) -> Path | None:
        """The table of finished trainings to search over; None where networks are trained."""
        kind, _, path = self.scorer.partition(":")
        return Path(path) if kind == TABLE else None

    @property
    def study_flags(self) -> list[str]:
        """The flags by which other commands find the study; a password in the URL is left out."""
        from studies.storage.database import sqlite_url  # here, that --help need not wait for SQLAlchemy

        is_usual = self.storage == sqlite_url(Path("runs", file_name(self.study), "study.db"))
        where = [] if is_usual else ["--storage", shown_url(self.storage)]
        return ["--study", self.study, *where]

    def identity(self) -> dict[str, Any]:
        """What decides what a study's numbers mean, as plain JSON."""
        # Studies from before there were tasks say nothing of theirs, and go on.
        task = {} if self.task.name == CLASSIFICATION else {"task": self.task.name}
        # Nor did those from before there was int8 say their precision.
        precision = {} if self.latency.precision == FP32 else {"precision": self.latency.precision}
        return {
            **task,
            **precision,
            "budget": str(self.budget),
            "space": self.choices.to_dict(),
            "data": self.data.name,
            "image_size": self.data.image_size,
            "recipe": self.recipe.to_dict(),
            "resolution": self.task.resolution,
            "classes": self.task.num_classes,
            "device": self.device,
            "runtime": self.latency.runtime,
            "latency_device": self.latency.device,
            "latency_from": self.latency.remote,
            "throughput_batch": self.latency.throughput_batch,
            "sampler": self.sampler,
            "seed": self.seed,
        }


def add_flags(parser: Parser) -> None:
    """Adds the flags of `nas.run` to the parser."""
    add = parser.add_argument
    memory = f"{RAM_IS}; {FLASH_IS}; at --precision where no @ says otherwise"
    add("--budget", help=f"upper bounds: 140mflops, 2.3mparams, 5ms, 256kib-ram, 1mib-flash@int8, by commas. {memory}")
    add("--latency-budget", help="upper bound on latency, such as 5ms: the same as in --budget")
    add("--trials", type=Number(NETWORKS), help="stop when the study holds this many different networks")
    add("--time", type=duration, default=DEFAULT_TIME, help="how long the whole run takes: 90s, 10m, 2h")
    add_data_flags(parser)
    add_task_flags(parser, "budget and latency hold")
    add_worker_flags(parser, "evaluate")
    add_runtime_flag(parser)
    add("--latency-device", help="where that is: cpu or cuda (default: as --device, if the runtime runs there)")
    add("--latency-from", metavar="NAME", help="measure on the device whose `nas.latency agent` has this name")
    add("--latency-timeout", type=duration, default="10m", help="how long to wait for that device, for one network")
    batch = "measure images a second at this batch too (default: 64 on a GPU, else 0)"
    add("--throughput-batch", type=Number(replace(BATCHES, least=0)), help=batch)
    add_space_flag(parser)
    add("--sampler", type=one_of(SAMPLER_NAMES), default=DEFAULT_SAMPLER, help=f"one of {', '.join(SAMPLER_NAMES)}")
    add_seed_flag(parser, "seed of the search and of every training")
    add("--scorer", default=TRAINING, help="training, or table:FILE to search over finished trainings in seconds")
    add("--engine", default="local", help=f"what runs them: {', '.join(ENGINES)}")
    add("--no-finalists", dest="finalists", action="store_false", help="do not train the best for longer in the end")
    add_recipe_flags(parser, "short", "how candidates are trained")
    add_storage_flag(parser, "of the study", "an SQLite file in the output folder")
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
    data = data_of(flags)
    check_engine(flags.engine)
    if flags.engine == "local":  # else the coordinating machine need not have the GPU
        check_device(flags.device)
    latency = _latency_of(flags)
    task = task_of(flags)
    budget = budget.at(latency.precision)
    shipped = shipped_space_of(flags, budget, task)
    study = _study_of(flags, budget, task, latency.precision)
    out = flags.out or Path("runs") / file_name(study)
    from studies.storage.database import sqlite_url  # here, that --help need not wait for SQLAlchemy

    return Settings(
        scorer=flags.scorer,
        budget=budget,
        choices=task.offered(Choices.from_file(flags.space) if shipped is None else shipped.choices),
        data=data,
        recipe=RECIPES[flags.recipe],
        task=task,
        device=flags.device,
        latency=latency,
        sampler=flags.sampler,
        seed=flags.seed,
        workers=_workers_of(flags),
        engine=flags.engine,
        finalists=flags.finalists,
        trials=flags.trials,
        seconds=flags.time,
        study=study,
        storage=storage_named(flags) or sqlite_url(out / "study.db"),
        out=out,
        resume=flags.resume,
        space=f"space: {flags.space}" if shipped is None else shipped.line,
        is_space_asked=flags.space is not None,
    )


def settings_of_study(
    name: str, kept: Mapping[str, Any], storage: str, data: DataSource, device: str, workers: int | None
) -> Settings:
    """The settings of a search that its study has kept, to train and to time here as it did there.

    Raises:
        InputError: the data or the device are not there, or the networks cannot be timed here.
    """
    check_images(data.name)
    check_device(device)
    precision = kept.get("precision", FP32)
    check_runtime(kept["runtime"], kept["latency_device"], precision)
    check_remote(kept.get("latency_from"), kept["runtime"])
    task = Task(kept["resolution"], kept["classes"])
    return Settings(
        scorer=TRAINING,
        budget=Budget.parse(kept["budget"]),
        choices=task.offered(Choices.default()),
        data=data,
        recipe=Recipe(**kept["recipe"]),
        task=task,
        device=device,
        latency=LatencySetup(kept["runtime"], kept["latency_device"], kept.get("latency_from"), precision=precision),
        sampler=DEFAULT_SAMPLER,
        seed=kept["seed"],
        workers=workers_here(workers, device),
        engine="local",
        finalists=False,
        trials=None,
        seconds=0.0,
        study=name,
        storage=storage,
        out=Path("runs") / file_name(name),
        resume=True,
    )


def _workers_of(flags: argparse.Namespace) -> int:
    is_elsewhere = flags.engine != "local" and flags.workers is not None
    return int(flags.workers) if is_elsewhere else workers_here(flags.workers, flags.device)


def _study_of(flags: argparse.Namespace, budget: Budget, task: Task, precision: str) -> str:
    searched = flags.data if flags.scorer == TRAINING else flags.scorer
    study = flags.study if flags.study is not None else _study_name(budget, task, precision, searched)
    if not re.fullmatch(r"\w[\w.+,-]*", study):
        raise InputError(f"--study must begin with a letter or digit and hold only those and . , + - _; got {study!r}")
    return str(study)


def _study_name(budget: Budget, task: Task, precision: str, data: str) -> str:
    # A folder's path may be long and holds slashes; its hash tells two folders of one name apart.
    path = Path(data.partition(":")[2]).expanduser().resolve()
    label = f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:6]}" if ":" in data else data
    of_task = "" if task.name == CLASSIFICATION else task.name
    of_precision = "" if precision == FP32 else precision
    return re.sub(r"[^\w.+,-]", "_", "-".join(filter(None, (str(budget), of_precision, of_task, label))))


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


def _latency_of(flags: argparse.Namespace) -> LatencySetup:
    precision = precision_of(flags)
    device = _latency_device(flags, precision)
    check_remote(flags.latency_from, flags.runtime)
    batch = flags.throughput_batch
    return LatencySetup(
        runtime=flags.runtime,
        device=device,
        remote=flags.latency_from,
        timeout_seconds=flags.latency_timeout,
        throughput_batch=batch if batch is not None else GPU_THROUGHPUT_BATCH if device == "cuda" else 0,
        precision=precision,
    )


def _latency_device(flags: argparse.Namespace, precision: str) -> str:
    """Where latency is measured: where the user says, else on the training device if the runtime runs there."""
    if flags.latency_device is not None:
        check_runtime(flags.runtime, flags.latency_device, precision)
        return str(flags.latency_device)
    if flags.device != "cpu" and flags.latency_from is None:
        with suppress(InputError):
            check_runtime(flags.runtime, flags.device, precision)
            return str(flags.device)
    check_runtime(flags.runtime, "cpu", precision)
    return "cpu"


def check_remote(device: str | None, runtime: str) -> None:
    """Refuses a runtime whose networks cannot be sent to another device, where there is one.

    Raises:
        InputError: it takes no ONNX file.
    """
    if device is not None and runtime not in AGENT_RUNTIMES:
        able = ", ".join(AGENT_RUNTIMES)
        raise InputError(f"networks go to another device as ONNX files, which {able} read; got --runtime {runtime}")
