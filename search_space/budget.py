"""Budgets as people write them: "140mflops", "2.3 M params", "5ms", and several joined by commas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from search_space.bounds import Bounds, plain
from search_space.errors import InputError
from search_space.reading import shown

_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_TIMES_MS = {"us": Decimal("1e-3"), "ms": Decimal(1), "s": Decimal(1000)}
_COUNTS = Bounds(1, 10**15)
"""No bound is larger: up to here every whole number is written and read exactly."""
_TIMES = Bounds(1e-9, 10**15, is_whole=False)
_QUANTITY = re.compile(
    r"((?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[+-]?[0-9]+)?)\s*(?:([kmg]?)\s*(flops|params)|(us|ms|s))",
    re.ASCII | re.IGNORECASE,
)
_LONGEST = 60
"""Characters of a number with its unit."""
_MOST_DIGITS = 40
"""A number of more digits before its point is beyond all bounds, and too long to compute with."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper bounds, each None where there is none: multiply-adds, parameters, milliseconds a batch of one."""

    macs: int | None = None
    params: int | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        for name, bounds in (("macs", _COUNTS), ("params", _COUNTS), ("latency_ms", _TIMES)):
            if (value := getattr(self, name)) is not None:
                bounds.check(f"a budget's {name}", value)

    @classmethod
    def parse(cls, text: str) -> Budget:
        """The budget that `text` names, such as "140mflops", "0.6 GFLOPs", "2mparams,5ms".

        Raises:
            InputError: a part that is no number with a unit, is not above 0, or repeats a unit.
        """
        bounds: dict[str, float] = {}
        for part in text.split(","):
            name, value = _parse_part(part.strip(), text)
            if name in bounds:
                raise InputError(f"a budget names each unit once; {text!r} bounds {name} twice: keep one")
            bounds[name] = value
        counts = {name: int(value) for name, value in bounds.items() if name != "latency_ms"}
        return cls(**counts, latency_ms=bounds.get("latency_ms"))

    def __str__(self) -> str:
        """The budget as `parse` takes it back."""
        parts = [f"{_scaled(value)}{unit}" for value, unit in ((self.macs, "flops"), (self.params, "params")) if value]
        return ",".join(parts + ([f"{plain(self.latency_ms)}ms"] if self.latency_ms else []))

    def allows(self, macs: int, params: int) -> bool:
        """Whether a network of these counts is within the bounds that are known before anything is built."""
        return (self.macs is None or macs <= self.macs) and (self.params is None or params <= self.params)

    def share(self, macs: int, params: int) -> float:
        """How much of the budget such a network uses: 1 when the tighter of the two counts is all used."""
        return max(macs / self.macs if self.macs else 0.0, params / self.params if self.params else 0.0)


def _parse_part(part: str, text: str) -> tuple[str, float]:
    match = _QUANTITY.fullmatch(part) if len(part) <= _LONGEST else None
    if match is None:
        raise InputError(
            "a budget is a number with a unit, such as 140mflops, 2.3mparams or 5ms, joined by commas; "
            f"got {shown(text)}"
        )
    written, scale, count, time = match.groups()
    try:
        number = Decimal(written)
    except InvalidOperation:  # an exponent of twenty digits
        number = Decimal("Infinity")
    bounds = _TIMES if time else _COUNTS
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        value = number
    else:
        value = number * (_TIMES_MS[time.lower()] if time else _SCALES[scale.lower()])
    if not bounds.least <= (float(value) if time else value) <= bounds.most:
        limits = f"{plain(bounds.least)} to {plain(bounds.most)}"
        unit = "ms" if time else count.lower()
        raise InputError(f"a budget must be above 0, from {limits} {unit}, got {part!r} in {shown(text)}")
    return ("latency_ms", float(value)) if time else ({"flops": "macs", "params": "params"}[count.lower()], int(value))


def _scaled(value: int) -> str:
    prefix = max((prefix for prefix, scale in _SCALES.items() if scale <= value), key=_SCALES.__getitem__)
    return f"{value / _SCALES[prefix]:.15g}{prefix}"
