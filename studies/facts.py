"""How a latency and a training were had: facts with types, and the plain JSON that they are read from.

What is kept is the JSON as its writer left it, so that files of older and newer versions go through unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar, cast

FULL = "full"
"""The depth of a latency that was taken by the whole protocol."""
REPLAYED = "replayed"
"""Of a latency, a training or a whole trial: it was not done for this one, but known."""
DATA_CHANGED = (
    "the images changed, or were read otherwise by an older version: they are upright and on white now, and of more "
    "formats and layouts"
)
"""Why data of one name may have another fingerprint."""

Kind = TypeVar("Kind")
_NEEDED = object()


class _Fact(Generic[Kind]):
    """A fact under its own name in the JSON, read as its kind; one that is missing is the default, or an error."""

    def __init__(self, kind: Callable[[Any], Kind], default: object = _NEEDED) -> None:
        self._kind, self._default = kind, default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, facts: Any, owner: type | None = None) -> Kind:
        if self._default is not _NEEDED and facts.plain.get(self._name) is None:
            return cast("Kind", self._default)
        return self._kind(facts.plain[self._name])


@dataclass(frozen=True, slots=True)
class _Facts:
    plain: Mapping[str, Any] = field(hash=False)
    seconds = _Fact(float)
    replayed = _Fact(bool, False)

    def has(self, name: str) -> bool:
        """Whether the fact of that name was kept."""
        return name in self.plain

    def changed(self, **facts: Any) -> Self:
        """The same with these facts in place of what was kept under their names."""
        return type(self)({**self.plain, **facts})


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(map(float, values))


def _ints(values: Any) -> tuple[int, ...]:
    return tuple(map(int, values))


class LatencyFacts(_Facts):
    """How a latency was taken; `proxies.latency.measure.Latency` says what each fact is."""

    __slots__ = ()

    latency_ms = _Fact(float)
    reference_ms = _Fact(float)
    ratio = _Fact(float)
    p10_ms = _Fact(float)
    median_ms = _Fact(float)
    mean_ms = _Fact(float)
    wall_p10_ms = _Fact(float)
    reference_p10_ms = _Fact(float)
    reference_median_ms = _Fact(float)
    reference_mean_ms = _Fact(float)
    spread = _Fact(float)
    noisy = _Fact(bool)
    processes = _Fact(int)
    taken_at = _Fact(float)
    steal_share = _Fact[float | None](float, None)
    priority = _Fact(str)
    runtime = _Fact(str, "")
    runtime_version = _Fact(str, "")
    device = _Fact(str, "")
    fingerprint = _Fact(str)
    threads = _Fact(int)
    precision = _Fact(str)
    batch_size = _Fact(int)
    resolution = _Fact(int)
    depth = _Fact(str, FULL)
    throughput_batch = _Fact(int, 0)

    @property
    def is_full(self) -> bool:
        """Whether the whole protocol was taken, as it was where nothing says how deep."""
        return self.depth == FULL

    @property
    def where(self) -> str:
        """The runtime and the device, as far as they are known."""
        return f"{self.runtime} {self.device}".strip()

    @property
    def text(self) -> str:
        """The latency with its standard error: "1.234 ms ±0.5 %"."""
        return f"{self.latency_ms:.3f} ms {self.error_text}"

    @property
    def error_text(self) -> str:
        """How far the latency may be off either way: "±0.6 %"."""
        return f"±{50 * self.spread:.1f} %"

    @property
    def spread_text(self) -> str:
        """The same, and whether that is more than the protocol accepts."""
        return self.error_text + (" noisy" if self.noisy else "")

    def is_open(self, limit_ms: float | None) -> bool:
        """Whether a quick latency is too near to a limit to say on which side of it the network is."""
        if limit_ms is None or self.is_full:
            return False
        return abs(self.latency_ms - limit_ms) <= self.spread * self.latency_ms

    def scaled(self, anchor_ms: float) -> Self:
        """The latency as it is where the anchor's is `anchor_ms`: kept is how many times the anchor's it was."""
        return self.changed(latency_ms=self.ratio * anchor_ms, reference_ms=anchor_ms)


class QuantisedFacts(_Facts):
    """How good a trained network is in 8 bits; `proxies.quantization.accuracy.Quantised` says what each fact is."""

    __slots__ = ()

    accuracy = _Fact(float)
    images = _Fact(int)
    lost = _Fact(int)
    gained = _Fact(int)
    calibration_images = _Fact(int)
    runtime_version = _Fact(str, "")

    @property
    def variance_of_loss(self) -> float:
        """The variance of the accuracy that the 8 bits cost, both having been counted on the same images.

        That is McNemar's: only images that one of the two gets right, and the other does not, say anything.
        """
        of_one = (self.lost + self.gained) / self.images
        return (of_one - ((self.lost - self.gained) / self.images) ** 2) / self.images


def _quantised(plain: Mapping[str, Any]) -> QuantisedFacts:
    return QuantisedFacts(plain)


class TrainingFacts(_Facts):
    """How a training went; `proxies.training.result.Training` says what each fact is.

    `int8` is how good the trained network is in 8 bits, None where nobody asked.
    """

    __slots__ = ()

    training_losses = _Fact(_floats, ())
    validation_losses = _Fact(_floats, ())
    validation_accuracies = _Fact(_floats, ())
    validated_epochs = _Fact(_ints, ())
    num_classes = _Fact(int)
    int8 = _Fact[QuantisedFacts | None](_quantised, None)

    @property
    def accuracy(self) -> float:
        """The last validation accuracy, in [0, 1]."""
        return self.validation_accuracies[-1]

    @property
    def loss(self) -> float:
        """The last validation loss."""
        return self.validation_losses[-1]
