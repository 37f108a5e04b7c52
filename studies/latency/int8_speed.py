"""How much faster networks are in int8 than in fp32, where both were timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot

from studies.display import TIE, in_int8
from studies.facts import LatencyFacts
from studies.record import Record

MOST_NAMED = 5

Fp32 = Mapping[str, LatencyFacts]
"""By an architecture's key, how it was timed in fp32 beside its time in int8."""


def times_faster(record: Record, fp32: Fp32) -> float | None:
    """How many times as fast in int8 as in fp32 a record's network is; None where it was not timed in both."""
    other = fp32.get(record.architecture.key())
    return other.latency_ms / record.latency_ms if other else None


def is_faster(record: Record, fp32: Fp32) -> bool:
    """Whether a network that was timed in both is faster in int8: by more than `TIE`, and than the error of both."""
    other, ratio = fp32[record.architecture.key()], times_faster(record, fp32)
    return ratio is not None and ratio >= max(TIE, 1 + hypot(record.latency_spread, other.spread) / 2)


def speed_line(records: Sequence[Record], fp32: Fp32) -> str:
    """Whether int8 is faster here, of all records that were timed in int8; "" where none was."""
    timed = in_int8(records)
    if not timed:
        return ""
    ratios = {record.name: ratio for record in timed if (ratio := times_faster(record, fp32)) is not None}
    if not ratios:
        return "whether int8 is faster than fp32 here is not known: none of these networks was timed in fp32 too"
    slow = [record.name for record in timed if record.name in ratios and not is_faster(record, fp32)]
    least, most = min(ratios.values()), max(ratios.values())
    of_all = f"{least:.2f} to {most:.2f} times" if len(ratios) > 1 else f"{least:.2f} times"
    those = f"the {len(ratios)} networks timed in both are" if len(ratios) > 1 else "the one network timed in both is"
    beside = f"{those} {of_all} as fast in int8 as in fp32"
    if not slow:
        return f"int8 is faster than fp32 here: {beside}"
    if len(slow) == len(ratios):
        return f"int8 is no faster than fp32 here: {beside}"
    named = ", ".join(slow[:MOST_NAMED]) + (f" and {len(slow) - MOST_NAMED} more" if len(slow) > MOST_NAMED else "")
    return f"int8 is no faster than fp32 here for {len(slow)} of {len(ratios)} networks ({named}): {beside}"
