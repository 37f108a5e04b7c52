"""The core that latencies are measured on: one kept for that, where each waits for its turn, or the quietest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock

from proxies.latency.machine import KEPT_CORE, quietest_core, user_id
from search_space.scratch import shared_folder


@contextmanager
def timing_core() -> Iterator[int | None]:
    """The core to measure on, while nobody else measures there if it is kept; None where none can be chosen."""
    kept = os.environ.get(KEPT_CORE)
    if kept is None:
        yield quietest_core()
        return
    with FileLock(shared_folder(f"user-{user_id()}") / f"core-{kept}.lock"):
        yield int(kept)
