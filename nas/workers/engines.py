"""What runs the evaluators, by name: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from nas.workers.local import EVALUATOR, named
from nas.workers.protocol import Workers
from search_space.errors import InputError

ENGINES = {"local": "nas.workers.local:LocalWorkers", "ray": "nas.workers.ray_cluster:RayWorkers"}
"""What runs the evaluators, by the name that --engine takes; imported where it is used only."""


def check_engine(engine: str) -> None:
    """Refuses an engine that is unknown or not installed.

    Raises:
        InputError: there is no such engine, or what it needs is not installed.
    """
    if engine not in ENGINES:
        raise InputError(f"--engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if engine == "ray" and find_spec("ray") is None:
        raise InputError("--engine ray needs Ray, which is not installed: python -m pip install -e '.[ray]'")


def workers_for(engine: str, settings: Any, evaluator: str = EVALUATOR) -> Workers:
    """The workers of that engine, started.

    Raises:
        InputError: as `check_engine`, or the engine has no room for a single worker.
    """
    check_engine(engine)
    workers: Workers = named(ENGINES[engine])(settings, evaluator)
    return workers
