"""Budgets as people write them: "140mflops", "2.3 M params", "5ms", "256kib-ram@int8", and several joined by commas."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from search_space.bounds import Bounds, plain
from search_space.cost import Cost
from search_space.errors import InputError
from search_space.precision import FP32, PRECISIONS, check_precision
from search_space.reading import shown

_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_TIMES_MS = {"us": Decimal("1e-3"), "ms": Decimal(1), "s": Decimal(1000)}
_COUNTS = Bounds(1, 10**15)
"""No bound is larger: up to here every whole number is written and read exactly."""
_TIMES = Bounds(1e-9, 10**15, is_whole=False)
_QUANTITY = re.compile(
    r"((?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:e[+-]?[0-9]+)?)\s*"
    r"(?:([kmg]?)\s*(flops|params)|(us|ms|s)|(b|[kmg]i?b)\s*-?\s*(ram|flash))(?:\s*@\s*(\w+))?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST = 60
"""Characters of a number with its unit."""
_MOST_DIGITS = 40
"""A number of more digits before its point is beyond all bounds, and too long to compute with."""
_FIELDS = {"flops": "macs", "params": "params", "ram": "ram_bytes", "flash": "flash_bytes"}


@dataclass(frozen=True, slots=True)
class Budget:
    """Upper bounds, each None where there is none: multiply-adds, parameters, milliseconds a batch of one, memory.

    `ram_bytes` bounds the activations that live at once, `flash_bytes` the weights, both of one image at `precision`,
    which is None where the budget does not say it: `at` says it then.
    """

    macs: int | None = None
    params: int | None = None
    latency_ms: float | None = None
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        counted = [(name, _COUNTS) for name in _FIELDS.values()]
        for name, bounds in (*counted, ("latency_ms", _TIMES)):
            if (value := getattr(self, name)) is not None:
                bounds.check(f"a budget's {name}", value)
        if self.precision is not None:
            check_precision("a budget's precision", self.precision)
            if not self.bounds_memory:
                raise InputError(
                    f"a budget's precision is that of its memory, and it bounds none; got {self.precision!r}: "
                    "add a bound such as 256kib-ram or 1mib-flash, or leave the precision out"
                )

    @classmethod
    def parse(cls, text: str) -> Budget:
        """The budget that `text` names, such as "140mflops", "0.6 GFLOPs", "2mparams,5ms", "256kib-ram@int8".

        A precision holds for the budget's whole memory, whichever part it stands at.

        Raises:
            InputError: a part that is no number with a unit, is not above 0, or repeats a unit; or two precisions.
        """
        bounds: dict[str, float] = {}
        precisions: list[str] = []
        for part in text.split(","):
            name, value, precision = _parse_part(part.strip(), text)
            if name in bounds:
                unit = {"ram_bytes": "ram", "flash_bytes": "flash"}.get(name, name)
                raise InputError(f"a budget names each unit once; {text!r} bounds {unit} twice: keep one")
            bounds[name] = value
            precisions += [precision] if precision and precision not in precisions else []
        if len(precisions) > 1:
            raise InputError(
                f"a budget's memory has one precision; {text!r} names {' and '.join(precisions)}: keep one"
            )
        counts = {name: int(value) for name, value in bounds.items() if name != "latency_ms"}
        precision = precisions[0] if precisions else None
        return cls(**counts, latency_ms=bounds.get("latency_ms"), precision=precision)

    def __str__(self) -> str:
        """The budget as `parse` takes it back."""
        return ",".join(self.parts.values()) + (f"@{self.precision}" if self.precision else "")

    @property
    def parts(self) -> dict[str, str]:
        """Its bounds as text, without the precision, by the names of the fields."""
        texts = {
            "macs": f"{_scaled(self.macs)}flops" if self.macs else "",
            "params": f"{_scaled(self.params)}params" if self.params else "",
            "latency_ms": f"{plain(self.latency_ms)}ms" if self.latency_ms else "",
            "ram_bytes": f"{bytes_text(self.ram_bytes)}-ram" if self.ram_bytes else "",
            "flash_bytes": f"{bytes_text(self.flash_bytes)}-flash" if self.flash_bytes else "",
        }
        return {name: text for name, text in texts.items() if text}

    @property
    def bounds_memory(self) -> bool:
        """Whether it bounds RAM or flash."""
        return self.ram_bytes is not None or self.flash_bytes is not None

    @property
    def sizes_networks(self) -> bool:
        """Whether it bounds what a network's widths decide: FLOPs, parameters or flash; RAM hardly depends on them."""
        return any(bound is not None for bound in (self.macs, self.params, self.flash_bytes))

    def at(self, precision: str) -> Budget:
        """The budget whose memory is counted at its own precision, or at this one where it says none."""
        return replace(self, precision=precision) if self.bounds_memory and self.precision is None else self

    def allows(self, macs: int, params: int) -> bool:
        """Whether a network of these counts is within the bounds on them; memory and latency are not looked at."""
        return (self.macs is None or macs <= self.macs) and (self.params is None or params <= self.params)

    def share(self, macs: int, params: int) -> float:
        """How much of the budget such a network uses: 1 when the tighter of the two counts is all used."""
        return max(macs / self.macs if self.macs else 0.0, params / self.params if self.params else 0.0)

    def share_of(self, cost: Cost) -> float:
        """How much of the budget such a network uses, of its flash too: what widths are solved for."""
        flash = cost.flash_bytes(self.precision or FP32) / self.flash_bytes if self.flash_bytes else 0.0
        return max(self.share(cost.macs, cost.params), flash)

    def ram_share_of(self, cost: Cost) -> float:
        """How much of the budget's RAM such a network uses: that is a ceiling, and hardly depends on widths."""
        return cost.ram_bytes(self.precision or FP32) / self.ram_bytes if self.ram_bytes else 0.0

    def excess_of(self, cost: Cost) -> float:
        """By what part of a bound such a network costs more than it, of the bound it exceeds most; 0 within all."""
        return max(0.0, self.share_of(cost) - 1, self.ram_share_of(cost) - 1)


