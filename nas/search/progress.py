"""Progress on stderr: a line for each evaluation, and on a terminal a live bar with the time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from optuna.study import Study
from rich.progress import BarColumn, Progress, TextColumn

from nas.cli.command import clock
from nas.cli.terminal import console
from studies.storage.database_errors import is_away
from studies.storage.studies import networks_in

REFRESH_SECONDS = 2.0


class SearchProgress:
    """Shows how far a study is: trials done, best so far, time left. A context; call `report` with each news."""

    def __init__(
        self, study: Study, trials: int | None, seconds_left: Callable[[], float], standing: Callable[[Study], str]
    ) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn())
        self._progress = Progress(*columns, console=console())
        self._study = study
        self._trials = trials
        self._seconds_left = seconds_left
        self._standing = standing
        self._ended, self._summary = 0, "no front yet"
        self._started = self._refreshed = time.monotonic()
        self._task = self._progress.add_task("starting", total=1.0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def report(self, line: str) -> None:
        """Prints the line, if there is one, and brings the bar up to date every now and then."""
        if line:
            # Where no live bar is drawn, as in a log, each line says how far the study is.
            beside = "" if self._progress.console.is_terminal else f" | {self._describe()}"
            self._progress.console.print(line + beside)
        elif time.monotonic() - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = time.monotonic()
        self._progress.update(self._task, description=self._describe(), completed=self._share_done())

    def _describe(self) -> str:
        try:
            self._ended, self._summary = networks_in(self._study), self._standing(self._study)
        except Exception as error:
            if not is_away(error):  # the search waits for a database that is away, and says so; what was known stands
                raise
        of = f" of {self._trials}" if self._trials else ""
        return f"{self._ended}{of} trials, {self._summary}, {clock(max(0.0, self._seconds_left()))} left"

    def _share_done(self) -> float:
        passed = time.monotonic() - self._started
        by_time = passed / max(1e-9, passed + self._seconds_left())
        by_trials = self._ended / self._trials if self._trials else 0.0
        return min(1.0, max(by_time, by_trials))
