"""The learning rate at every step of a training, as plain functions: no optimiser and no torch needed."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

ONECYCLE_START = 25
"""How many times smaller than its peak the one-cycle rate starts."""
ONECYCLE_END = 1e4
"""How many times smaller than its start the one-cycle rate ends."""

Schedule = Callable[[int, int, float, float], float]
"""The learning rate at (step, total_steps, peak, warmup_share)."""


def onecycle(step: int, total_steps: int, peak: float, warmup_share: float) -> float:
    """Returns the learning rate at ``step`` of a cycle: up to ``peak`` along a cosine, then down to almost 0.

    The up-going part takes ``warmup_share``, in [0, 1], of the steps 0 to ``total_steps - 1`` (Smith and Topin 2018,
    with cosines for their straight lines). The numbers are those of PyTorch's ``OneCycleLR`` with its own factors.

    Raises:
        ValueError: where ``step`` is none of the steps.
    """
    _check(step, total_steps)
    if warmup_share * total_steps == 1:  # a way up from step 0 to step 0, whose slope is 0 / 0
        warmup_share /= 2
    start, summit, last = peak / ONECYCLE_START, warmup_share * total_steps - 1, total_steps - 1
    if step <= summit:
        return _cosine(start, peak, step / summit)
    return _cosine(peak, start / ONECYCLE_END, (step - summit) / (last - summit))


def cosine(step: int, total_steps: int, peak: float, warmup_share: float) -> float:
    """Returns the learning rate at ``step``: up to ``peak`` in a straight line, then along half a cosine towards 0.

    The first ``warmup_share``, in [0, 1], of the steps 0 to ``total_steps - 1`` come before the peak, rounded to whole
    steps. Neither the first nor the last step is at 0, where it would do nothing: 0 comes one step before and after.

    Raises:
        ValueError: where ``step`` is none of the steps.
    """
    _check(step, total_steps)
    warmup = round(warmup_share * total_steps)
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return _cosine(peak, 0.0, (step - warmup) / (total_steps - warmup))


SCHEDULES: Mapping[str, Schedule] = MappingProxyType({"onecycle": onecycle, "cosine": cosine})
"""Every schedule by its name."""


def _cosine(start: float, end: float, share: float) -> float:
    """The value at ``share`` of the way from start to end along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


def _check(step: int, total_steps: int) -> None:
    if not 0 <= step < total_steps:
        raise ValueError(f"the step must be one of 0 to {total_steps - 1}, but is {step}")
