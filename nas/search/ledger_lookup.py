"""What the ledger spares a search: latencies and trainings that were had before, for whatever study."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas.search.settings import Settings
from proxies.latency.runtimes import RUNTIMES
from search_space.architecture import Architecture
from studies.checked_facts import LEARNED, checked_latency, checked_training
from studies.facts import LatencyFacts, TrainingFacts
from studies.ledger.latencies import Ledger, Measured
from studies.ledger.trainings import Evaluations, Question
from studies.record import Record, Rejected

Parts = tuple[LatencyFacts | None, TrainingFacts | None]
"""A latency and a training, as far as they are known."""


@dataclass(frozen=True, slots=True)
class SearchedOn:
    """On what a search evaluates: data and device by their fingerprints, the anchor's latency, the workers' versions.

    `device` is the name that the user gave it where there is one.
    """

    data: str
    device: str
    fingerprint: str
    runtime_version: str
    anchor_ms: float
    made_by: Mapping[str, Any] = field(hash=False)


class LedgerLookup:
    """A ledger as one study uses it; counts what it spared."""

    def __init__(self, settings: Settings, where: SearchedOn, ledger: Ledger, evaluations: Evaluations) -> None:
        self._settings = settings
        self._where = where
        self._ledger = ledger
        self._evaluations = evaluations
        self.latencies = self.trainings = 0
        self.seconds = 0.0

    def of(self, architecture: Architecture) -> Parts:
        """Latency, scaled to this study's anchor, and training of the architecture; None for what is not known."""
        return self._latency(architecture), self._training(architecture)

    def keep(self, architecture: Architecture, answer: Record | Rejected) -> None:
        """Enters what was done for the answer, and counts what was not. It may be kept once more.

        Raises:
            ImpossibleFacts: a part of it cannot be; then nothing is entered.
        """
        checked_latency(answer.latency.plain)
        if isinstance(answer, Record):
            checked_training(answer.training.plain, LEARNED)
        is_timed = not answer.latency.replayed
        is_trained = isinstance(answer, Record) and not answer.training.replayed
        if is_timed:
            self._ledger.add([self._measured(architecture, answer.latency)])
        if isinstance(answer, Record) and is_trained:
            made_by = {**self._where.made_by, "host": answer.where}
            self._evaluations.add(self._question(architecture), answer.training.plain, made_by, time.time())
        self.latencies += not is_timed
        self.trainings += isinstance(answer, Record) and not is_trained
        parts = [answer.latency, *([answer.training] if isinstance(answer, Record) else [])]
        self.seconds += sum(part.seconds for part in parts if part.replayed)

    def summary(self) -> str:
        """What was spared, in a line; "" where it is nothing."""
        if not self.latencies and not self.trainings:
            return ""
        spared = f"{self.trainings} trainings and {self.latencies} latencies"
        return f"{spared} were known from the ledger: {self.seconds / 60:.1f} minutes of a core saved"

    def _training(self, architecture: Architecture) -> TrainingFacts | None:
        found = self._evaluations.find(self._question(architecture))
        return TrainingFacts(found).changed(replayed=True) if found is not None else None

    def _latency(self, architecture: Architecture) -> LatencyFacts | None:
        settings = self._settings
        found = self._ledger.latest(
            network=architecture.key(),
            classes=settings.task.num_classes,
            resolution=settings.task.of(architecture).resolution,
            runtime=settings.latency.runtime,
            runtime_version=self._where.runtime_version,
            precision=RUNTIMES[settings.latency.runtime].computes_in(settings.latency.precision),
            device=self._where.device,
            fingerprint=self._where.fingerprint,
            batch_size=1,
        )
        # One that came of a bundle knows neither what it took nor the throughput.
        if found is None or not (found.latency.has("seconds") and found.latency.has("ratio")):
            return None
        if settings.latency.throughput_batch != found.latency.throughput_batch:
            return None
        return found.latency.scaled(self._where.anchor_ms).changed(replayed=True)

    def _question(self, architecture: Architecture) -> Question:
        settings = self._settings
        recipe = settings.recipe.of(architecture, settings.task.resolution)
        return Question(architecture, recipe.to_dict(), self._where.data, settings.seed, settings.device)

    def _measured(self, architecture: Architecture, latency: LatencyFacts) -> Measured:
        return Measured(
            network=architecture.key(),
            classes=self._settings.task.num_classes,
            device=self._where.device,
            source="run",
            latency=latency,
            architecture=architecture,
            study=self._settings.study,
        )
