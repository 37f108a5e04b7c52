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
    """What torch gives for `example(shape, seed)`, output by output: a classifier has one, a backbone three.

    Of each up to `MOST_KEPT` values, evenly spaced, and the largest allowed error.
    """

    seed: int
    values: Sequence[Sequence[float]]
    allowed: Sequence[float]

    def check(self, outputs: Sequence[Any]) -> None:
        """Refuses whole outputs of a runtime, in torch's order, that do not hold the expected values.

        Raises:
            WrongOutput: they do not, are more or fewer, or one has another size.
        """
        if len(outputs) != len(self.values):
            raise WrongOutput(f"the runtime must give torch's {len(self.values)} outputs; it gives {len(outputs)}")
        for output, values, allowed in zip(outputs, self.values, self.allowed):  # noqa: B905, as in the protocol
            _check(kept_of(np.asarray(output)), np.asarray(values), allowed)


def _check(kept: NDArray[np.float64], values: NDArray[np.float64], allowed: float) -> None:
    if len(kept) != len(values):
        raise WrongOutput(f"the runtime must give torch's {len(values)} kept values; it gives {len(kept)}")
    difference = float(np.abs(kept - values).max())
    if not difference <= allowed:  # so put, a NaN is refused too
        raise WrongOutput(
            f"the runtime must give torch's outputs to within {allowed:.3g}; one differs by {difference:.3g}: "
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
