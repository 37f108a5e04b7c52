"""The Pareto front of accuracy against latency, picks from it, and the reference a network stands beside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from search_space.bounds import plain
from search_space.errors import InputError

if TYPE_CHECKING:
    from studies.record import Record

Item = TypeVar("Item")
PICKS = ("fastest", "best", "knee")


def undominated(items: Iterable[Item], price: Callable[[Item], float], gain: Callable[[Item], float]) -> list[Item]:
    """The items that no other beats: by more gain at no higher price, or by a lower price at no less gain.

    The cheapest first. Of equal ones the first stays, so that every point of the front stands in it once.
    """
    front: list[Item] = []
    for item in sorted(items, key=lambda item: (price(item), -gain(item))):
        if not front or gain(item) > gain(front[-1]):
            front.append(item)
    return front


def front_of(records: Iterable[Record]) -> list[Record]:
    """The records that no other beats by latency and accuracy, the fastest first; of equal ones the first."""
    return undominated(records, lambda record: record.latency_ms, lambda record: record.accuracy)


def pick(front: Sequence[Record], name: str, max_latency_ms: float | None = None) -> Record:
    """The record of a front that `name` means, among those of at most `max_latency_ms`.

    "fastest"; "best": the most accurate; "knee": the farthest from the line between those two, where more accuracy
    begins to cost much latency; or the beginning of an architecture's key.

    Raises:
        InputError: the front is empty, no record is that fast, or not just one has such a key.
    """
    if not front:
        raise InputError("there is nothing to pick: the front is empty")
    fitting = [record for record in front if max_latency_ms is None or record.latency_ms <= max_latency_ms]
    if not fitting:
        reached = f"the fastest takes {plain(front[0].latency_ms, 3)} ms"
        raise InputError(f"no network of the front takes at most {max_latency_ms} ms: {reached}")
    if name in PICKS:
        return {"fastest": fitting[0], "best": fitting[-1], "knee": _knee(fitting)}[name]
    found = [record for record in fitting if record.architecture.key().startswith(name)]
    if len(found) != 1 or not name:
        keys = ", ".join(record.architecture.key() for record in fitting)
        raise InputError(
            f"a pick is one of {', '.join(PICKS)} or begins just one key of the front; got {name!r} for {keys}"
        )
    return found[0]


def nearest_reference(record: Record, references: Sequence[Record]) -> Record | None:
    """The reference whose latency is nearest in ratio; None where there is none."""
    return min(references, key=lambda other: abs(math.log(other.latency_ms / record.latency_ms)), default=None)


def _knee(front: Sequence[Record]) -> Record:
    first, last = front[0], front[-1]
    if len(front) < 3:
        return last

    def height(record: Record) -> float:
        gained = (record.accuracy - first.accuracy) / (last.accuracy - first.accuracy)
        paid = (record.latency_ms - first.latency_ms) / (last.latency_ms - first.latency_ms)
        return gained - paid

    return max(front, key=height)
