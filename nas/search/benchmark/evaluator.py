"""Scores read from a table of finished trainings, in a worker process: a search without a GPU, data or time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studies.sampling.benchmark_table import FinishedTable


class TableScorer:
    """Answers with one of a network's finished trainings; `settings` name the table and the seed."""

    def __init__(self, settings: Any, folder: Path) -> None:
        self._table = FinishedTable.from_file(settings.table)
        self._seed = settings.seed

    def score(self, code: str) -> float:
        """The accuracy, in [0, 1], of the training that the seed means."""
        return self._table.entries[code].accuracy_of(self._seed)