def bytes_text(count: int) -> str:
    """So many bytes, exact and short: "256kib" for 262,144, "256kb" for 256,000; binary where both are as short."""
    binary = [(2**30, "gib"), (2**20, "mib"), (2**10, "kib")]
    whole = [f"{count // size}{unit}" for size, unit in binary if count % size == 0]
    return min((*whole, f"{_scaled(count)}b"), key=len)


def _parse_part(part: str, text: str) -> tuple[str, float, str | None]:
    match = _QUANTITY.fullmatch(part) if len(part) <= _LONGEST else None
    if match is None:
        raise InputError(
            "a budget is a number with a unit, such as 140mflops, 2.3mparams, 5ms, 256kib-ram or 1mib-flash@int8, "
            f"joined by commas; got {shown(text)}"
        )
    written, scale, count, time, size, memory, precision = (each and each.lower() for each in match.groups())
    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"a budget's precision must be {' or '.join(PRECISIONS)}, got {precision!r} in {shown(text)}")
    try:
        number = Decimal(written)
    except InvalidOperation:  # an exponent of twenty digits
        number = Decimal("Infinity")
    bounds = _TIMES if time else _COUNTS
    unit = count or memory
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        value = number
    else:
        value = number * (_TIMES_MS[time] if time else _size(size) if memory else _SCALES[scale])
    if not bounds.least <= (float(value) if time else value) <= bounds.most:
        limits = f"{plain(bounds.least)} to {plain(bounds.most)}"
        said = "ms" if time else f"bytes of {memory}" if memory else unit
        raise InputError(f"a budget must be above 0, from {limits} {said}, got {part!r} in {shown(text)}")
    return ("latency_ms", float(value), precision) if time else (_FIELDS[unit], int(value), precision)


def _size(unit: str) -> int:
    """The bytes of a unit in small letters: "kb" is 1000 of them, "kib" 1024."""
    scale = unit.removesuffix("b").removesuffix("i")
    return 1024 ** "kmg".index(scale) * 1024 if "i" in unit else _SCALES[scale]


def _scaled(value: int) -> str:
    prefix = max((prefix for prefix, scale in _SCALES.items() if scale <= value), key=_SCALES.__getitem__)
    return f"{value / _SCALES[prefix]:.15g}{prefix}"
