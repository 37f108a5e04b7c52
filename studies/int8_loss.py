"""What 8 bits cost a network: its accuracy in fp32 less that in int8, how sure that is, and when it is much."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from studies.facts import QuantisedFacts

MUCH = 0.01
"""What a network may lose in 8 bits, in [0, 1]; one that loses more, by more than the error of that, is marked."""
MARK = "loses much in int8"


@dataclass(frozen=True, slots=True)
class Int8Loss:
    """What the 8 bits cost a network, mean over its trainings.

    `fp32` is its accuracy in float32, in [0, 1], `cost` how much of it is gone in int8, negative where there is more of
    it, and `error` the standard error of that: the validation images are a sample.
    """

    fp32: float
    cost: float
    error: float

    @classmethod
    def of(
        cls, fp32: Mapping[int, float], int8: Mapping[int, float], facts: Mapping[int, QuantisedFacts]
    ) -> Int8Loss | None:
        """That of a network with these accuracies by seed, and how each in int8 was had; None without any."""
        if not facts:
            return None
        mean = fmean(fp32.values())
        error = sqrt(fmean(each.variance_of_loss for each in facts.values()) / len(facts))
        return cls(mean, mean - fmean(int8.values()), error)

    @property
    def is_much(self) -> bool:
        """Whether it is more than `MUCH`, by more than its standard error."""
        return self.cost - self.error > MUCH

    @property
    def fp32_text(self) -> str:
        """The accuracy in float32 in percent: "83.4"."""
        return f"{100 * self.fp32:.1f}"

    @property
    def text(self) -> str:
        """The points lost, ± their standard error: "0.4 ±0.2"."""
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        return f"{round(100 * self.cost, 1) + 0.0:.1f} ±{100 * self.error:.1f}"

    def to_dict(self) -> dict[str, float | bool]:
        """The same as plain JSON."""
        return {
            "fp32_accuracy": self.fp32,
            "lost_in_int8": self.cost,
            "lost_in_int8_error": self.error,
            "loses_much_in_int8": self.is_much,
        }


def note_on_int8(facts: Collection[QuantisedFacts]) -> str:
    """What accuracies in int8 are, and which networks are marked; "" where none was quantised."""
    if not facts:
        return ""
    calibrated, images = (sorted({getattr(each, name) for each in facts}) for name in ("calibration_images", "images"))
    of, on = (" or ".join(f"{number:,}" for number in numbers) for numbers in (calibrated, images))
    return (
        f"int8: each trained network quantised on {of} training images (weights by channel) and run in ONNX Runtime on "
        f"the same {on} validation images as in fp32; the front is the int8 one. lost: points from fp32 to int8, ± one "
        f"standard error, since these images are a sample. What loses over {100 * MUCH:g} point, and that by more than "
        "the error, is marked."
    )
