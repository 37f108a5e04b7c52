"""Does a machine of sixteen cores search eight times as fast as one of two? Does asking keep workers waiting?

    python tests/benchmarks/worker_scaling.py --workers 1,2,15 --seconds 300

runs the search itself, sampler, database and worker processes included, over the default space at 140 MFLOPs. Only its
evaluations are made up: each worker sleeps `--evaluation` seconds, the time that a short training and its latency take
on a core, and so sixteen of them need no sixteen cores. What is asked for and kept is worked on by one process, whose
share of the time is printed: it bounds how many workers one machine can keep busy.
"""

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nas.search.accuracy import accuracy_for
from nas.search.ledger_lookup import LedgerLookup, SearchedOn
from nas.search.loop import Limits, Search
from nas.search.shufflenet_problem import ShuffleNets
from nas.workers.local import LocalWorkers
from search_space import Architecture, SearchSpace, cost_of
from studies.facts import LatencyFacts, TrainingFacts
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations
from studies.record import Record
from studies.storage.coordinators import Coordinator
from studies.storage.retry import Retry
from studies.storage.studies import open_storage, open_study, references_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from builders.settings import settings_from

ANCHOR_MS = 5.0
LATENCY = {"spread": 0.02, "noisy": False, "seconds": 2.0, "taken_at": 1e9, "reference_p10_ms": ANCHOR_MS}
WHERE = SearchedOn("none", "none", "none", "1.0", ANCHOR_MS, {"host": "here", "versions": {}})


class Sleeper:
    """An evaluator that sleeps as long as an evaluation takes, and gives back numbers drawn by the network's key."""

    def __init__(self, settings: Any, folder: Path) -> None:
        self._seconds = settings.evaluation

    def is_up(self) -> bool:
        """That the process is there, with all that it imports."""
        return True

    def evaluate(self, architecture: Architecture, anchor_ms: float, *known: Mapping[str, Any] | None) -> Record:
        """A record that says nothing of the network."""
        time.sleep(self._seconds)
        cost = cost_of(architecture)
        drawn = int(hashlib.sha256(architecture.key().encode()).hexdigest()[:4], 16) / 2**16
        losses = {"training_losses": [2.0, 1.5 - drawn], "validation_losses": [1.5 - drawn / 2]}
        training = {
            **losses,
            "validation_accuracies": [0.4 + drawn / 2],
            "seconds": self._seconds - 2,
            "num_classes": 10,
        }
        latency_ms = anchor_ms * cost.macs / 145e6
        return Record.of_parts(
            architecture, cost, LatencyFacts({**LATENCY, "latency_ms": latency_ms}), TrainingFacts(training), "here"
        )


def trials_in(seconds: float, workers: int, evaluation: float, folder: Path) -> tuple[int, float]:
    """How many trials so many workers evaluated in that time, and the share of it that the asking process worked."""
    storage = open_storage(f"sqlite:///{folder}/{workers}.db")
    study = open_study(storage, "one", {"data_fingerprint": "none"}, resume=False)
    references = references_of(study, storage)
    settings = replace(settings_from("--sampler", "surrogate"), seconds=seconds)
    accuracy = accuracy_for(settings.setup, "none")
    lookup = LedgerLookup(settings, WHERE, Ledger(storage.engine), Evaluations(storage.engine))
    space = SearchSpace.default(settings.budget)
    problem = ShuffleNets(settings, space, references, ANCHOR_MS, accuracy, lookup)
    ended: list[str] = []
    sleepers = LocalWorkers(SimpleNamespace(workers=workers, evaluation=evaluation), "worker_scaling:Sleeper")
    with sleepers as made, Coordinator(study, references) as coordinator:
        for worker in made.all:
            worker.call("is_up")  # before the clock starts
        retry = Retry("sqlite://", ended.append)
        search = Search(problem, study, references, Limits(None, seconds), coordinator, retry, ended.append)
        started = time.process_time()
        search.run(made, ())
        worked = time.process_time() - started
    storage.engine.dispose()
    return sum("trial" in line for line in ended), worked / seconds


def main() -> None:
    """Prints trials an hour by the number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2,15", help="numbers of workers, joined by commas")
    parser.add_argument("--seconds", type=float, default=300, help="how long each search takes")
    parser.add_argument("--evaluation", type=float, default=30, help="how many seconds an evaluation takes")
    args = parser.parse_args()
    print(f"{args.evaluation:g} s an evaluation, {args.seconds:g} s a search")
    print(f"{'workers':>8}{'trials':>8}{'an hour':>9}{'of what they could':>20}{'asking process busy':>21}")
    with tempfile.TemporaryDirectory() as folder:
        for workers in map(int, args.workers.split(",")):
            trials, busy = trials_in(args.seconds, workers, args.evaluation, Path(folder))
            most = workers * args.seconds / args.evaluation
            row = f"{workers:8}{trials:8}{3600 * trials / args.seconds:9.0f}{trials / most:19.0%}{busy:20.0%}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
