"""The latency of a network: measured in processes of its own, against a reference network timed in the same rounds."""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from proxies.latency.lifetime import ending_with_this
from proxies.latency.machine import device_facts, fingerprint
from proxies.latency.onnx_session import cpu_run, session_of
from proxies.latency.output_check import Expected, example, kept_of
from proxies.latency.process import Prepared, Request
from proxies.latency.protocol import DEFAULT_TIMING, FULL, Reading, Series, Timing, measure_until_steady
from proxies.latency.runtimes import RUNTIMES, Shape, check_runtime
from proxies.latency.runtimes.torch_eager import outputs_of
from proxies.latency.timing_core import timing_core
from search_space.errors import InputError
from search_space.files import digest_of
from search_space.precision import FP32, INT8
from search_space.scratch import libraries_use

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Latency", "Prepared", "Timing", "check_runtime", "compare", "prepare"]

THREADS = 1
LONGEST_SECONDS = 600
"""What one measuring process may take: one that hangs would else stop a search for ever."""

# In float32, the share of the largest output, and of what another input changes, that may come of rounding. Folded
# batch norms and another order of sums alone differ by less than 1e-6 of the largest output.
ROUNDING, SHARE_OF_CHANGE = 3e-6, 1e-4
# In fewer bits rounding alone makes 4 to 50 % of what another input changes, each network its own share: so it is tried
# out, on a few inputs. OpenVINO's bfloat16 then lost up to 1.5 times as much on networks of 10 to 1,000 classes, 2.0 on
# those of 2; leaving out one shuffle of V2 1.0x made 2.6 times, 10 % on its stem's weights 5.5.
TIMES_ROUNDING, INPUTS = 2.5, 4
CALIBRATION = 8
"""Random images that the range of activations is taken from, where a network in int8 is timed alone."""
# In 8 bits a value near the edge of a step falls to either side, and layers carry that on: how far is tried
# out by images whose pixels are off by 1e-5. Of 11 networks, ONNX Runtime was off by up to 1.0 times as much, OpenVINO
# 1.2; kernels that overflow by 3, and by 4 to 44 where all shuffles were left out. One alone makes 0.4 to 12: that is
# noticed in the file in float32, from which the one in 8 bits is made.
TIMES_SHAKEN, SHAKEN, STEPS = 1.5, 1e-5, 2
MOST_SHRUNK, LEAST_VALUES = 32, 32
"""How far a network shrinks an image, and from how many values of a channel its statistics are taken, at the least."""


