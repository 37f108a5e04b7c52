"""What of a folder is not read: counted by reason, and reported in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

SYSTEM = "in system and hidden folders"
HIDDEN = "hidden or system files"
NO_IMAGE = "other files"
NOT_DECODED = "of formats that are not decoded here"
UNREADABLE = "unreadable"
NO_FILE = "broken links or special files"
CIRCLES = "links in a circle"
OUTSIDE = "outside the classes' folders"
_MOST_NAMED = 4


@dataclass(slots=True)
class LeftOut:
    """How many files are left out, by reason and by what there is to say of them: a suffix, a folder's name."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, reason: str, what: str, count: int = 1) -> None:
        """Counts files, where there are any."""
        if count:
            self.counts.setdefault(reason, Counter())[what] += count

    def add_all(self, other: LeftOut) -> None:
        """Counts those of another one too."""
        for reason, counter in other.counts.items():
            for what, count in counter.items():
                self.add(reason, what, count)

    def count(self, reasons: Iterable[str]) -> int:
        """How many there are for these reasons."""
        return sum(sum(self.counts[reason].values()) for reason in reasons if reason in self.counts)

    def __str__(self) -> str:
        return ", ".join(_text(reason, counter) for reason, counter in self.counts.items())


def _text(reason: str, counter: Counter[str]) -> str:
    """Such as "5 other files (.txt 4, .xml)"."""
    named = counter.most_common(_MOST_NAMED)
    shown = [what if count == 1 else f"{what} {count}" for what, count in named if what]
    more = ["..."] if len(counter) > _MOST_NAMED else []
    total = sum(counter.values())
    return f"{total} {reason}" + (f" ({', '.join([*shown, *more])})" if shown else "")
