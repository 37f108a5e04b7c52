"""Runs that share a server, or start on one file together, and real searches, killed at random: nothing is lost.

What kills do to a replayed search on an SQLite file is in `test_killed_searches`.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from builders.places import WAIT_SECONDS
from builders.tables import write_table
from optuna.trial import TrialState
from processes.killed_runs import POLL_SECONDS, check_end, completed, distinct, kill_at_random, trials_of, wait_for_news
from sqlalchemy import select

from nas.run import __main__ as command
from search_space import Architecture
from studies.ledger.latencies import LATENCIES, Ledger
from studies.ledger.trainings import EVALUATIONS, Question
from studies.storage.coordinators import Coordinator
from studies.storage.database import engine_of
from studies.storage.trials import CAUSE, INTERRUPTED

SEARCH = ("--scorer", "table:table.json", "--sampler", "random", "--workers", "1", "--time", "1h")
TINY = ("--budget", "2mflops", "--resolution", "32", "--classes", "10", "--image-size", "16", "--workers", "1")
BEAT_SECONDS = 0.25
SERVER_KILLS, REAL_KILLS = 8, 3
TRIALS, AHEAD = 300, 16
"""In all, and how many more than are done a run is to do: two of them are not through before all kills."""

Start = Callable[..., BaseProcess]


def serve(arguments: list[str], log: Path) -> None:
    """A run in a process group of its own, as a shell starts it; it beats fast, and what it says is logged."""
    os.setsid()
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(said, 2)
    Coordinator.__init__.__defaults__ = (BEAT_SECONDS,)
    raise SystemExit(command.main(arguments))


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts runs of the study "one"; whatever still runs when the test ends is killed."""
    monkeypatch.chdir(tmp_path)
    write_table(Path("table.json"))
    context = get_context("forkserver")
    context.set_forkserver_preload(["nas.run.run"])
    runs: list[BaseProcess] = []

    def started(url: str, *flags: object, log: str = "log") -> BaseProcess:
        line = ["--study", "one", "--storage", url, "--out", f"out-{Path(url).stem}", *map(str, flags)]
        runs.append(context.Process(target=serve, args=(line, tmp_path / log)))
        runs[-1].start()
        wait_until_it_leads_its_group(runs[-1])
        return runs[-1]

    yield started
    for run in runs:
        if run.is_alive():
            os.killpg(run.pid or 0, signal.SIGKILL)
        run.join()


def wait_until_it_leads_its_group(process: BaseProcess) -> None:
    """Returns once the whole group can be killed: news may be another run's, while this one has hardly begun."""
    while process.is_alive() and os.getpgid(process.pid or 0) != process.pid:
        time.sleep(POLL_SECONDS)


def joined(*runs: BaseProcess) -> list[int | None]:
    """Their exit statuses, once all have ended."""
    for run in runs:
        run.join(WAIT_SECONDS)
    return [run.exitcode for run in runs]


# A server


@pytest.mark.slow
def test_two_joined_runs_killed_again_and_again_are_as_one_never_killed(
    start: Start, server_url: str, tmp_path: Path
) -> None:
    unbroken = f"sqlite:///{tmp_path}/unbroken.db"
    never_killed = start(unbroken, *SEARCH, "--trials", TRIALS)
    rng = random.Random(3)
    runs = [start(server_url, *SEARCH, "--trials", AHEAD) for _ in range(2)]
    known = completed(server_url)
    kills = 0
    while kills < SERVER_KILLS:
        victim = rng.randrange(2)
        wait_for_news(runs[victim], server_url, len(known))
        is_killed = kill_at_random(runs[victim], rng, group=True)
        assert is_killed or joined(runs[victim]) == [0], "it has just ended"
        kills += is_killed
        now = completed(server_url)
        assert known.items() <= now.items(), "what was complete stays so"
        known = now
        assert len(known) + AHEAD <= TRIALS, "there must be trials left for the kills that are to come"
        runs[victim] = start(server_url, *SEARCH, "--trials", len(known) + AHEAD, "--resume")
    assert joined(*runs) == [0, 0]
    runs = [start(server_url, *SEARCH, "--trials", TRIALS, "--resume") for _ in range(2)]
    assert joined(*runs, never_killed) == [0, 0, 0]
    check_end(server_url)
    assert len(distinct(server_url)) == TRIALS
    assert distinct(server_url) == distinct(unbroken)