@dataclass(frozen=True)
class Latency(Reading):
    """A reading as a latency: `latency_ms` is its `ratio` times `reference_ms`, the rest says how it was taken.

    `reference_ms` is the reference's latency as fixed for the study, `runs` the timed runs in a round. `device` is the
    processor's or the GPU's name, `fingerprint` names the whole machine. `batch_size` images run at once, and
    `latency_ms` is for all of them. `depth` is the row of `proxies.latency.protocol.TIMINGS` by which it was taken.
    """

    latency_ms: float
    reference_ms: float
    runs: int
    runtime: str
    runtime_version: str
    device: str
    fingerprint: str
    threads: int
    precision: str
    batch_size: int
    resolution: int
    depth: str = FULL

    def to_dict(self) -> dict[str, float | int | bool | str | None]:
        """The fields by name, as plain scalars that JSON and databases take."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Latency:
        """The latency that `to_dict` gave these fields for."""
        return cls(**fields)


def prepare(
    network: nn.Module,
    stem: Path,
    *,
    resolution: int | tuple[int, int],
    in_channels: int = 3,
    batch_size: int = 1,
    runtime: str = "onnxruntime",
    device: str = "cpu",
    precision: str = FP32,
    seed: int = 0,
) -> Prepared:
    """The network written to `stem` with the runtime's suffix, ready to be measured any number of times.

    The network itself is left as it is. The file's batch norms have the statistics of random images: those of an
    untrained network let so little of the image through that no check would notice a wrong file. Torch's outputs on a
    random image are kept, all of them, and every process that measures the file compares its own with them first.
    In int8 the file is quantised on random images, and its own outputs are kept in place of torch's. `resolution` is in
    pixels, or height and width.

    Raises:
        InputError: the runtime or the device is unknown, not installed or not there, or has not the precision.
        RuntimeError: the network could not be written in int8.
    """
    check_runtime(runtime, device, precision)
    row = RUNTIMES[runtime]
    file = stem.with_name(stem.name + row.suffix)
    shape = (batch_size, in_channels, *((resolution, resolution) if isinstance(resolution, int) else resolution))
    written = _with_statistics_of_noise(copy.deepcopy(network).cpu().eval(), shape, seed)
    with libraries_use(stem.parent):
        if precision == INT8:
            expected = _written_in_int8(written, file, shape, seed)
        else:
            row.write(written, file, shape, device)
            expected = expected_of(written, shape, row.precision, seed)
    sha256 = "" if row.suffix == ".onnx" else digest_of(file)
    return Prepared(str(file), shape, runtime, device, expected, sha256, precision)


def _written_in_int8(network: nn.Module, file: Path, shape: Shape, seed: int) -> Expected:
    """What is expected of the ONNX file, written in 8 bits from one in float32 that computes what torch does."""
    from proxies.latency.runtimes.onnx_file import write_onnx
    from proxies.quantization.onnx_int8 import write_int8

    float32 = file.with_suffix(".float32.onnx")
    write_onnx(network, float32, shape, "cpu")
    try:
        given = example(shape, seed)
        expected_of(network, shape, "float32", seed).check(cpu_run(session_of(float32, is_plain=True), given)())
        write_int8(float32, file, (example(shape, seed + number) for number in range(CALIBRATION)))
    finally:
        float32.unlink(missing_ok=True)
    return expected_in_int8(file, shape, seed)


def expected_in_int8(file: Path, shape: Shape, seed: int) -> Expected:
    """What an ONNX file in 8 bits computes step by step, and how far off a runtime may be that takes steps together.

    Raises:
        RuntimeError: some of its layers are not in 8 bits.
    """
    import onnx

    from proxies.quantization.onnx_int8 import layers_of

    layers, in_8_bits = layers_of(onnx.load(file))
    if in_8_bits < layers:
        raise RuntimeError(f"layers with weights must be in 8 bits; {in_8_bits} of {layers} are: report this network")
    session = session_of(file, is_plain=True)
    inputs = [example(shape, seed + number) for number in range(INPUTS)]
    nearly = [x * (1 + SHAKEN * example(shape, seed + INPUTS + number)) for number, x in enumerate(inputs)]
    right, shaken = ([cpu_run(session, x)() for x in each] for each in (inputs, nearly))
    allowed = []
    for output in range(len(right[0])):
        ours, others = (np.stack([outputs[output] for outputs in each]) for each in (right, shaken))
        allowed.append(float(max(TIMES_SHAKEN * np.abs(ours - others).max(), STEPS * np.ptp(ours) / 255)))
    return Expected(seed, tuple(tuple(kept_of(each).tolist()) for each in right[0]), tuple(allowed))


def expected_of(network: nn.Module, shape: Shape, precision: str, seed: int) -> Expected:
    """Torch's outputs for the seed's example, and how far a runtime of this precision may be off."""
    import torch

    inputs = [torch.from_numpy(example(shape, seed + number)) for number in range(INPUTS)]
    with torch.inference_mode():
        expected, other = (outputs_of(network(x)) for x in inputs[:2])
        if precision == "float32":
            both = zip(expected, other, strict=True)
            allowed = [ROUNDING * _largest(one) + SHARE_OF_CHANGE * _largest(two - one) for one, two in both]
        else:
            allowed = [TIMES_ROUNDING * loss for loss in _losses_in(getattr(torch, precision), network, inputs)]
    return Expected(seed, tuple(tuple(kept_of(each.numpy()).tolist()) for each in expected), tuple(allowed))


def _losses_in(dtype: torch.dtype, network: nn.Module, inputs: Sequence[torch.Tensor]) -> list[float]:
    """For each output the largest error that rounding to the dtype makes: of all weights, and of every layer's output.

    Sums stay in float32, as in the runtimes; torch's own kernels of the dtype are slow where a CPU lacks it.
    """
    rounded = copy.deepcopy(network)
    for values in (*rounded.parameters(), *rounded.buffers()):
        values.data = values.data.to(dtype).to(values.dtype)
    for module in rounded.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda layer, given, output: output.to(dtype).to(output.dtype))
    outputs = ((outputs_of(rounded(x)), outputs_of(network(x))) for x in inputs)
    return list(map(max, *([_largest(a - b) for a, b in zip(*both, strict=True)] for both in outputs)))


def compare(
    candidate: Prepared,
    reference: Prepared,
    *,
    timing: Timing = DEFAULT_TIMING,
    reference_ms: float | None = None,
    seed: int = 0,
    longest_seconds: float = math.inf,
) -> Latency:
    """The candidate's latency, scaled by the reference timed in the same rounds; fresh processes measure both.

    One may be in fp32 and the other in int8: their ratio says which is faster.
    `reference_ms` is the reference's latency as fixed once for the study; None takes this measurement's own. The seed
    draws the order of the networks in each round.

    Raises:
        InputError: the two networks are prepared differently, or `reference_ms` is not a positive time.
        RuntimeError: a measuring process died, or a network does not compute what torch does, or it all takes over
            `longest_seconds`.
    """
    ours, theirs = (f"{network.runtime} on {network.device}" for network in (candidate, reference))
    if ours != theirs:
        raise InputError(f"both networks must be prepared alike; {ours} and {theirs} came: prepare one of them anew")
    if reference_ms is not None and not 0 < reference_ms < math.inf:
        raise InputError(f"reference_ms must be a time above 0; {reference_ms} came: give the reference's, or None")
    deadline = time.monotonic() + longest_seconds
    with timing_core() as core:
        request = Request(candidate, reference, timing, seed, core)
        reading = measure_until_steady(
            lambda number: _series_elsewhere(replace(request, seed=seed + number), deadline - time.monotonic()), timing
        )
    return latency_of(reading, request, reference_ms)


def latency_of(reading: Reading, request: Request, reference_ms: float | None) -> Latency:
    """The latency that a reading amounts to, scaled to `reference_ms`; for None the reading's own p10 stands."""
    network = request.candidate
    runtime = RUNTIMES[network.runtime]
    gpu = gpu_name() if network.device == "cuda" else ""
    facts = device_facts(gpu)
    return Latency(
        latency_ms=reading.p10_ms if reference_ms is None else reading.ratio * reference_ms,
        reference_ms=reading.reference_p10_ms if reference_ms is None else reference_ms,
        runs=request.timing.runs,
        runtime=network.runtime,
        runtime_version=runtime.version(),
        device=gpu or str(facts["processor"]),
        fingerprint=fingerprint(facts),
        threads=THREADS,
        precision=runtime.computes_in(network.precision),
        batch_size=network.shape[0],
        resolution=network.shape[-1],
        depth=request.timing.depth,
        **asdict(reading),
    )


