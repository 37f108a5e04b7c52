"""Numbers that come into a ledger or a study, or out of one, are checked here: latencies, trainings, scores.

Whoever measured them, a machine elsewhere or a broken training here: what cannot be is refused, and enters nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from search_space.errors import InputError
from search_space.reading import Fields, line_of
from studies.facts import LatencyFacts, QuantisedFacts, TrainingFacts

LEAST_MS, MOST_MS = 1e-6, 1e9
"""A nanosecond, and eleven days."""
MOST_TIMES = 1e9
"""How many times as slow as another a network may be."""
MOST_SPREAD = 3.0
"""Twice the standard error of a mean of times above 0 is at most twice that mean; the machine's state adds little."""
MOST_SECONDS = 1e9
LATEST_S = 7_258_118_400.0
"""The year 2200, in seconds since 1970."""
MOST_LOSS = 1e30
LONGEST_NAME, LONGEST_TEXT = 100, 200
"""What the ledger's columns hold."""
ROUNDING = 1e-6
MOST_APART = 1.5
"""How many times the ratio of the two p10 a ratio may be, beside what its spread allows: each is a mean."""
MOST_WHOLE = 2**31 - 1
LONGEST_CAUSE, MOST_NAMED = 300, 3
_MS = (LEAST_MS, MOST_MS)
_NUMBERS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        **{"latency_ms": _MS, "reference_ms": _MS, "p10_ms": _MS, "median_ms": _MS, "mean_ms": _MS, "p90_ms": _MS},
        **{"reference_p10_ms": _MS, "reference_median_ms": _MS, "reference_mean_ms": _MS, "wall_p10_ms": _MS},
        **{
            "ratio": (1 / MOST_TIMES, MOST_TIMES),
            "spread": (0.0, MOST_SPREAD),
            "throughput_spread": (0.0, MOST_SPREAD),
        },
        **{"images_per_second": (1e-9, 1e15), "taken_at": (0.0, LATEST_S), "seconds": (0.0, MOST_SECONDS)},
        **{"load_average": (0.0, 1e6), "steal_share": (0.0, 1.0)},
    }
)
_LISTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "training_losses": (0.0, MOST_LOSS),
        "validation_losses": (0.0, MOST_LOSS),
        "validation_accuracies": (0.0, 1.0),
    }
)
_WHOLES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        **{
            "processes": (1, MOST_WHOLE),
            "rounds": (1, MOST_WHOLE),
            "runs": (1, MOST_WHOLE),
            "threads": (1, MOST_WHOLE),
        },
        **{"batch_size": (1, MOST_WHOLE), "resolution": (1, MOST_WHOLE), "attempts": (1, MOST_WHOLE)},
        **{"throughput_batch": (0, MOST_WHOLE), "image_size": (1, MOST_WHOLE), "stem_stride": (1, MOST_WHOLE)},
        **{"images_seen": (0, 2**63), "num_classes": (2, MOST_WHOLE), "seed": (-(2**63), 2**64)},
    }
)
_FLAGS = ("noisy", "throughput_noisy", "replayed")
_LINES: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("runtime", "runtime_version", "precision", "fingerprint", "depth"), LONGEST_NAME),
        **dict.fromkeys(("device", "priority"), LONGEST_TEXT),
    }
)

RECORDED = ("latency_ms", "spread", "noisy", "seconds")
"""What of a latency a study needs."""
LEDGERED = (
    *("latency_ms", "spread", "noisy", "taken_at"),
    *("runtime", "runtime_version", "precision", "fingerprint", "batch_size", "resolution"),
)
"""What the ledger needs of it."""
TRAINED = ("seconds", "validation_accuracies")
"""What of a training a study needs."""
LEARNED = (*TRAINED, "training_losses", "validation_losses", "num_classes")
"""What a prediction needs of it."""


class ImpossibleFacts(InputError):
    """Facts that cannot be, such as a time below 0: the message names the one and what it must be."""


def checked_latency(plain: Any, needed: Sequence[str] = RECORDED) -> LatencyFacts:
    """The latency of these facts: of right types, finite, above 0, and consistent with each other.

    Raises:
        ImpossibleFacts: it is none, or one of the `needed` facts is missing.
    """
    fields = _read(plain, "a latency", needed)
    p10, median, p90 = (fields.plain.get(name) for name in ("p10_ms", "median_ms", "p90_ms"))
    _check_order(fields, "p10_ms", p10, "median_ms", median)
    _check_order(fields, "median_ms", median, "p90_ms", p90)
    _check_ratio(fields)
    return LatencyFacts(fields.plain)


def checked_training(plain: Any, needed: Sequence[str] = TRAINED) -> TrainingFacts:
    """The training of these facts: finite losses, accuracies in [0, 1], as many of each as there were epochs.

    Raises:
        ImpossibleFacts: it is none, or one of the `needed` facts is missing.
    """
    fields = _read(plain, "a training", needed)
    facts = TrainingFacts(fields.plain)
    epochs, accuracies = facts.validated_epochs, facts.validation_accuracies
    if not accuracies:
        raise ImpossibleFacts("a training must have a validation accuracy, and has none")
    for name, values in (("validation_losses", facts.validation_losses), ("validated_epochs", epochs)):
        if fields.plain.get(name) and len(values) != len(accuracies):
            raise ImpossibleFacts(
                f"a training must have as many {name} as accuracies, got {len(values)}, {len(accuracies)}"
            )
    last = len(facts.training_losses) or MOST_WHOLE
    if list(epochs) != sorted(set(epochs)) or max(epochs, default=0) > last:
        raise ImpossibleFacts(
            f"a training's validated_epochs must rise and be among its epochs, got {list(epochs)[:10]}"
        )
    for name in ("training_losses", "validation_losses"):
        if name in needed and not fields.plain[name]:
            raise ImpossibleFacts(f"a training must have {name}, and has none")
    if facts.int8 is not None:
        checked_quantised(facts.int8.plain)
    return facts


