"""Whether a runtime computes what torch computes: outputs kept when a file is written, compared where it is timed.

Needs numpy alone, which every runtime needs too: bundles carry this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_KEPT = 1000


class WrongOutput(RuntimeError):
    """A runtime that gives other outputs than torch does: the message says by how much."""


@dataclass(frozen=True)
class Expected:
    """Up to `MOST_KEPT` of torch's outputs for `example(shape, seed)`, evenly spaced, and the largest allowed error."""

    seed: int
    values: Sequence[float]
    allowed: float

    def check(self, output: Any) -> None:
        """Nothing, if the whole output that a runtime gave holds the expected values.

        Raises:
            WrongOutput: it does not, or has another size.
        """
        kept = kept_of(np.asarray(output))
        if len(kept) != len(self.values):
            raise WrongOutput(f"the runtime must give torch's {len(self.values)} kept outputs; it gives {len(kept)}")
        difference = float(np.abs(kept - np.asarray(self.values)).max())
        if not difference <= self.allowed:  # so put, a NaN is refused too
            raise WrongOutput(
                f"the runtime must give torch's outputs to within {self.allowed:.3g}; one differs by {difference:.3g}: "
                "report this network, its latency was not measured"
            )


def example(shape: Sequence[int], seed: int) -> NDArray[np.float32]:
    """A random input of this shape, the same for a seed in every version and on every device."""
    return np.random.RandomState(seed).standard_normal(tuple(shape)).astype(np.float32)


def kept_of(output: NDArray[Any]) -> NDArray[np.float64]:
    """The elements of an output that are kept: all, or `MOST_KEPT` at even distances."""
    flat = output.reshape(-1)
    rows = np.linspace(0, len(flat) - 1, MOST_KEPT).astype(int) if len(flat) > MOST_KEPT else slice(None)
    return flat[rows].astype(np.float64)