@pytest.mark.slow
def test_a_run_killed_with_the_last_trials_in_flight_leaves_them_to_whoever_comes_next(
    start: Start, server_url: str
) -> None:
    """They count as trials that run, as long as nobody has missed the killed one."""
    many = start(server_url, *SEARCH, "--trials", 1000)
    wait_for_news(many, server_url, 10)
    os.kill(many.pid or 0, signal.SIGSTOP)
    asked = {trial.user_attrs["key"] for trial in trials_of(server_url) if "key" in trial.user_attrs}
    os.killpg(many.pid or 0, signal.SIGKILL)
    assert joined(start(server_url, *SEARCH, "--trials", len(asked), "--resume")) == [0]
    check_end(server_url)
    assert distinct(server_url) == asked


@pytest.mark.slow
def test_runs_that_start_together_on_a_server_share_its_trials(start: Start, server_url: str) -> None:
    assert joined(*(start(server_url, *SEARCH, "--trials", 200) for _ in range(2))) == [0, 0]
    check_end(server_url)
    assert {trial.state for trial in trials_of(server_url)} == {TrialState.COMPLETE}
    assert len(distinct(server_url)) == 200
    assert len({trial.user_attrs["coordinator"] for trial in trials_of(server_url)}) == 2, "both had a part in it"


# A file


@pytest.mark.slow
def test_of_runs_that_start_together_on_a_file_one_works_and_the_others_say_why_they_do_not(
    start: Start, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    runs = {name: start(url, *SEARCH, "--trials", 200, log=name) for name in ("a", "b", "c")}
    assert sorted(joined(*runs.values())) == [0, 2, 2]
    refused = [Path(name).read_text() for name, run in runs.items() if run.exitcode == 2]
    for said in refused:
        assert said.count("\n") == 1
        assert "one process at a time searches on an SQLite file" in said
    check_end(url)
    assert {trial.state for trial in trials_of(url)} == {TrialState.COMPLETE}
    assert len(distinct(url)) == 200


@pytest.mark.slow
def test_who_comes_while_a_run_is_on_a_file_is_told_why_it_cannot_work(start: Start, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    first = start(url, *SEARCH, "--trials", 200)
    wait_for_news(first, url, 5)
    second = start(url, *SEARCH, "--trials", 200, log="second")
    assert joined(second, first) == [2, 0]
    said = Path("second").read_text()
    assert said.count("\n") == 1
    assert "one process at a time searches on an SQLite file" in said
    assert len(distinct(url)) == 200


# A real search


@pytest.mark.slow
def test_a_real_search_killed_again_and_again_loses_nothing_and_its_ledger_is_whole(
    start: Start, images: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    trials = REAL_KILLS + 2
    line = (url, *TINY, "--no-finalists", "--data", f"folder:{images}", "--trials", trials)
    rng = random.Random(0)
    run = start(*line)
    known = completed(url)
    for _ in range(REAL_KILLS):
        wait_for_news(run, url, len(known))
        kill_at_random(run, rng, group=True)
        now = completed(url)
        assert known.items() <= now.items(), "what was complete stays so"
        assert len(now) < trials, "the kill came amid the search"
        known = now
        run = start(*line, "--resume")
    assert joined(run) == [0]
    check_end(url)
    # An evaluation may fail by itself, which is told with its cause and counts; no kill may be that cause.
    ended = [trial for trial in trials_of(url) if trial.user_attrs.get(CAUSE) != INTERRUPTED]
    assert len(ended) == trials
    assert not [trial for trial in ended if "died with exit code" in trial.user_attrs.get(CAUSE, "")]
    check_ledger(url)


def check_ledger(url: str) -> None:
    """Every row is whole, for its digest is that of its content; every completed trial's training is among them."""
    engine = engine_of(url)
    with engine.connect() as connection:
        trainings = connection.execute(select(EVALUATIONS)).all()
        digests = set(connection.scalars(select(LATENCIES.c.digest)))
    measurements = Ledger(engine).measurements()
    engine.dispose()
    assert digests == {measured.digest for measured in measurements}
    for row in trainings:
        architecture = Architecture.from_dict(row.architecture)
        assert row.network == architecture.key()
        assert row.digest == Question(architecture, row.method, row.data, row.seed, row.device).digest
    trained = {row.network: row.result["validation_accuracies"] for row in trainings}
    timed = {measured.network for measured in measurements}
    for trial in trials_of(url):
        if trial.state is TrialState.COMPLETE:
            assert trained[trial.user_attrs["key"]] == trial.user_attrs["training"]["validation_accuracies"]
            assert trial.user_attrs["key"] in timed
