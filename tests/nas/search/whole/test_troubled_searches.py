"""A search whose disk is full, whose database goes away, or whose clock jumps: one clear line, and nothing lost."""

import itertools
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from builders.places import WAIT_SECONDS
from builders.tables import write_table
from optuna.trial import FrozenTrial, TrialState
from processes import postgresql

from studies.storage.studies import open_storage

ROOM_BYTES = 400_000
AWAY_SECONDS = 2.0
JUMPING_CLOCK = """
import random, sys, time
usual, rng = time.time, random.Random(0)
time.time = lambda: usual() + rng.choice([-1, 0, 1]) * 86_400 * rng.randrange(1, 400)
from nas.run.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def line(tmp_path: Path, command: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """The command line of a search over a small table."""
    table = write_table(tmp_path / "table.json", choices=5)
    flags = ("--scorer", f"table:{table}", "--study", "one", "--sampler", "random", "--workers", 1)
    return lambda *more: command("nas.run", *flags, *more)


def trials_of(url: str) -> list[FrozenTrial]:
    storage = open_storage(url)
    try:
        return optuna.load_study(study_name="one", storage=storage).get_trials()
    finally:
        storage.engine.dispose()


def ended(line: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS, **options)  # type: ignore[call-overload]


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_resuming_goes_on_once_there_is_room(
    line: Callable[..., list[str]], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    flags = ("--storage", url, "--trials", 250)
    limits = (ROOM_BYTES, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    full = ended(line(*flags), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits))
    assert full.returncode == 2
    assert "Traceback" not in full.stderr
    text = [text for text in full.stderr.splitlines() if "room" in text]
    assert len(text) == 1
    assert "--resume goes on" in text[0]
    kept = [trial.number for trial in trials_of(url) if trial.state is TrialState.COMPLETE]
    assert 0 < len(kept) < 250
    resumed = ended(line(*flags, "--resume"))
    assert resumed.returncode == 0, resumed.stderr
    after = [trial for trial in trials_of(url) if trial.state is TrialState.COMPLETE]
    assert set(kept) < {trial.number for trial in after}
    assert len({trial.user_attrs["key"] for trial in after}) == 250


@pytest.mark.slow
def test_a_database_that_goes_away_and_comes_back_costs_nothing_but_the_wait(
    line: Callable[..., list[str]], server: postgresql.Server, server_url: str
) -> None:
    process = subprocess.Popen(
        line("--storage", server_url, "--trials", 100), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    said = list(itertools.islice(process.stderr, 20))
    server.stop()
    assert any("does not answer" in text for text in process.stderr), "read until it has missed the server"
    time.sleep(AWAY_SECONDS)  # it tries again meanwhile, and tells of no failure more
    server.start()
    rest = process.communicate(timeout=WAIT_SECONDS)[1]
    said += rest.splitlines()
    assert process.returncode == 0, rest
    assert not any("does not answer" in text for text in said)
    assert sum("answers again" in text for text in said) == 1
    complete = [trial for trial in trials_of(server_url) if trial.state is TrialState.COMPLETE]
    evaluated = [trial.user_attrs["key"] for trial in complete if "replayed" not in trial.user_attrs]
    assert len(set(evaluated)) == len(evaluated) == 100


@pytest.mark.slow
def test_a_clock_that_jumps_by_months_changes_no_trial(line: Callable[..., list[str]], tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("steady", "jumping")]
    steady, jumping = (line("--storage", url, "--trials", 40, "--out", f"{tmp_path}/{Path(url).stem}") for url in urls)
    assert jumping[:3] == [sys.executable, "-m", "nas.run"]
    for each in (steady, [sys.executable, "-c", JUMPING_CLOCK, *jumping[3:]]):
        finished = ended(each)
        assert finished.returncode == 0, finished.stderr
    found = [[(trial.user_attrs["key"], trial.values) for trial in trials_of(url)] for url in urls]
    assert found[0] == found[1]
    assert len({key for key, _ in found[0]}) == 40
