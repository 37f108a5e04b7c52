"""When a search evaluates a reference: the first at once, the others in a share of the time, nearest first."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

SHARE = 0.25
"""Of all workers' time, what references may take beyond the first one."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The seconds of all workers so far and in all, and how many are left until a search ends."""

    so_far: float
    in_all: float
    left: float


@dataclass(slots=True)
class Turns:
    """What evaluations took so far, and so which reference may begin. What is `free` is known, and takes no time."""

    free: Collection[str] = ()
    _paces: list[float] = field(default_factory=list)
    _spent: float = 0.0

    def took(self, size: float, seconds: float, *, is_reference: bool) -> None:
        """Takes note of what an evaluation took."""
        self._paces.append(seconds / size)
        self._spent += seconds if is_reference else 0.0

    def due(self, sizes: Mapping[str, float], running: Sequence[float], clock: Clock) -> str | None:
        """The first of the references that is expected to end in time and within the share of all of them.

        It may begin once they keep to that share of the time so far: until then None, as where there is none. One that
        is known may at any time. `running` are the sizes of those that are evaluated now.
        """
        if known := next((name for name in sizes if name in self.free), None):
            return known
        if not self._paces:  # where there is nothing else to evaluate, one tells how long the others take
            return next(iter(sizes), None) if not running and clock.so_far >= clock.in_all else None
        pace = statistics.median(self._paces)
        taken = self._spent + pace * sum(running)
        for name, size in sizes.items():
            if taken + pace * size <= SHARE * clock.in_all and pace * size <= clock.left:
                return name if taken + pace * size <= SHARE * clock.so_far else None
        return None
