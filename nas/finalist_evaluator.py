"""What finalists need of a worker process: trainings by any recipe, and latencies as the search measures them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.calibrator import Calibrator
from nas.evaluate import Evaluator
from nas.settings import Settings
from search_space.architecture import Architecture


class FinalistEvaluator:
    """Trains as a `Calibrator` and measures as an `Evaluator`, one call after the other."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._calibrator = Calibrator(settings, folder)
        self._evaluator = Evaluator(settings, folder)

    def data_fingerprint(self) -> str:
        """What identifies the data."""
        return self._calibrator.data_fingerprint()

    def made_by(self) -> dict[str, Any]:
        """The machine and the versions, as plain JSON."""
        return self._calibrator.made_by()

    def answer(self, architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
        """The training by the recipe that `method` is the fields of, as plain JSON."""
        return self._calibrator.answer(architecture, method, seed)

    def measure(self, architecture: Architecture, anchor_ms: float) -> dict[str, Any]:
        """The latency, scaled to the anchor's, as plain JSON; a noisy one is measured once more."""
        return self._evaluator.measure(architecture, anchor_ms)
