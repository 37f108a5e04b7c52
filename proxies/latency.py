"""The latency of a network: measured in a process of its own, against a reference network timed in the same rounds."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxies.runtimes import RUNTIMES, check_runtime
from proxies.stopwatch import DEFAULT_TIMING, Prepared, Reading, Request, Timing
from search_space.errors import InputError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Latency", "Prepared", "Timing", "check_runtime", "compare", "measure", "prepare"]

BATCH_SIZE = 1
THREADS = 1


@dataclass(frozen=True)
class Latency:
    """One measurement: `latency_ms` is `p10_ms / reference_p10_ms * reference_ms`, the rest says how it was taken.

    `p10_ms`, `median_ms` and `p90_ms` are the candidate's percentiles in this measurement, `reference_p10_ms` the
    reference's: times on the core (`proxies.runtimes.core_clock`) or the GPU. `reference_ms` is the reference's latency
    as fixed for the study. `spread` is the relative difference between the estimates of the odd and of the even rounds;
    `noisy` says that it stayed above the tolerance.
    `load_average` is the system's over the last minute, at the start; None on a system that keeps none.
    """

    latency_ms: float
    p10_ms: float
    median_ms: float
    p90_ms: float
    reference_p10_ms: float
    reference_ms: float
    rounds: int
    runs: int
    spread: float
    noisy: bool
    runtime: str
    runtime_version: str
    device: str
    threads: int
    precision: str
    batch_size: int
    resolution: int
    load_average: float | None

    def to_dict(self) -> dict[str, float | int | bool | str | None]:
        """The fields by name, as plain scalars that JSON and databases take."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Latency:
        """The latency that `to_dict` gave these fields for."""
        return cls(**fields)


def measure(
    network: nn.Module,
    reference: nn.Module,
    *,
    resolution: int,
    in_channels: int = 3,
    runtime: str = "onnxruntime",
    device: str = "cpu",
    timing: Timing = DEFAULT_TIMING,
    reference_ms: float | None = None,
    seed: int = 0,
) -> Latency:
    """The network's latency on one image, in inference; see `prepare` and `compare`, which this calls.

    Raises:
        InputError: as `prepare` and `compare`.
        RuntimeError: as `prepare` and `compare`.
    """
    with tempfile.TemporaryDirectory() as folder:
        ready = partial(
            prepare, resolution=resolution, in_channels=in_channels, runtime=runtime, device=device, seed=seed
        )
        candidate, fixed = ready(network, Path(folder, "candidate")), ready(reference, Path(folder, "reference"))
        return compare(candidate, fixed, timing=timing, reference_ms=reference_ms, seed=seed)


def prepare(
    network: nn.Module,
    stem: Path,
    *,
    resolution: int,
    in_channels: int = 3,
    runtime: str = "onnxruntime",
    device: str = "cpu",
    seed: int = 0,
) -> Prepared:
    """The network written to `stem` with the runtime's suffix, ready to be measured any number of times.

    The network itself is left as it is. An ONNX file is checked against torch on a random input drawn from the seed.

    Raises:
        InputError: the runtime or the device is unknown or not there.
        RuntimeError: the file does not give torch's outputs.
    """
    check_runtime(runtime, device)
    file = stem.with_name(stem.name + RUNTIMES[runtime].suffix)
    shape = (BATCH_SIZE, in_channels, resolution, resolution)
    RUNTIMES[runtime].write(copy.deepcopy(network).cpu().eval(), file, shape, seed)
    return Prepared(str(file), shape, runtime, device)


def compare(
    candidate: Prepared,
    reference: Prepared,
    *,
    timing: Timing = DEFAULT_TIMING,
    reference_ms: float | None = None,
    seed: int = 0,
) -> Latency:
    """The candidate's latency, scaled by the reference timed in the same rounds; a fresh process measures both.

    `reference_ms` is the reference's latency as fixed once for the study; None takes this measurement's own. The seed
    draws the input image and the order of the networks in each round.

    Raises:
        InputError: the two networks are prepared differently, or `reference_ms` is not a positive time.
        RuntimeError: the measuring process died.
    """
    ours, theirs = (f"{network.runtime} on {network.device}" for network in (candidate, reference))
    if ours != theirs:
        raise InputError(f"both networks must be prepared alike; {ours} and {theirs} came: prepare one of them anew")
    if reference_ms is not None and not 0 < reference_ms < math.inf:
        raise InputError(f"reference_ms must be a time above 0; {reference_ms} came: give the reference's, or None")
    request = Request(candidate, reference, timing, seed)
    return latency_of(_read_elsewhere(request), request, reference_ms)


def latency_of(reading: Reading, request: Request, reference_ms: float | None) -> Latency:
    """The latency that a reading amounts to, scaled to `reference_ms`, or to the reading's own reference for None."""
    scale_ms = reading.reference_p10_ms if reference_ms is None else reference_ms
    return Latency(
        latency_ms=reading.p10_ms / reading.reference_p10_ms * scale_ms,
        reference_ms=scale_ms,
        runs=request.timing.runs,
        runtime=request.candidate.runtime,
        threads=THREADS,
        precision="float32",
        batch_size=BATCH_SIZE,
        resolution=request.candidate.shape[-1],
        **asdict(reading),
    )


def _read_elsewhere(request: Request) -> Reading:
    """The reading of a process of its own: nothing of this one's threads, memory or imports is in its way."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": str(THREADS)}
    finished = subprocess.run(
        [sys.executable, "-m", "proxies.stopwatch"],
        input=json.dumps(asdict(request)),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if finished.returncode:
        said = finished.stderr.strip().splitlines() or [f"it said nothing; its exit status is {finished.returncode}"]
        raise RuntimeError(f"the measuring process died: {said[-1]}")
    return Reading(**json.loads(finished.stdout.splitlines()[-1]))
