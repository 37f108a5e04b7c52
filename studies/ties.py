"""Ties: networks whose latencies and accuracies are too near to tell which is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import combinations
from string import ascii_lowercase

from studies.display import TIE
from studies.record import Record

Pairs = Sequence[tuple[int, int]]
LATENCY_RULE = f"latencies within {100 * (TIE - 1):.0f} % of each other"
RULE = f"{LATENCY_RULE} and error bars of accuracy that overlap"


def tied_pairs(records: Sequence[Record], errors: Sequence[float | None]) -> list[tuple[int, int]]:
    """The places of each two records that are tied, the smaller place first.

    Latencies are tied below a ratio of `TIE`, accuracies within the sum of their `errors`, one a record, in [0, 1].
    Where an error is not known, None, the latencies alone decide.
    """
    return [
        (one, other)
        for one, other in combinations(range(len(records)), 2)
        if records[one].architecture != records[other].architecture
        and _as_fast(records[one], records[other])
        and _as_accurate(records[one], records[other], errors[one], errors[other])
    ]


def letters_of(count: int, pairs: Pairs) -> list[str]:
    """For each of `count` places the letters of its ties, "a c": those that share one are tied.

    A letter stands for a largest set of which every two are a pair, since to be tied is not transitive (the compact
    letter display of Piepho 2004). A place without a tie has none.
    """
    tied: dict[int, set[int]] = {place: set() for place in range(count)}
    for one, other in pairs:
        tied[one].add(other)
        tied[other].add(one)
    sets = sorted(sorted(each) for each in _largest(set(), set(tied), set(), tied) if len(each) > 1)
    return [" ".join(_letter(number) for number, each in enumerate(sets) if place in each) for place in range(count)]


def _as_fast(one: Record, other: Record) -> bool:
    return max(one.latency_ms, other.latency_ms) / min(one.latency_ms, other.latency_ms) < TIE


def _as_accurate(one: Record, other: Record, error: float | None, others: float | None) -> bool:
    return error is None or others is None or abs(one.accuracy - other.accuracy) <= error + others


def _largest(found: set[int], open_: set[int], seen: set[int], tied: Mapping[int, Set[int]]) -> Iterator[set[int]]:
    """All sets that hold `found`, of which every two are tied and that cannot grow (Bron & Kerbosch 1973)."""
    if not open_ and not seen:
        yield found
    for place in sorted(open_):
        yield from _largest(found | {place}, open_ & tied[place], seen & tied[place], tied)
        open_, seen = open_ - {place}, seen | {place}


def _letter(number: int) -> str:
    rounds, place = divmod(number, len(ascii_lowercase))
    return ascii_lowercase[place] * (rounds + 1)
