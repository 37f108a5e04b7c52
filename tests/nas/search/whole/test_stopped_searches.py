"""A search that is asked to end, however and however often, ends with its front and with no trial that still runs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from builders.places import WAIT_SECONDS, read_json
from builders.tables import write_table
from optuna.trial import TrialState
from processes.killed_runs import count_completed, trials_of
from processes.ray_nodes import running
from processes.waiting import until

from nas.cli.stopping import PATIENCE_SECONDS

URL = "sqlite:///study.db"


@pytest.fixture
def process(command: Callable[..., list[str]]) -> subprocess.Popen[str]:
    """A search in a session of its own, as a terminal starts it, which has completed its first trials."""
    table = write_table(Path("table.json").absolute())
    flags = f"--study one --storage {URL} --sampler random --time 1h --workers 2 --out out"
    process = subprocess.Popen(
        command("nas.run", "--scorer", f"table:{table}", *flags.split()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore Ctrl-C
    )
    while count_completed(URL) < 5:
        assert process.poll() is None, "it ended too soon"
        time.sleep(0.05)
    return process


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "times"),
    [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGINT, 1000), (signal.SIGTERM, 3), (signal.SIGHUP, 3)],
)
def test_it_ends_with_the_front_so_far_and_nothing_running(
    process: subprocess.Popen[str], number: int, times: int
) -> None:
    began = time.monotonic()
    pause_seconds = 0.1 if times < 10 else 0.01  # a key held down, to the process's last moment
    for _ in range(times):
        with suppress(ProcessLookupError):  # they have all ended
            os.killpg(process.pid, number)  # as a terminal does: workers get it too
        time.sleep(pause_seconds)
        is_late = time.monotonic() - began > PATIENCE_SECONDS / 2  # a busy machine; who asks later ends it at once
        if is_late or process.poll() is not None:
            break
    printed, said = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 128 + number
    assert "networks scored" in printed
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    assert read_json(Path("out/front.json"))["front"]
    assert Path("out/report.html").exists()
    assert {trial.state for trial in trials_of(URL)} <= {TrialState.COMPLETE, TrialState.FAIL, TrialState.WAITING}


@pytest.mark.slow
def test_nothing_of_it_outlives_a_kill_by_more_than_seconds(process: subprocess.Popen[str]) -> None:
    def alive() -> set[int]:
        return {pid for pid, session in running() if session == process.pid}

    assert len(alive()) >= 3
    process.kill()
    until(lambda: not alive())  # a worker that knew nothing of it would wait for its next network for ever
    process.communicate()
