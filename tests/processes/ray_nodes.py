"""A Ray cluster on this machine, on the loopback alone."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from builders.places import ROOT, TESTS

from processes.ports import free_port
from processes.waiting import WAIT_SECONDS, until

ECHO = "processes.evaluators:OnRay"
RAY = """
from ray._private import services
from ray.scripts.scripts import main
services.resolve_ip_for_localhost = lambda host: host
main()
"""
"""The command `ray`, which else takes the machine's own address for the loopback's."""
PATHS = os.pathsep.join(map(str, (ROOT, TESTS)))


@dataclass
class Cluster:
    """Ray nodes on this machine, each a `ray start` of its own, all of them on the loopback."""

    folder: Path
    nodes: list[subprocess.Popen[Any]] = field(default_factory=list)
    address: str = ""

    def head(self, *flags: str) -> None:
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self._start("--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self.folder}", *flags)

    def add(self, *flags: str) -> subprocess.Popen[bytes]:
        return self._start(f"--address={self.address}", *flags)

    def _start(self, *flags: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-c",
            RAY,
            "start",
            "--block",
            "--disable-usage-stats",
            "--node-ip-address=127.0.0.1",
        ]
        common = {"RAY_health_check_initial_delay_ms": "0", "RAY_health_check_period_ms": "300"}
        log = self.folder / f"node-{len(self.nodes)}.log"
        with log.open("wb") as printed:
            node = subprocess.Popen(
                [*command, "--object-store-memory=100000000", *flags],
                env={**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "7", **common},
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.nodes.append(node)
        until(lambda: "Ray runtime started" in log.read_text() or node.poll() is not None)
        assert node.poll() is None, log.read_text()
        return node

    def processes(self) -> set[int]:
        """Those that run in a session that was started for this cluster."""
        sessions = {node.pid for node in self.nodes}
        return {pid for pid, session in running() if session in sessions}

    def stop(self) -> None:
        """Kills all of it: Ray's own way takes half a minute a node."""
        until(lambda: not self._kill_all())
        for node in self.nodes:
            node.wait(WAIT_SECONDS)

    def _kill_all(self) -> set[int]:
        found = self.processes()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return found


def running() -> Iterator[tuple[int, int]]:
    """Every process that runs, with its session."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                state, _, _, session, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
                if state != "Z":
                    yield int(entry.name), int(session)


def settings(workers: int, device: str = "cpu") -> SimpleNamespace:
    return SimpleNamespace(workers=workers, device=device)
