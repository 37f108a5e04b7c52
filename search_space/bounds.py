"""Numbers that come from outside, in flags, files and databases: each has a least and a most. And plain digits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from search_space.errors import InputError
from search_space.reading import shown

_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_REAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
_MOST_CHARACTERS = 40
"""A longer text is no number within any bounds, and would only cost time."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The numbers from `least` to `most`, both included: whole ones, or any where not `is_whole`."""

    least: float
    most: float
    is_whole: bool = True

    def read(self, name: str, text: str) -> float:
        """The number that a text writes in plain digits; an int where the bounds are of whole numbers.

        Raises:
            InputError: it writes none, or one beyond the bounds.
        """
        # Python itself would take 1_0 and other alphabets' digits, and raises its own error beyond 4300 of them.
        given = text.strip()
        if len(given) > _MOST_CHARACTERS or not (_WHOLE if self.is_whole else _REAL).fullmatch(given):
            raise InputError(f"{name} must be {self}, got {shown(text)}")
        number = int(given) if self.is_whole else float(given)
        self.check(name, number)
        return number

    def check(self, name: str, value: Any) -> None:
        """Refuses what is no number within the bounds; `name` says in the message what it is.

        Raises:
            InputError: `value` is no number of their kind, not finite, or beyond one of them.
        """
        is_number = isinstance(value, int | (int if self.is_whole else float)) and not isinstance(value, bool)
        if not is_number or (isinstance(value, float) and not math.isfinite(value)):
            raise InputError(f"{name} must be {self}, got {shown(value)}")
        if value < self.least:
            raise InputError(f"{name} must be at least {plain(self.least)}, got {shown(value)}")
        if value > self.most:
            raise InputError(f"{name} must be at most {plain(self.most)}, got {shown(value)}")

    def __str__(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        return f"{kind} from {plain(self.least)} to {plain(self.most)}"


SEEDS = Bounds(0, 2**31 - 1)
"""What PostgreSQL's INTEGER holds. Of a larger seed torch would use the last 32 bits alone."""
RESOLUTIONS = Bounds(32, 4096)
"""Pixels of the square image that a network is deployed for."""
IMAGE_SIZES = Bounds(8, 1024)
"""Pixels of the square images that a network is trained on."""
CLASSES = Bounds(2, 100_000)
CHANNELS = Bounds(1, 1024)
"""Channels of images."""
BATCHES = Bounds(1, 65_536)
"""Images at once."""
EPOCHS = Bounds(1, 100_000)
NETWORKS = Bounds(1, 1_000_000)
"""How many networks, trials or entries of a ledger are asked for."""
SEED_COUNTS = Bounds(1, 100)
"""Trainings of one network."""
PROCESSES = Bounds(1, 4096)
"""Workers; those of one machine are bounded by its cores too."""
LEARNING_RATES = Bounds(1e-9, 100.0, is_whole=False)
SECONDS = Bounds(0.001, 366 * 86_400, is_whole=False)
"""How long something may take: up to a year."""
PORTS = Bounds(0, 65_535)


def plain(number: float, digits: int | None = None) -> str:
    """The number without an exponent: "1000000", "0.001"; where only so many digits count, as "0.145" for 0.14498.

    Digits before the point are never left out, so that 136426 has six of them at any rate.
    """
    if not math.isfinite(number):
        return str(number)
    if digits is not None and number:
        number = round(number, max(0, digits - 1 - math.floor(math.log10(abs(number)))))
    text = f"{Decimal(repr(number)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
