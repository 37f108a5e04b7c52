"""Retries a step while its database does not answer, until it does or the time for that is up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from search_space.errors import InputError
from studies.storage.database_errors import is_away, is_full, reason_of
from studies.storage.secrets import shown_url

RETRY_SECONDS = 120.0
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """How long the database at `url` may be away; `report` is called with a line when it goes and when it is back.

    A step may have been done although its end was not heard of: only steps that can be done twice are for it.
    """

    url: str
    report: Callable[[str], None]
    seconds: float = RETRY_SECONDS

    def __call__(self, step: Callable[[], T]) -> T:
        """What the step gives, once it succeeds.

        Raises:
            InputError: the database stayed away, or there is no room left in it.
        """
        since: float | None = None
        wait = FIRST_WAIT_SECONDS
        while True:
            try:
                result = step()
            except Exception as error:
                self._check_room(error)
                if not is_away(error):
                    raise
                if since is None:
                    since = time.monotonic()
                    text = f"{self._called()} does not answer: {reason_of(error)}"
                    self.report(f"{text}; trying again for {self.seconds:.0f} s")
                left = since + self.seconds - time.monotonic()
                self._check_left(left, error)
                time.sleep(min(wait, left))
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            else:
                if since is not None:
                    self.report(f"{self._called()} answers again, after {time.monotonic() - since:.0f} s")
                return result

    def _called(self) -> str:
        return f"the database {shown_url(self.url)}"

    def _check_room(self, error: Exception) -> None:
        if is_full(error):
            raise InputError(
                f"a study needs room to be kept, and {self._called()} has none left: {reason_of(error)}; "
                "free some, and the same line with --resume goes on"
            ) from error

    def _check_left(self, seconds: float, error: Exception) -> None:
        if seconds <= 0:
            raise InputError(
                f"a study needs its database, and {self._called()} did not answer for {self.seconds:.0f} s: "
                f"{reason_of(error)}; what was reported is kept; once it answers, the same line with --resume goes on"
            ) from error
