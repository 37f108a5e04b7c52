"""What runs in the measuring process: `python -m proxies.stopwatch` takes a request on stdin, puts a reading on stdout.

It times a candidate and a reference in turn. The 10th percentile of the runs is what a shared machine repeats best:
other work can only lengthen a run, so the fast runs are the least disturbed. What slows both networks alike cancels in
the ratio of the two; whether it did shows where the odd rounds and the even ones agree.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from proxies.runtimes import RUNTIMES, Shape
from search_space.errors import InputError

Timed = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """How long is measured: `rounds` of `runs` of each network; more, up to `max_rounds`, while halves disagree.

    The networks take turns run by run, and an untimed run precedes each timed one.
    `tolerance` is the relative difference of odd and even rounds above which they disagree.

    Raises:
        InputError: a count is too small to compare two halves, or the tolerance is not positive.
    """

    rounds: int = 10
    runs: int = 20
    warmup_runs: int = 10
    max_rounds: int = 60
    tolerance: float = 0.02

    def __post_init__(self) -> None:
        if self.rounds < 2 or self.runs < 1 or self.warmup_runs < 1:
            came = f"{self.rounds}, {self.runs}, {self.warmup_runs}"
            raise InputError(f"timing needs 2 rounds, 1 run and 1 warm-up run or more; {came} came: raise them")
        if self.max_rounds < self.rounds:
            raise InputError(f"max_rounds must be {self.rounds} (rounds) or more; {self.max_rounds} came: raise it")
        if not self.tolerance > 0:
            raise InputError(f"the timing's tolerance must be above 0; {self.tolerance} came: give 0.02, say")


DEFAULT_TIMING = Timing()


@dataclass(frozen=True)
class Prepared:
    """A network in the file that its runtime reads, for inputs of `shape`, `(n, c, h, w)`, on the device."""

    file: str
    shape: Shape
    runtime: str
    device: str


@dataclass(frozen=True)
class Request:
    """What the measuring process is to do: time two networks, prepared for one runtime and one device."""

    candidate: Prepared
    reference: Prepared
    timing: Timing
    seed: int


@dataclass(frozen=True)
class Reading:
    """What the measuring process saw; `load_average` is None on a system that keeps none."""

    p10_ms: float
    median_ms: float
    p90_ms: float
    reference_p10_ms: float
    rounds: int
    spread: float
    noisy: bool
    device: str
    runtime_version: str
    load_average: float | None


@dataclass(frozen=True)
class Round:
    """The times of one round's runs, in milliseconds."""

    candidate_ms: tuple[float, ...]
    reference_ms: tuple[float, ...]


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values lie, interpolated between the two nearest."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def candidate_percentile(rounds: Sequence[Round], percent: float) -> float:
    """The candidate's percentile over all runs of the rounds, in milliseconds."""
    return percentile([ms for one in rounds for ms in one.candidate_ms], percent)


def reference_percentile(rounds: Sequence[Round], percent: float) -> float:
    """The reference's percentile over all runs of the rounds, in milliseconds."""
    return percentile([ms for one in rounds for ms in one.reference_ms], percent)


def ratio(rounds: Sequence[Round]) -> float:
    """The candidate's 10th percentile over the reference's."""
    return candidate_percentile(rounds, 10) / reference_percentile(rounds, 10)


def spread(rounds: Sequence[Round]) -> float:
    """The difference between the ratios of the odd and of the even rounds, relative to the ratio of all."""
    return abs(ratio(rounds[0::2]) - ratio(rounds[1::2])) / ratio(rounds)


def take_rounds(candidate: Timed, reference: Timed, timing: Timing, seed: int) -> list[Round]:
    """Rounds enough for their halves to agree, or `max_rounds` of them; each call of a network gives one run's ms."""
    order = random.Random(seed)
    for network in (candidate, reference):
        for _ in range(timing.warmup_runs):
            network()
    rounds: list[Round] = []
    while not rounds or (spread(rounds) > timing.tolerance and len(rounds) < timing.max_rounds):
        count = min(timing.rounds, timing.max_rounds - len(rounds))
        rounds += [_take_round((candidate, reference), timing.runs, order) for _ in range(count)]
    return rounds


def _take_round(networks: tuple[Timed, Timed], runs: int, order: random.Random) -> Round:
    times: tuple[list[float], list[float]] = ([], [])
    # Turns of one run each: the machine's speed changes within a round. The run before each timed one fills the caches
    # that the other network has just emptied.
    for _ in range(runs):
        for turn in order.sample((0, 1), 2):
            networks[turn]()
            times[turn].append(networks[turn]())
    return Round(tuple(times[0]), tuple(times[1]))


def read(request: Request) -> Reading:
    """The reading that the request asks for, taken in this process, which is bound to one core from then on."""
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    pin_to_one_core()
    runtime, device = RUNTIMES[request.candidate.runtime], request.candidate.device
    candidate, reference = (
        runtime.load(Path(network.file), network.shape, device, request.seed)
        for network in (request.candidate, request.reference)
    )
    gc.disable()
    rounds = take_rounds(candidate, reference, request.timing, request.seed)
    return Reading(
        p10_ms=candidate_percentile(rounds, 10),
        median_ms=candidate_percentile(rounds, 50),
        p90_ms=candidate_percentile(rounds, 90),
        reference_p10_ms=reference_percentile(rounds, 10),
        rounds=len(rounds),
        spread=spread(rounds),
        noisy=spread(rounds) > request.timing.tolerance,
        device=device_name(device),
        runtime_version=runtime.version(),
        load_average=load_average,
    )


def pin_to_one_core() -> None:
    """Nothing; this process then stays on the least busy core that it may use, the last one of several, if it can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    before = _busy_ticks()
    time.sleep(0.2)
    after = _busy_ticks()
    core = min(os.sched_getaffinity(0), key=lambda core: (after.get(core, 0) - before.get(core, 0), -core))
    os.sched_setaffinity(0, {core})


def _busy_ticks() -> dict[int, int]:
    """The time that each core has worked since the start, in the kernel's ticks; empty where the kernel tells none."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return {}
    rows = [line.split() for line in stat.read_text().splitlines() if line.startswith("cpu") and line[3].isdigit()]
    # The columns are user, nice, system, idle, iowait, irq, softirq, steal; guests are counted in user already.
    return {int(name[3:]): sum(map(int, (*ticks[:3], *ticks[5:8]))) for name, *ticks in rows}


def device_name(device: str) -> str:
    """The model name of the GPU or the CPU that the device stands for."""
    if device == "cuda":
        import torch

        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def main() -> None:
    """Nothing; the reading of stdin's request is then the last line of stdout."""
    fields = json.load(sys.stdin)
    candidate, reference = (Prepared(**fields[network]) for network in ("candidate", "reference"))
    request = Request(candidate, reference, Timing(**fields["timing"]), fields["seed"])
    print(json.dumps(asdict(read(request))))


if __name__ == "__main__":
    main()
