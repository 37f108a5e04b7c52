"""How a study's accuracies are shown: in percent where the level of its data is known, else in points beside another.

A fit that saw no full training on these data says how networks differ, and not how high they reach: a percentage of
such an accuracy is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

from search_space.reading import is_number
from studies.front import nearest_reference
from studies.record import Record

ACCURACY = "accuracy"
"""The study's attribute that keeps how its accuracies are had."""
FIRST_CHOICE = "v2-1.0x"
"""The reference that figures count points from, where it was evaluated."""


@dataclass(frozen=True, slots=True)
class AccuracyScale:
    """Percent, or points above or below another network.

    In figures all points are counted from `zero`; in tables those of a searched network from the one of `references`
    that is nearest in latency. `error` is the standard deviation of a prediction, in [0, 1], where a record has none of
    its own; None where it is not known.
    """

    is_level_known: bool = True
    error: float | None = None
    references: tuple[Record, ...] = ()
    zero: Record | None = None

    @classmethod
    def of(
        cls, is_level_known: bool, error: float | None, records: Sequence[Record], references: Sequence[Record]
    ) -> AccuracyScale:
        """The scale of a study's records and references; without a reference points are counted from the fastest."""
        if is_level_known:
            return cls(error=error)
        return cls(False, error, tuple(references), _zero_of(records, references))

    @classmethod
    def of_study(
        cls, attributes: Mapping[str, Any], records: Sequence[Record], references: Sequence[Record]
    ) -> AccuracyScale:
        """The scale of a study by its user attributes."""
        kept = attributes.get(ACCURACY)
        fit = (kept.get("fit") if isinstance(kept, Mapping) else None) or {}
        error = fit.get("error")
        # What says nothing of its level was fitted to the data themselves, or is the training's own accuracy.
        return cls.of(
            bool(fit.get("is_level_known", True)), error if is_number(error, 0.0, 1.0) else None, records, references
        )

    @property
    def column(self) -> str:
        """What a table calls the numbers."""
        return "accuracy %" if self.is_level_known else "points"

    @property
    def unit(self) -> str:
        """What a number is of: "%" or "points"."""
        return "%" if self.is_level_known else "points"

    @property
    def axis(self) -> str:
        """What a figure calls them, in few enough words to stand along its side."""
        if self.is_level_known:
            return "predicted accuracy, %"
        return f"predicted points above {self.zero.name if self.zero else 'a reference'}"

    @property
    def note(self) -> str:
        """What a table's numbers are, as far as that is not plain; "" where it is."""
        if self.is_level_known:
            return "" if self.error is None else "± of an accuracy is one standard deviation of its prediction."
        return (
            "points: predicted accuracy above that of the network named beside it, ± one standard deviation of the "
            "difference; the level of these data is not known."
        )

    def error_of(self, record: Record) -> float | None:
        """The standard deviation of a record's accuracy, in [0, 1]; None where it is not known."""
        return self.error if record.accuracy_error is None else record.accuracy_error

    def height(self, accuracy: float) -> float:
        """Where an accuracy in [0, 1] stands on a figure's axis."""
        return 100 * (accuracy - (0.0 if self.zero is None else self.zero.accuracy))

    def height_of(self, record: Record) -> float:
        """Where a record's accuracy stands on a figure's axis."""
        return self.height(record.accuracy)

    def height_text(self, accuracy: float) -> str:
        """The same in words: "61.2 %", or "-1.4 points beside v2-1.0x"."""
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        height = round(self.height(accuracy), 1) + 0.0
        return f"{height:.1f} %" if self.is_level_known else f"{height:+.1f} points beside {self._zero_text()}"

    def beside(self, record: Record) -> Record | None:
        """The network that a table counts the record's points from; None for the one that others are counted from.

        That of a searched network is the reference nearest in latency; of a reference, and without any, it is `zero`.
        """
        nearest = None if record.reference else nearest_reference(record, self.references)
        other = nearest or self.zero
        return None if other is None or _is_same(other, record) else other

    def text(self, record: Record, *, with_error: bool = True) -> str:
        """The record's number in a table: "86.1 ±0.6" in percent, "+1.8 ±0.8" in points."""
        if self.is_level_known:
            return f"{100 * record.accuracy:.1f}" + (_error_text(self.error_of(record)) if with_error else "")
        other = self.beside(record)
        if other is None:
            return "0.0" if self.zero is not None else ""
        points = round(100 * (record.accuracy - other.accuracy), 1) + 0.0
        error = _error_text(self.error_of(record), self.error_of(other)) if with_error else ""
        return f"{points:+.1f}{error}"

    def phrase(self, record: Record) -> str:
        """The same where no column says what it is: "86.1 ±0.6 %", "+1.8 ±0.8 points vs v2-1.0x"."""
        if self.is_level_known:
            return f"{self.text(record)} %"
        other = self.beside(record)
        if other is None:
            return "0 points by definition" if self.zero is not None else "no reference to compare with yet"
        return f"{self.text(record)} points vs {other.name}"

    def _zero_text(self) -> str:
        if self.zero is None:
            return "a reference"
        return self.zero.name if self.zero.reference else f"{self.zero.name}, the fastest network"


PERCENT = AccuracyScale()
"""That of measured accuracies, and of studies that say nothing of theirs."""


def _zero_of(records: Sequence[Record], references: Sequence[Record]) -> Record | None:
    """V2 1.0x where it was evaluated, else the largest reference, else the fastest network."""
    chosen = [record for record in references if record.reference == FIRST_CHOICE]
    largest = max(references, key=lambda record: record.macs, default=None)
    return chosen[0] if chosen else largest or min(records, key=lambda record: record.latency_ms, default=None)


def _is_same(one: Record, other: Record) -> bool:
    return (one.architecture, one.reference) == (other.architecture, other.reference)


def _error_text(*errors: float | None) -> str:
    """The standard deviation of a number, or of the difference of two; "" where it is not known."""
    known = [error for error in errors if error is not None]
    return f" ±{100 * hypot(*known):.1f}" if len(known) == len(errors) else ""
