"""A search killed at random moments again and again ends as one that never was: nothing lost, nothing twice."""

import os
import random
import signal
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from builders.places import WAIT_SECONDS
from builders.tables import write_table
from optuna.trial import TrialState
from processes.killed_runs import check_end, completed, distinct, kill_at_random, trials_of, wait_for_news

from nas.run import __main__ as command
from studies.storage.trials import CAUSE, INTERRUPTED

TRIALS, FEW_TRIALS = 700, 150
GROUP_KILLS, WORKER_KILLS = 16, 34
AHEAD = 12
"""How many trials more a run is to do than are done when it starts: it must not be through before all kills."""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_table(tmp_path / "table.json")


def serve(arguments: list[str]) -> None:
    """A run in a process group of its own, as a shell starts it; what it says goes nowhere."""
    os.setsid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    raise SystemExit(command.main(arguments))


def started(table: Path, url: str, *flags: str) -> BaseProcess:
    context = get_context("forkserver")
    context.set_forkserver_preload(["nas.run.run"])  # a run then starts without importing it
    line = ["--scorer", f"table:{table}", "--study", "one", "--storage", url, "--sampler", "random", "--time", "1h"]
    line += ["--out", f"out-{Path(url).stem}"]
    process = context.Process(target=serve, args=([*line, "--trials", str(TRIALS), *flags],))
    process.start()
    return process


@pytest.mark.slow
def test_a_search_killed_fifty_times_is_as_one_never_killed(table: Path, tmp_path: Path) -> None:
    unbroken, url = f"sqlite:///{tmp_path}/unbroken.db", f"sqlite:///{tmp_path}/killed.db"
    never_killed = started(table, unbroken)
    rng = random.Random(5)
    kills = [True] * GROUP_KILLS + [False] * WORKER_KILLS
    rng.shuffle(kills)
    process = started(table, url, "--trials", str(AHEAD))
    known: dict[int, tuple[Any, ...]] = {}
    while kills:
        wait_for_news(process, url, len(known))
        if kill_at_random(process, rng, group=kills[-1]):
            kills.pop()
        now = completed(url)
        assert known.items() <= now.items(), "what was complete stays so"
        known = now
        if not process.is_alive():
            assert len(known) + AHEAD <= TRIALS, "there must be trials left for the kills that are to come"
            process = started(table, url, "--resume", "--trials", str(len(known) + AHEAD))
    process.join(WAIT_SECONDS)
    process = started(table, url, "--resume")
    process.join(WAIT_SECONDS)
    never_killed.join(WAIT_SECONDS)
    assert (process.exitcode, never_killed.exitcode) == (0, 0)
    check_end(url)
    # A trial whose worker was killed FAILs with that cause: it is told, and is none of those that were interrupted.
    failed = [trial for trial in trials_of(url) if trial.state is TrialState.FAIL]
    died = [trial for trial in failed if trial.user_attrs[CAUSE] != INTERRUPTED]
    assert all("died" in trial.user_attrs[CAUSE] for trial in died)
    found = distinct(url) | {trial.user_attrs["key"] for trial in died}
    assert len(found) == TRIALS
    assert found == distinct(unbroken)


def started_line(table: Path, url: str) -> BaseProcess:
    return started(table, url, "--workers", "1", "--trials", str(FEW_TRIALS))


@pytest.mark.slow
def test_runs_joined_on_a_server_share_a_study_and_one_that_is_killed_leaves_nothing_undone(
    table: Path, server_url: str
) -> None:
    runs = [started_line(table, server_url) for _ in range(3)]
    wait_for_news(runs[0], server_url, 40)
    os.killpg(runs[0].pid or 0, signal.SIGKILL)
    for process in runs:
        process.join(WAIT_SECONDS)
    assert [process.exitcode for process in runs[1:]] == [0, 0]
    last = started_line(table, server_url)  # whatever the killed one left, if the others had not yet missed it
    last.join(WAIT_SECONDS)
    assert last.exitcode == 0
    check_end(server_url)
    assert len(distinct(server_url)) == FEW_TRIALS
