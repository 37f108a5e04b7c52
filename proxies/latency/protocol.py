"""The measuring protocol. Standard library only: bundles carry this file to devices that have nothing else of ours.

A candidate and a reference network are timed in turn, in several fresh processes. The 10th percentile of the runs is
what a shared machine repeats best: other work can only lengthen a run. What slows both networks alike cancels in the
ratio of the two. What is left differs from process to process, since each finds other memory: so the estimate is the
mean over processes of that ratio, without the extremes, and processes are added until its standard error is small.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

QUICK, FULL = "quick", "full"
Timed = Callable[[], "tuple[float, float]"]
"""One run of a network: the milliseconds it took on the core (or the GPU), and by the clock on the wall."""


@dataclass(frozen=True)
class Timing:
    """How long is measured: in `processes`, and more up to `max_processes` while the spread exceeds `tolerance`.

    Each process takes `rounds`; in a round each network, in random order, has one untimed run and `runs` timed ones.
    A process takes no round more after `seconds`, but never fewer than `least_rounds`: for slow networks.
    `error` is the share by which repeats are known to differ, in standard deviations: what the processes tell is never
    taken to be less, for a few may agree by chance. `depth` is the name of these settings in `TIMINGS`.

    Raises:
        ValueError: a count is too small to tell a spread, or the tolerance is not positive.
    """

    processes: int = 4
    max_processes: int = 12
    rounds: int = 40
    runs: int = 4
    warmup_runs: int = 10
    seconds: float = 4.0
    least_rounds: int = 10
    tolerance: float = 0.02
    error: float = 0.0
    depth: str = FULL

    def __post_init__(self) -> None:
        if self.processes < 2 or min(self.rounds, self.runs, self.warmup_runs, self.least_rounds) < 1:
            raise ValueError(f"timing needs 2 processes, 1 round, 1 run and 1 warm-up run or more; got {self}")
        if self.max_processes < self.processes:
            raise ValueError(f"max_processes must be {self.processes} (processes) or more; got {self.max_processes}")
        if not self.tolerance > 0:
            raise ValueError(f"the timing's tolerance must be above 0, such as 0.02; got {self.tolerance}")


DEFAULT_TIMING = Timing()
TIMINGS: Mapping[str, Timing] = MappingProxyType(
    {
        QUICK: Timing(
            2, 4, rounds=20, warmup_runs=3, seconds=0.5, least_rounds=5, tolerance=0.08, error=0.025, depth=QUICK
        ),
        FULL: DEFAULT_TIMING,
    }
)
"""Depth -> how long is measured: a search times each candidate quickly, and fully what may stand on its front."""

STATE_NEAR, STATE_FAR, FAR = 0.010, 0.040, 2.0
"""What another state of the machine changes of a ratio to the reference, in standard deviations as a share of it: at
the reference's own latency, and at a `FAR`th of it or less. What else runs, here and on other virtual machines of the
same chip, leaves less of the shared cache: that lengthens a small network by another share than a large one. Measured
on two cores of an AMD EPYC over 25 minutes of changing load, means of 4 processes differed by 0.7 to 1.1 % at 0.96 to
1.2 times the reference, 3.2 % at 0.6, 2.6 % at 0.46, 3.3 % at 0.32 and 3.8 % at 0.2; with this, 84 % of their pairs
are within their errors and all within twice those. Within two and a half hours, from quiet to loaded, the ratio at 0.3
went from .295 to .337, at 0.9 from .893 to .919, at 1.04 by 0.5 %. A second, small reference in the same rounds did not
pay: latencies interpolated between the two differed by 1.5 % at 0.6, 2.1 % at 0.46, 4.1 % at 0.2, as before near the
large one, and the small one's own ratio, which would have to be fixed for a study, is what drifts most."""


@dataclass(frozen=True)
class Summary:
    """Percentiles and mean of one network's timed runs in one process, in milliseconds; `wall_p10_ms` by the wall."""

    p10_ms: float
    median_ms: float
    mean_ms: float
    p90_ms: float
    wall_p10_ms: float


@dataclass(frozen=True)
class Series:
    """What one process saw. `load_average` and `steal_share` are None on a system that keeps none."""

    candidate: Summary
    reference: Summary
    rounds: int
    started_at: float
    load_average: float | None
    steal_share: float | None
    priority: str

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Series:
        """The series that `dataclasses.asdict` gave these fields for."""
        summaries = {name: Summary(**fields[name]) for name in ("candidate", "reference")}
        return cls(**{**fields, **summaries})

    @property
    def ratio(self) -> float:
        """The candidate's 10th percentile over the reference's."""
        return self.candidate.p10_ms / self.reference.p10_ms