def checked_quantised(plain: Any) -> QuantisedFacts:
    """The accuracy in 8 bits of these facts; no more images were lost and gained than there are.

    Raises:
        ImpossibleFacts: it is none.
    """
    with impossible():
        fields = Fields(dict(plain) if isinstance(plain, Mapping) else plain, "an accuracy in 8 bits")
        fields.number("accuracy", 0.0, 1.0)
        images = fields.whole("images", 1, MOST_WHOLE)
        lost, gained = (fields.whole(name, 0, images) for name in ("lost", "gained"))
        fields.whole("calibration_images", 1, MOST_WHOLE)
        fields.line("runtime_version", LONGEST_NAME)
        if lost + gained > images:
            raise ImpossibleFacts(
                f"{fields.where} must lose and gain no more than its images, got {lost} and {gained} of {images}"
            )
    return QuantisedFacts(fields.plain)


def checked_scores(plain: Any) -> Mapping[str, Any]:
    """Scores at initialisation, which are finite.

    Raises:
        ImpossibleFacts: they are not.
    """
    with impossible():
        fields = Fields(plain, "scores at initialisation")
        fields.number("seconds", 0.0, MOST_SECONDS)
        for name, least in (("scores", -MOST_LOSS), ("score_seconds", 0.0)):
            inner = fields.fields(name)
            for score in inner.plain:
                inner.number(score, least, MOST_LOSS)
    return fields.plain


@contextmanager
def impossible() -> Iterator[None]:
    """Whatever goes wrong inside with what others wrote shows as `ImpossibleFacts`, in one line."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise ImpossibleFacts(line_of(text, LONGEST_CAUSE)) from error


def check_finite(value: Any, where: str) -> None:
    """Refuses what holds a number that is NaN or infinite, however deep.

    Raises:
        ImpossibleFacts: it does.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ImpossibleFacts(f"{where} must hold finite numbers alone, got {value}")
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for each in inner:
        check_finite(each, where)


def flaw_of(read: Callable[[], object]) -> str:
    """Why what is read cannot be; "" where it can."""
    try:
        read()
    except ImpossibleFacts as error:
        return str(error)
    return ""


def left_out(what: str, flaws: Sequence[str]) -> str:
    """A line about what is left out for its flaws, the first few of which are named; "" for none."""
    if not flaws:
        return ""
    named, more = "; ".join(flaws[:MOST_NAMED]), len(flaws) - MOST_NAMED
    return f"left out, for they cannot be: {len(flaws)} {what}: {named}{f'; and {more} more' if more > 0 else ''}"


def _read(plain: Any, what: str, needed: Sequence[str]) -> Fields:
    """The facts, each that is known of its type and within its bounds, none of the `needed` ones missing."""
    with impossible():
        fields = Fields(dict(plain) if isinstance(plain, Mapping) else plain, what)
        for name in (*needed, *(name for name, value in fields.plain.items() if value is not None)):
            if name in _NUMBERS:
                fields.number(name, *_NUMBERS[name])
            elif name in _WHOLES:
                fields.whole(name, *_WHOLES[name])
            elif name in _LISTS:
                fields.numbers(name, *_LISTS[name])
            elif name in _LINES:
                fields.line(name, _LINES[name])
            elif name in _FLAGS:
                fields.flag(name)
            elif name == "validated_epochs":
                fields.wholes(name, 1, MOST_WHOLE)
    return fields


def _check_order(fields: Fields, low: str, lower: float | None, high: str, higher: float | None) -> None:
    if lower is not None and higher is not None and lower > higher * (1 + ROUNDING):
        raise ImpossibleFacts(f"{fields.where}'s {low} must not exceed its {high}, got {lower:g} and {higher:g}")


def _check_ratio(fields: Fields) -> None:
    """The latency is the ratio times the reference's; without a fixed one it is the network's own p10."""
    facts = fields.plain
    ratio, latency, reference = (facts.get(name) for name in ("ratio", "latency_ms", "reference_ms"))
    p10, own_reference = facts.get("p10_ms"), facts.get("reference_p10_ms")
    if ratio is None or reference is None or latency is None:
        return
    is_own = (latency, reference) == (p10, own_reference)
    if not is_own and not math.isclose(latency, ratio * reference, rel_tol=ROUNDING):
        raise ImpossibleFacts(
            f"a latency must be its ratio times its reference_ms, got {latency:g} for {ratio:g} times {reference:g}"
        )
    if p10 is None or own_reference is None:
        return
    apart = abs(math.log(ratio * own_reference / p10))
    if apart > math.log(MOST_APART) + (facts.get("spread") or 0.0) * (facts.get("processes") or 1):
        raise ImpossibleFacts(
            f"a latency's ratio must be that of its two p10, got {ratio:g} for {p10:g} and {own_reference:g}"
        )
