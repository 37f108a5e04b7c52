"""The settings of a comparison: flags in, one checked, frozen value out. Without torch."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.cli.architectures import FOUND, NamedNetwork, named_network
from nas.cli.flags import check_device, data_at, precision_of, seeds_from, with_epochs
from nas.cli.storage import storage_named, storage_of
from nas.compare.flags import COMPARISONS, DEFAULT_SET
from nas.compare.networks import networks_of
from nas.search.outputs import findings_of
from nas.workers.cores import workers_here
from nas.workers.setup import EvaluatorSetup
from proxies.data.names import EMBEDDED, check_images
from proxies.data.source import DataSource
from proxies.latency.runtimes import check_runtime
from proxies.latency.setup import DEFAULT_RUNTIME, LatencySetup
from proxies.training.recipes import RECIPES, Recipe, share_of
from search_space.budget import Budget
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER
from search_space.precision import FP32, INT8
from search_space.task import Task
from studies.front import pick
from studies.storage.studies import SETTINGS, check_storage, load_study, open_to_read, references_of

DEFAULTS: Mapping[str, Any] = {
    "data": EMBEDDED,
    "image_size": None,
    "resolution": 224,
    "classes": 1000,
    "device": "cpu",
    "runtime": DEFAULT_RUNTIME,
    "precision": FP32,
    "latency_device": "cpu",
    "seed": 0,
}
"""Flag -> what stands where neither the user nor the study says."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """All that a comparison needs to know."""

    networks: tuple[NamedNetwork, ...]
    budget: Budget | None
    data: DataSource
    recipe: Recipe
    seeds: tuple[int, ...]
    task: Task
    device: str
    latency: LatencySetup
    workers: int
    storage: str = field(repr=False)
    out: Path

    @property
    def in_int8(self) -> bool:
        """Whether networks are compared in int8: timed and evaluated so."""
        return self.latency.precision == INT8

    @property
    def setup(self) -> EvaluatorSetup:
        """What its evaluators need to know."""
        return EvaluatorSetup(
            data=self.data,
            recipe=self.recipe,
            device=self.device,
            workers=self.workers,
            seed=self.seeds[0],
            storage=self.storage,
            task=self.task,
            latency=self.latency,
        )


def settings_of(flags: argparse.Namespace) -> CompareSettings:
    """The settings that the flags, and those kept by the study that they name, amount to.

    Raises:
        InputError: any of them is not usable, found before anything is started or written.
    """
    front, kept, url = _of_study(flags)
    chosen = {name: _chosen(getattr(flags, name), kept.get(name), default) for name, default in DEFAULTS.items()}
    check_images(chosen["data"])
    check_device(chosen["device"])
    precision_of(flags, chosen["runtime"])
    check_runtime(chosen["runtime"], chosen["latency_device"], chosen["precision"])
    networks, task = _networks(flags, front), Task(chosen["resolution"], chosen["classes"])
    for each in networks:
        share_of(each.network, task.resolution)
    storage = storage_named(flags) or url or COMPARISONS
    check_storage(storage)
    return CompareSettings(
        networks=networks,
        budget=_budget(flags.budget),
        data=data_at(flags, chosen["data"], chosen["image_size"]),
        recipe=_recipe(flags, kept),
        seeds=seeds_from(chosen["seed"], flags.seeds),
        task=task,
        device=chosen["device"],
        latency=LatencySetup(chosen["runtime"], chosen["latency_device"], precision=chosen["precision"]),
        workers=workers_here(flags.workers, chosen["device"]),
        storage=storage,
        out=flags.out,
    )


def _of_study(flags: argparse.Namespace) -> tuple[list[NamedNetwork], Mapping[str, Any], str | None]:
    """The front of the study that the flags name, the settings it keeps, and its database; nothing without a study."""
    if flags.study is None:
        if flags.pick is not None:
            raise InputError(
                f"--pick takes a network of a study's front, so it needs --study; got {flags.pick!r} alone"
            )
        return [], {}, None
    url = storage_of(flags)
    storage = open_to_read(url)
    study = load_study(storage, flags.study)
    kept = study.user_attrs.get(SETTINGS, {})
    if "data" not in kept:
        raise InputError(
            f"the study {flags.study!r} does not say which images it was trained on: name networks instead"
        )
    if kept.get("classes") == NO_CLASSIFIER:
        raise InputError(
            f"classifiers are compared, and the study {flags.study!r} is of backbones: name JSON files of it"
        )
    findings = findings_of(study, references_of(study, storage))
    chosen = findings.front if flags.pick is None else [pick(findings.front, flags.pick)]
    if not chosen:
        raise InputError(f"the study {flags.study!r} holds no evaluated architecture to compare: go on with it first")
    return [NamedNetwork(record.name, FOUND, record.architecture) for record in chosen], kept, url


def _networks(flags: argparse.Namespace, front: list[NamedNetwork]) -> tuple[NamedNetwork, ...]:
    """The networks that are meant, each once, whatever it is called."""
    set_name = flags.set or (None if flags.networks else DEFAULT_SET)
    names = (*flags.networks, *(networks_of(set_name) if set_name else ()))
    by_key: dict[str, NamedNetwork] = {}
    for network in (*front, *map(named_network, names)):
        by_key.setdefault(network.network.key(), network)
    by_name: dict[str, str] = {}
    for key, network in by_key.items():
        if by_name.setdefault(network.name, key) != key:
            raise InputError(f"a network is shown by its name, and two are called {network.name!r}: rename a file")
    return tuple(by_key.values())


def _chosen(given: Any, kept: Any, default: Any) -> Any:
    return given if given is not None else kept if kept is not None else default


def _recipe(flags: argparse.Namespace, kept: Mapping[str, Any]) -> Recipe:
    own = Recipe(**kept["recipe"]) if flags.recipe is None and "recipe" in kept else RECIPES[flags.recipe or "short"]
    return with_epochs(own, flags.epochs)


def _budget(text: str | None) -> Budget | None:
    if text is None:
        return None
    budget = Budget.parse(text)
    if budget.latency_ms is not None:
        raise InputError(f"networks are left out by FLOPs or parameters, before they are timed; got --budget {text}")
    if budget.bounds_memory:
        raise InputError(
            "networks are left out by FLOPs or parameters, for the memory of hand-designed ones is not counted; got "
            f"--budget {text}"
        )
    return budget