@dataclass(frozen=True)
class Reading:
    """What all processes of a measurement saw: means over them, each without the extremes.

    `ratio` is the candidate's 10th percentile over the reference's; `spread` is twice the standard error of that,
    relative to it: of the processes and of the machine's state. `noisy` says that the processes' own stayed above the
    tolerance. `p10_ms`, `median_ms`,
    `mean_ms` and `p90_ms` are the candidate's own times, `wall_p10_ms` is its 10th percentile by the clock on the wall.
    `rounds` and `processes` are counts. `taken_at` is in seconds since 1970, `load_average` that of the start,
    `steal_share` the worst of the processes' (None: not known), `priority` what `machine.raise_priority` reached.
    """

    ratio: float
    p10_ms: float
    median_ms: float
    mean_ms: float
    p90_ms: float
    wall_p10_ms: float
    reference_p10_ms: float
    reference_median_ms: float
    reference_mean_ms: float
    spread: float
    noisy: bool
    processes: int
    rounds: int
    taken_at: float
    load_average: float | None
    steal_share: float | None
    priority: str


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values lie, interpolated between the two nearest."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def midmean(values: Sequence[float]) -> float:
    """The mean of the middle half: a quarter of the values, rounded down, is left out at either end."""
    ordered = sorted(values)
    cut = len(ordered) // 4
    return statistics.fmean(ordered[cut : len(ordered) - cut])


def spread_of(ratios: Sequence[float]) -> float:
    """Twice the standard error of the mean ratio, relative to it."""
    return 2 * statistics.stdev(ratios) / math.sqrt(len(ratios)) / statistics.fmean(ratios)


def state_error(ratio: float) -> float:
    """The standard error that a state of the machine leaves in a ratio to the reference, as a share of it."""
    return STATE_NEAR + (STATE_FAR - STATE_NEAR) * min(1.0, abs(math.log(ratio)) / math.log(FAR))


def take_rounds(candidate: Timed, reference: Timed, timing: Timing, seed: int) -> tuple[Summary, Summary, int]:
    """The summaries of candidate and reference, and the rounds that were taken; each call of a network is a run."""
    networks = candidate, reference
    times: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    order = random.Random(seed)
    for network in networks:
        for _ in range(timing.warmup_runs):
            network()
    started = time.monotonic()
    rounds = 0
    while rounds < timing.rounds and (rounds < timing.least_rounds or time.monotonic() - started < timing.seconds):
        for turn in order.sample((0, 1), 2):
            networks[turn]()  # fills the caches that the other network has just emptied
            times[turn].extend(networks[turn]() for _ in range(timing.runs))
        rounds += 1
    return summary_of(times[0]), summary_of(times[1]), rounds


def summary_of(runs: Sequence[tuple[float, float]]) -> Summary:
    """The summary of runs, each the milliseconds on the core and by the wall."""
    core, wall = zip(*runs)  # noqa: B905, for a device's Python may be older than strict=
    tenth, half, most = (percentile(core, percent) for percent in (10, 50, 90))
    return Summary(tenth, half, statistics.fmean(core), most, percentile(wall, 10))


def measure_until_steady(take_series: Callable[[int], Series], timing: Timing) -> Reading:
    """The reading of as many processes as it takes; `take_series(number)` starts the process of that number."""
    series = [take_series(number) for number in range(timing.processes)]
    while spread_of([one.ratio for one in series]) > timing.tolerance and len(series) < timing.max_processes:
        series.append(take_series(len(series)))
    return reading_of(series, timing)


def reading_of(series: Sequence[Series], timing: Timing) -> Reading:
    """The reading that the processes' series amount to."""

    def mean(value: Callable[[Series], float]) -> float:
        return midmean([value(one) for one in series])

    between = spread_of([one.ratio for one in series])
    ratio = mean(lambda one: one.ratio)
    steals = [one.steal_share for one in series if one.steal_share is not None]
    return Reading(
        ratio=ratio,
        p10_ms=mean(lambda one: one.candidate.p10_ms),
        median_ms=mean(lambda one: one.candidate.median_ms),
        mean_ms=mean(lambda one: one.candidate.mean_ms),
        p90_ms=mean(lambda one: one.candidate.p90_ms),
        wall_p10_ms=mean(lambda one: one.candidate.wall_p10_ms),
        reference_p10_ms=mean(lambda one: one.reference.p10_ms),
        reference_median_ms=mean(lambda one: one.reference.median_ms),
        reference_mean_ms=mean(lambda one: one.reference.mean_ms),
        spread=math.hypot(max(between, 2 * timing.error), 2 * state_error(ratio)),
        noisy=between > timing.tolerance,
        processes=len(series),
        rounds=sum(one.rounds for one in series),
        taken_at=series[0].started_at,
        load_average=series[0].load_average,
        steal_share=max(steals) if steals else None,
        priority=series[0].priority,
    )


def core_timed(run: Callable[[], object]) -> Timed:
    """The run, timed by this process's time on its core; by the wall alone where that clock is too coarse (Windows).

    For one thread both agree, except that wall time also counts what other processes take of the core: their share
    lengthens nearly every run of more than a time slice, and a percentile does not remove it.
    """
    fine = time.get_clock_info("process_time").resolution <= 1e-6
    return _timed(run, time.process_time_ns if fine else time.perf_counter_ns)


def wall_timed(run: Callable[[], object]) -> Timed:
    """The run, timed by the clock on the wall: for work that is not done on this process's core."""
    return _timed(run, time.perf_counter_ns)


def _timed(run: Callable[[], object], core_ns: Callable[[], int]) -> Timed:
    def timed() -> tuple[float, float]:
        wall_start_ns, start_ns = time.perf_counter_ns(), core_ns()
        run()
        end_ns, wall_end_ns = core_ns(), time.perf_counter_ns()
        return (end_ns - start_ns) / 1e6, (wall_end_ns - wall_start_ns) / 1e6

    return timed
