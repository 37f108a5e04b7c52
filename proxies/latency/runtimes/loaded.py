"""What a runtime makes of a network's file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from proxies.latency.protocol import Timed

Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Loaded:
    """A network ready to be timed: `timed` runs it once.

    `outputs` runs it once and gives what it computed: arrays that numpy takes, in the order in which torch gives them.
    """

    timed: Timed
    outputs: Callable[[], Sequence[Any]]
