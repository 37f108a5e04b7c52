"""What machine this is and how busy, and a process's place on it. Standard library only: bundles carry this file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from pathlib import Path

HIGHEST_NICE = -20
KEPT_CORE = "SHUFFLENET_NAS_TIMING_CORE"
"""The environment variable that names the core that is kept for latencies to a worker and to what it starts."""
_MODEL_FILES = ("/proc/device-tree/model", "/sys/firmware/devicetree/base/model")
"""Where a board says what it is; a processor of such a board seldom has a name."""


def device_facts(gpu: str = "") -> dict[str, str | int]:
    """What identifies the device that runs this: processor, architecture, system, cores, and the GPU if one is used."""
    facts: dict[str, str | int] = {
        "processor": processor_name(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count() or 1,
    }
    return {**facts, "gpu": gpu} if gpu else facts


def fingerprint(facts: dict[str, str | int]) -> str:
    """12 hexadecimal digits that name a device of these facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def processor_name() -> str:
    """The model name of the processor, or of the board."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    boards = [
        Path(file).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        for file in _MODEL_FILES
        if Path(file).exists()
    ]
    return next(iter(models + boards), platform.processor() or platform.machine())


def user_id() -> int | None:
    """The number of the user whose process this is; None where the system numbers none."""
    return os.getuid() if hasattr(os, "getuid") else None


def usable_cores() -> tuple[int | None, ...]:
    """The cores that this process may use, in order; as many None as there are where the system pins no process."""
    if not hasattr(os, "sched_getaffinity"):
        return (None,) * (os.cpu_count() or 1)
    return tuple(sorted(os.sched_getaffinity(0)))


def quietest_core() -> int | None:
    """The least busy core that this process may use, the last one of several; None where none can be chosen."""
    cores = [core for core in usable_cores() if core is not None]
    if len(cores) < 2:
        return next(iter(cores), None)
    before = _core_ticks()
    time.sleep(0.2)
    after = _core_ticks()
    return min(cores, key=lambda core: (after.get(core, (0, 0, 0))[0] - before.get(core, (0, 0, 0))[0], -core))


def pin_to(core: int | None) -> None:
    """Keeps this process on the core, where the system lets it."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def raise_priority() -> str:
    """The priority that this process has from now on: "real-time", "nice -20" or "ordinary", as far as it may go.

    It is what keeps a measurement right beside other work: a process that shares its core evenly finds its caches
    emptied every few milliseconds. Real-time goes before all else; nice counts only within a session, where the
    system groups processes by sessions. The kernel still keeps a twentieth of the time for others.
    """
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            return "real-time"
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, HIGHEST_NICE)
            return f"nice {HIGHEST_NICE}"
    return "ordinary"


def load_average() -> float | None:
    """Processes that ran or wanted to, over the last minute; None on a system that does not count them."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


class StealCounter:
    """Counts the time that a hypervisor gives to others while a core of this machine wants to work."""

    def __init__(self, core: int | None) -> None:
        self._core = core
        self._before = _core_ticks().get(core) if core is not None else None

    def share(self) -> float | None:
        """The share of the time since the start that was stolen; None where the system does not say."""
        after = _core_ticks().get(self._core) if self._core is not None else None
        if self._before is None or after is None:
            return None
        return (after[1] - self._before[1]) / max(1, after[2] - self._before[2])


def _core_ticks() -> dict[int, tuple[int, int, int]]:
    """By core: the ticks it worked, those that were stolen from it, and all since the start; empty where none tell."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return {}
    rows = [
        line.split()
        for line in stat.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.startswith("cpu") and line[3].isdigit()
    ]
    ticks = {}
    for name, *columns in rows:
        # The columns are user, nice, system, idle, iowait, irq, softirq, steal; guests are counted in user already.
        counts = [int(column) for column in columns[:8]]
        ticks[int(name[3:])] = (sum(counts) - counts[3] - counts[4], counts[7], sum(counts))
    return ticks
