"""Evaluators that workers make by name, and what keeps a worker busy.

No import here takes long: a worker is to be there soon.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from multiprocessing import active_children
from pathlib import Path
from typing import Any

from search_space import Architecture, InputError

ECHO = "processes.evaluators:Echo"
"""A worker of it is there at once; one of the project's own evaluator loads torch first."""


class Sleeps:
    """What keeps the worker that unpickles it busy for an hour."""

    def __reduce__(self) -> Any:
        return time.sleep, (3600,)


class Swallows:
    """What keeps the worker that unpickles it busy, whatever exit it is asked for."""

    def __reduce__(self) -> Any:
        return sleep_through_exits, ()


def sleep_through_exits() -> None:
    while True:
        with contextlib.suppress(SystemExit):
            time.sleep(3600)


def pids() -> set[int]:
    return {process.pid for process in active_children() if process.pid is not None}


class Echo:
    """An evaluator that gives back what it was made of."""

    def __init__(self, settings: Any, folder: Path) -> None:
        self._settings, self._folder = settings, folder

    def what(self, *arguments: Any) -> tuple[Any, bool, bool, tuple[Any, ...]]:
        return self._settings, self._folder.is_dir(), "torch" in sys.modules, arguments


class Where:
    """An evaluator that says where it is, and where it times."""

    def __init__(self, settings: Any, folder: Path) -> None:
        pass

    def cores(self) -> tuple[set[int], int | None]:
        from proxies.latency.timing_core import timing_core

        with timing_core() as core:
            return os.sched_getaffinity(0), core


class OnRay:
    """An evaluator that says where it is, sleeps, and fails."""

    def __init__(self, settings: Any, folder: Path) -> None:
        self._settings, self._folder = settings, folder

    def where(self) -> tuple[str, int]:
        import ray

        return ray.get_runtime_context().get_node_id(), os.getpid()

    def made_of(self) -> tuple[Any, Path, bool]:
        return self._settings, self._folder, "torch" in sys.modules

    def threads(self) -> tuple[str | None, int, str | None]:
        import torch

        return os.environ.get("OMP_NUM_THREADS"), torch.get_num_threads(), os.environ.get("RAY_USAGE_STATS_ENABLED")

    def core(self) -> set[int]:
        return os.sched_getaffinity(0)

    def sleep(self, seconds: float) -> str:
        time.sleep(seconds)
        return "awake"

    def fail(self, error: Exception) -> None:
        raise error

    def unpicklable(self) -> Any:
        return threading.Lock()


class NotMade:
    """An evaluator that cannot be made."""

    def __init__(self, settings: Any, folder: Path) -> None:
        raise InputError("no such data")


class Calibrator:
    """Answers as the evaluator of `nas.calibrate` does, without training; kills itself where it is told to."""

    def __init__(self, settings: Any, folder: Path) -> None:
        pass

    def data_fingerprint(self) -> str:
        return "made up"

    def data_notes(self) -> tuple[str, ...]:
        return ()

    def made_by(self) -> dict[str, Any]:
        return {"host": "here"}

    def answer(self, architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
        if architecture.key() == os.environ.get("DEADLY") and method["name"] == "full":
            os.kill(os.getpid(), signal.SIGKILL)
        from builders.workers import made_up

        return made_up(architecture, method, seed)
