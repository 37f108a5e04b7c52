"""What the database costs a search: workers that only replay a table, and asking and telling among many trials.

`python tests/benchmarks/storage.py`: 2,000 trials by one run with 8 workers on an SQLite file, and by 8 runs of one
worker each that join a study on PostgreSQL, which is started here on loopback. Printed for each: how many trials were
lost or run twice, what went wrong, milliseconds a trial and the share of asking and telling in them. Then how long a
trial takes to ask for and to tell where 5,000 are kept.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState

from nas.search.benchmark.problem import OBJECTIVES, FinishedNetworks
from search_space.budget import Budget
from studies.record import KEY
from studies.sampling.benchmark_table import FinishedTable
from studies.storage.coordinators import Coordinator
from studies.storage.studies import open_storage, open_study, references_of
from studies.storage.trials import CAUSE, INTERRUPTED

sys.path.insert(0, str(Path(__file__).parents[1]))
from processes import postgresql

PLACES, LETTERS = 8, "0123"
STUDY = "replayed"


def write_table(path: Path, seed: int = 0) -> Path:
    """A made-up table of 65,536 networks: what counts is how often it is asked, not what it says."""
    rng = random.Random(seed)
    codes = [""]
    for _ in range(PLACES):
        codes = [code + letter for code in codes for letter in LETTERS]
    rows = {
        code: {"test_acc": [60 + sum(map(int, code)) + rng.random()], "flops": 1 + sum(map(int, code)), "params": 1}
        for code in codes
    }
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def replay(
    url: str, table: Path, out: Path, flags: argparse.Namespace, *, runs: int, workers: int
) -> tuple[str, float]:
    """What is to be said of so many runs of so many workers each, and milliseconds a trial by the clock on the wall."""
    line = [sys.executable, "-m", "nas.run", "--scorer", f"table:{table}", "--storage", url, "--study", STUDY]
    line += ["--out", str(out), "--trials", str(flags.trials), "--sampler", flags.sampler, "--time", "2h"]
    line += ["--workers", str(workers)]
    started = time.perf_counter()
    processes = [
        subprocess.Popen(
            [*line, "--workers", str(workers)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for _ in range(runs)
    ]
    said = [process.communicate()[1] for process in processes]
    seconds = time.perf_counter() - started
    statuses = [process.returncode for process in processes]
    wrong = [text for text in said if "locked" in text or "Error" in text or "does not answer" in text]
    text = f"{_counts(url, flags.trials)}, {len(wrong)} errors, exit statuses {sorted(set(statuses))}"
    return text, 1000 * seconds / flags.trials


def _counts(url: str, wanted: int) -> str:
    storage = open_storage(url)
    trials = optuna.load_study(study_name=STUDY, storage=storage).get_trials()
    storage.engine.dispose()
    evaluated = [trial for trial in trials if trial.state is TrialState.COMPLETE and "replayed" not in trial.user_attrs]
    twice = sum(count - 1 for count in Counter(trial.user_attrs[KEY] for trial in evaluated).values())
    kept = [trial for trial in trials if trial.user_attrs.get(CAUSE) != INTERRUPTED]
    unfinished = sum(not trial.state.is_finished() for trial in trials)
    return f"{len(kept)} trials, {wanted - len(kept)} lost, {unfinished} unfinished, {twice} networks run twice"


def ask_and_tell(url: str, table: FinishedTable, kept: int, flags: argparse.Namespace) -> Sequence[float]:
    """Milliseconds to ask for a trial and to tell it, each time, in a study that has so many."""
    storage = open_storage(url)
    study = open_study(storage, f"holds-{kept}", {}, resume=False, objectives=OBJECTIVES)
    problem = FinishedNetworks(table, Budget(), flags.sampler, 0)
    codes = random.Random(1).sample(sorted(table.entries), kept)
    names = list(table.distributions())
    for code in codes:
        entry = table.entries[code]
        params = {name: int(letter) for name, letter in zip(names, code, strict=True)}
        attributes = {KEY: code, "macs": entry.macs, "params": entry.params, "mean_accuracy": entry.accuracy}
        values = [entry.accuracy, float(entry.macs)]
        distributions = table.distributions()
        study.add_trial(
            optuna.create_trial(params=params, distributions=distributions, values=values, user_attrs=attributes)
        )
    taken = []
    with Coordinator(study, references_of(study, storage)) as coordinator:
        for position in range(flags.asks):
            started = time.perf_counter()
            with coordinator.asking():
                coordinator.requeue_orphans()
                study.sampler = problem.sampler(study, position)
                trial = coordinator.ask(study)
                candidate = problem.suggest(trial)
                trial.set_user_attr(KEY, candidate.key())
            outcome = problem.outcome(candidate, candidate.accuracy, "")
            coordinator.tell(study, trial, outcome.values, outcome.state, outcome.attributes)
            taken.append(1000 * (time.perf_counter() - started))
    storage.engine.dispose()
    return taken


def main() -> None:
    """Prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--kept", type=int, default=5000)
    parser.add_argument("--asks", type=int, default=50)
    parser.add_argument("--sampler", default="random")
    flags = parser.parse_args()
    with ExitStack() as held:
        here = Path(held.enter_context(tempfile.TemporaryDirectory()))
        table = write_table(here / "table.json")
        print(summary_lines(f"sqlite:///{here}/study.db", table, flags, runs=1, workers=flags.workers), flush=True)
        if reason := postgresql.missing():
            print(f"PostgreSQL: {reason}")
            return
        server = postgresql.Server(is_durable=True)
        held.callback(server.remove)
        print(summary_lines(server.url, table, flags, runs=flags.workers, workers=1), flush=True)


def summary_lines(url: str, file: Path, flags: argparse.Namespace, *, runs: int, workers: int) -> str:
    """All that is to be said of one kind of database."""
    name = url.partition(":")[0]
    replayed, milliseconds = replay(url, file, file.parent / name, flags, runs=runs, workers=workers)
    few = ask_and_tell(url, FinishedTable.from_file(file), 0, flags)
    many = ask_and_tell(url, FinishedTable.from_file(file), flags.kept, flags)
    share = 100 * np.median(few) / milliseconds
    return (
        f"{name}, {runs} runs of {workers} workers: {replayed}; asking and telling takes {np.median(few):.1f} ms of a "
        f"trial's {milliseconds:.1f} ({share:.0f} %)\n{name}, ask + tell with {flags.kept} trials kept: "
        f"median {np.median(many):.1f} ms, 95th percentile {np.percentile(many, 95):.1f} ms"
    )


if __name__ == "__main__":
    main()
