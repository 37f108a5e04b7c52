"""Which core does what: the last one of enough is kept for latencies, the others train."""

from __future__ import annotations

from dataclasses import dataclass

from proxies.latency.machine import usable_cores
from search_space.errors import InputError

ENOUGH = 4
"""From so many cores on, one is worth more as the place where nothing disturbs a latency than as a worker's."""
WORKERS_ON_A_GPU = 2
"""One has the GPU while the other prepares."""
MOST_A_CORE, MOST_ANYWHERE = 4, 8
"""More workers only wait for each other, each with a copy of the images in memory; so many may be anywhere."""


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


def workers_here(asked: int | None, device: str) -> int:
    """So many workers as were asked for; else one for each core to train on, two where they train on a GPU.

    Raises:
        InputError: more were asked for than this machine's cores keep busy.
    """
    cores = len(cores_here().training)
    if asked is None:
        return cores if device == "cpu" else min(WORKERS_ON_A_GPU, cores)
    most = max(MOST_ANYWHERE, MOST_A_CORE * cores)
    if asked > most:
        raise InputError(f"--workers must be at most {most} on the {cores} cores that train here, got {asked}")
    return asked