def _series_elsewhere(request: Request, seconds_left: float) -> Series:
    return Series.from_dict(answer_of("proxies.latency.process", request, seconds_left))


def answer_of(program: str, request: Any, longest_seconds: float = LONGEST_SECONDS) -> Any:
    """What a measuring process answers: a module run by itself that takes a dataclass on stdin, as JSON both ways.

    Nothing of this process's threads, memory or imports is in its way.

    Raises:
        RuntimeError: it died, or took over `longest_seconds` or `LONGEST_SECONDS`.
    """
    longest = min(LONGEST_SECONDS, max(0.0, longest_seconds))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": str(THREADS)}
    environment |= ending_with_this()
    try:
        finished = subprocess.run(
            [sys.executable, "-m", program],
            input=json.dumps(asdict(request)),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
            check=False,
            timeout=longest,
        )
    except subprocess.TimeoutExpired as error:
        limit = f"it took over {longest} s" if longest == LONGEST_SECONDS else "its measurement took too long in all"
        raise RuntimeError(f"the measuring process was killed: {limit}") from error
    if finished.returncode:
        raise RuntimeError(f"the measuring process died: {_last_words(finished)}")
    return json.loads(finished.stdout.splitlines()[-1])


def _last_words(finished: subprocess.CompletedProcess[str]) -> str:
    number = -finished.returncode
    if number > 0:  # a signal: what it printed before is not the cause
        name = signal.strsignal(number) or "unknown"
        return f"killed by signal {number} ({name.lower()})"
    said = finished.stderr.strip().splitlines()
    return said[-1] if said else f"it said nothing; its exit status is {finished.returncode}"


def _with_statistics_of_noise(network: nn.Module, shape: Shape, seed: int) -> nn.Module:
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0  # the statistics become those of this one batch
    if norms:
        with torch.no_grad():
            network(torch.from_numpy(example((_images_for_statistics(shape), *shape[1:]), seed)))
    return network.eval()


def _images_for_statistics(shape: Shape) -> int:
    """How many: two, or as many as give the smallest maps enough pixels. A variance of two values may be hardly any."""
    height, width = (max(1, side // MOST_SHRUNK) for side in shape[2:])
    return max(2, math.ceil(LEAST_VALUES / (height * width)))


def _largest(values: torch.Tensor) -> float:
    return float(values.abs().max())


def gpu_name() -> str:
    """The name of the GPU that torch uses, or "unknown GPU"."""
    import torch

    with suppress(RuntimeError, AssertionError):
        return torch.cuda.get_device_name()
    return "unknown GPU"
