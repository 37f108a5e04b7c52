"""How long one more evaluation takes, learnt from those of this run. Without torch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from statistics import fmean, median, pstdev

MOST_KEPT = 12
"""So many of the last ones count: a machine does not stay as busy as it was."""
LEAST_SPREAD = 0.1
"""No two evaluations of one network take the same time, whatever those seen say."""


class Durations:
    """How long evaluations took, each with its work in a unit of its own.

    Seconds go with the work, or are all about the same, as on a GPU that waits for its next kernel: whichever the last
    ones show more clearly.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=MOST_KEPT)

    def add(self, work: float, seconds: float) -> None:
        """Takes note of an evaluation."""
        self._seen.append((work, seconds))

    def typical(self) -> float:
        """The median of what was seen; 0 before anything was."""
        return median(seconds for _, seconds in self._seen) if self._seen else 0.0

    def expected(self, work: float) -> float:
        """The seconds that so much work takes in the middle; 0 before anything was seen."""
        return self._predicted(work)[0]

    def at_most(self, work: float) -> float:
        """The seconds that so much work takes with a standard deviation more than expected."""
        middle, spread = self._predicted(work)
        return middle * math.exp(max(LEAST_SPREAD, spread))

    def _predicted(self, work: float) -> tuple[float, float]:
        """The middle, and the standard deviation of its logarithm."""
        if not self._seen:
            return 0.0, 0.0
        flat = [math.log(seconds) for _, seconds in self._seen]
        rates = [math.log(seconds / each) for each, seconds in self._seen]
        if pstdev(flat) < pstdev(rates):
            return _middle(flat)
        middle, spread = _middle(rates)
        return work * middle, spread


def _middle(logarithms: Sequence[float]) -> tuple[float, float]:
    return math.exp(median(logarithms)), math.sqrt(fmean((each - median(logarithms)) ** 2 for each in logarithms))
