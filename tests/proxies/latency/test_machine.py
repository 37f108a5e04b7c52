"""What a process learns of its machine, and its place on it."""

import os
import subprocess
import sys

import pytest

from proxies.latency.machine import StealCounter, device_facts, fingerprint, load_average, quietest_core


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_a_fingerprint_follows_from_the_facts_alone() -> None:
    facts = {"processor": "A", "machine": "x86_64", "system": "Linux", "cores": 2}
    assert fingerprint(facts) == fingerprint(dict(reversed(facts.items())))
    assert fingerprint(facts) != fingerprint({**facts, "cores": 4})
    assert len(fingerprint(facts)) == 12


def test_a_gpu_belongs_to_the_device() -> None:
    assert "gpu" not in device_facts()
    assert device_facts("H100")["gpu"] == "H100"
    assert all(device_facts().values())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_a_pinned_process_stays_on_one_core() -> None:
    program = (
        "import os; from proxies.latency.machine import *; core = quietest_core(); pin_to(core);"
        "print(os.sched_getaffinity(0) == {core}, quietest_core() == core)"
    )
    assert run_python(program) == "True True"


def test_the_priority_that_is_told_is_the_one_that_is_had() -> None:
    program = (
        "import os; from proxies.latency.machine import *;"
        "nice = lambda: os.getpriority(os.PRIO_PROCESS, 0); before = nice();"
        "print(raise_priority(), '|', os.sched_getscheduler(0) == os.SCHED_FIFO, nice() < before)"
    )
    text, had = run_python(program).split(" | ")
    assert had == {"real-time": "True False", "nice -20": "False True", "ordinary": "False False"}[text]


def test_steal_is_a_share_or_unknown() -> None:
    share = StealCounter(quietest_core()).share()
    assert share is None or 0 <= share <= 1
    assert StealCounter(None).share() is None
    assert (load_average() or 0) >= 0
