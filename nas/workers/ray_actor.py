"""What runs in a Ray actor: an evaluator with a core and a folder of its own. Without ray, and without torch."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nas.workers.cores import cores_here
from nas.workers.local import answer_of, named, take_place
from proxies.latency.machine import user_id
from search_space.scratch import shared_folder


class EvaluatorActor:
    """Answers calls as a process of `nas.workers.local` does; Ray makes it on a node of its choice.

    The evaluator is made by the first call: what keeps it from being made is then that call's failure.
    """

    def __init__(self, settings: Any, evaluator: str) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the coordinator decides
        os.environ["OMP_NUM_THREADS"] = "1"  # Ray sets it too, unless the node was started with another number
        self._settings, self._name = settings, evaluator
        self._place = Place(shared_folder(f"user-{user_id()}"))
        take_place(self._place.core, self._place.timing_core)

    def answer(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """What the evaluator's method gives back, or a `Failure`."""
        return answer_of(self, "_call", (method, arguments))

    def leave(self) -> None:
        """Removes what lies on the node and frees its core; the actor is of no use any more."""
        self._place.clear()
        self._place.release()

    def _call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return getattr(self._evaluator, method)(*arguments)

    @cached_property
    def _evaluator(self) -> Any:
        return named(self._name)(self._settings, self._place.folder)


class Place:
    """A core of this machine and a folder that no other process has which took one under the same root.

    It is free again when the process ends, however it ends: what a killed one left is removed by the next that takes
    its place. Where there are more places than cores, they share cores in turn; `core` is None where none can be had.
    `timing_core` is the one that is kept for latencies, if there is one.
    """

    def __init__(self, root: Path) -> None:
        number, self._lock = _first_free(root)
        cores = cores_here()
        self.core, self.timing_core = cores.of(number), cores.timing
        self.folder = root / str(number)
        self.clear()
        self.folder.mkdir()

    def clear(self) -> None:
        """Removes the folder and what it holds."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def release(self) -> None:
        """Frees the place."""
        self._lock.release()


def _first_free(root: Path) -> tuple[int, FileLock]:
    """The lowest number whose lock no process holds, and that lock, which this one holds now."""
    for number in count():
        lock = FileLock(root / f"{number}.lock", thread_local=False)
        with suppress(Timeout):
            lock.acquire(blocking=False)
            return number, lock
    raise AssertionError("count() has no end")
