"""Other work for every core, to measure beside: one process a core that computes and goes through memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from proxies.latency.lifetime import end_with_parent, ending_with_this
from proxies.latency.machine import pin_to, usable_cores

SETTLING_SECONDS = 2.0


@contextmanager
def loaded_cores() -> Iterator[int]:
    """The number of cores that are kept busy inside; sessions of their own, as other users' work would be."""
    cores = usable_cores()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    environment["OPENBLAS_NUM_THREADS"] = "1"
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "proxies.latency.synthetic_load",
                str(os.getpid()),
                *([] if core is None else [str(core)]),
            ],
            env={**environment, **ending_with_this()},
            start_new_session=True,
        )
        for core in cores
    ]
    try:
        time.sleep(SETTLING_SECONDS)
        yield len(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def work(parent: int) -> None:
    """Works until the parent is gone. Products that fit a cache alternate with sums that fit none."""
    random = np.random.RandomState(0)
    small, large = random.rand(512, 512).astype("float32"), random.rand(16, 1024, 1024).astype("float32")
    while os.getppid() == parent:
        small = small @ small
        small /= np.abs(small).max()
        large += 1


if __name__ == "__main__":
    end_with_parent()
    pin_to(int(sys.argv[2]) if len(sys.argv) > 2 else None)
    work(int(sys.argv[1]))
