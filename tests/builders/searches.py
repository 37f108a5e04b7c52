"""A study with all that a search on it needs, and workers that answer when they are asked."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from builders.records import record
from builders.settings import settings_from
from nas.search.accuracy import Accuracy
from nas.search.ledger_lookup import LedgerLookup, SearchedOn
from nas.search.loop import Limits, Search
from nas.search.shufflenet_problem import ShuffleNets
from nas.workers.protocol import Failure
from search_space import Architecture, Budget, SearchSpace
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations
from studies.record import Record, Rejected
from studies.storage.coordinators import Coordinator
from studies.storage.retry import Retry
from studies.storage.studies import open_study, references_of

ONE_CHOICE = """
units = ["v2"]
stem = 24
groups = [1]
splits = ["1/2"]
kernels = [3]
se = [false]
depths = [[4], [8], [4]]
growths_percent = [200]
heads = [1024]
activations = ["relu"]
fills_percent = [100]
alignment = 8
max_width = 4096
"""
ANCHOR_MS = 4.0
LATENCY = {
    **{"latency_ms": 2.5, "spread": 0.01, "noisy": False, "seconds": 2.0},
    **{"fingerprint": "abc", "runtime": "onnxruntime", "taken_at": 1e9, "reference_p10_ms": 4.0, "ratio": 0.625},
    **{"reference_ms": ANCHOR_MS, "runtime_version": "1.0", "precision": "float32", "batch_size": 1, "resolution": 224},
}
WHERE = SearchedOn("data", "abc", "abc", "1.0", ANCHOR_MS, {"host": "here", "versions": {}})
Answer = Callable[[Architecture], Record | Rejected | Failure]


def evaluated(architecture: Architecture, accuracy: float = 0.5) -> Record:
    """A made-up record: 10 seconds in all."""
    training = {"seconds": 8.0, "training_losses": [2.0], "validation_losses": [1.5]}
    return record(architecture, accuracy, macs=100, latency=LATENCY, training=training)


class FakeWorker:
    """A worker that answers when it is asked to."""

    def __init__(self, workers: "FakeWorkers") -> None:
        self._workers = workers
        self._architecture: Architecture | None = None

    def send(self, method: str, architecture: Architecture, anchor_ms: float, *known: Any) -> None:
        assert (method, anchor_ms) == ("evaluate", ANCHOR_MS)
        assert self._architecture is None
        self._architecture = architecture
        self._workers.sent.append(architecture)

    def receive(self) -> Any:
        assert self._architecture is not None
        architecture, self._architecture = self._architecture, None
        return self._workers.answer(architecture)


class FakeWorkers:
    """Workers of which one is ready at a time, in turn; `sent` holds what was asked of them."""

    def __init__(self, count: int = 1, answer: Answer = evaluated) -> None:
        self.answer = answer
        self.sent: list[Architecture] = []
        self.all = [FakeWorker(self) for _ in range(count)]

    def ready(self, busy: Sequence[FakeWorker], timeout_seconds: float) -> list[FakeWorker]:
        return list(busy[:1])

    def replace_dead(self, busy: object) -> None:
        pass


class Interrupted(FakeWorkers):
    """Workers that Ctrl-C reaches after some results."""

    def __init__(self, count: int, results: int) -> None:
        super().__init__(count)
        self._left = results

    def ready(self, busy: Sequence[FakeWorker], timeout_seconds: float) -> list[FakeWorker]:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return super().ready(busy, timeout_seconds)


class Bench:
    """A study on SQLite and all that a search on it needs."""

    def __init__(self, storage: RDBStorage, tmp_path: Path) -> None:
        self.study = open_study(storage, "one", {}, resume=False)
        self.references = references_of(self.study, storage)
        self.ledger, self.evaluations = Ledger(storage.engine), Evaluations(storage.engine)
        self.lines: list[str] = []
        self.left_out: list[str] = []
        self.accuracy = Accuracy(None, "the training's own")
        self.default_space = SearchSpace.default(Budget.parse("140mflops"))
        file = tmp_path / "space.toml"
        file.write_text(ONE_CHOICE)
        self.one_choice = SearchSpace.from_file(file, Budget.parse("140mflops"))

    def run(
        self,
        workers: FakeWorkers,
        *flags: str,
        trials: int | None = None,
        references: Sequence[str] = (),
        space: SearchSpace | None = None,
        **timing: Any,
    ) -> FakeWorkers:
        settings = replace(settings_from("--time", "1h", "--sampler", "random", *flags), trials=trials)
        lookup = LedgerLookup(settings, WHERE, self.ledger, self.evaluations)
        space = space or self.default_space
        problem = ShuffleNets(settings, space, self.references, ANCHOR_MS, self.accuracy, lookup)
        limits, retry = Limits(trials, settings.seconds), Retry("sqlite://", self.lines.append)
        with Coordinator(self.study, self.references) as coordinator:
            search = Search(
                problem, self.study, self.references, limits, coordinator, retry, self.lines.append, **timing
            )
            self.left_out = search.run(workers, references)  # type: ignore[arg-type]
        return workers

    def states(self) -> list[TrialState]:
        return [trial.state for trial in self.study.trials]

    def in_state(self, state: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(states=(state,))
