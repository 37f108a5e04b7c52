"""Which core does what: the last one of enough is kept for latencies, the others train."""

from __future__ import annotations

from dataclasses import dataclass

from proxies.latency.machine import usable_cores

ENOUGH = 4
"""From so many cores on, one is worth more as the place where nothing disturbs a latency than as a worker's."""
WORKERS_ON_A_GPU = 2
"""One has the GPU while the other prepares."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores to train on, and the one that is kept for latencies.

    A core is None where the system pins no process; `timing` also where each worker times on its own core.
    """

    training: tuple[int | None, ...]
    timing: int | None

    def of(self, worker: int) -> int | None:
        """The core of the worker of that number; workers beyond the cores share them in turn."""
        return self.training[worker % len(self.training)]


def cores_here() -> Cores:
    """The cores that this process may use."""
    cores = usable_cores()
    if len(cores) < ENOUGH or cores[-1] is None:
        return Cores(cores, None)
    return Cores(cores[:-1], cores[-1])


def default_workers(device: str) -> int:
    """As many as there are cores to train on; two where they train on a GPU."""
    cores = len(cores_here().training)
    return cores if device == "cpu" else min(WORKERS_ON_A_GPU, cores)
