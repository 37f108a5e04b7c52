"""What the evaluators of a command are made of: plain values, sent to each worker. Without torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from proxies.data.source import DataSource
from proxies.latency.setup import LatencySetup
from proxies.training.recipes import Recipe
from search_space.task import Task


@dataclass(frozen=True, slots=True)
class EvaluatorSetup:
    """How many workers train on which device, on which data and by which recipe, for which task, and how they time.

    `limit_ms` is the budget of latency, if there is one; `storage` the database in which another device's agent waits
    for networks.
    """

    data: DataSource
    recipe: Recipe
    device: str
    workers: int
    seed: int
    storage: str = field(repr=False)
    task: Task = field(default_factory=Task)
    latency: LatencySetup = field(default_factory=LatencySetup)
    limit_ms: float | None = None
