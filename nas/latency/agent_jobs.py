"""What a search may ask of an agent, and no more: each field of a job has a type and bounds, and no other is taken.

Whoever can write to the database can write a job. So a job names no file and no program: its networks are ONNX files
in the database, by their SHA-256, and are timed by a runtime of `AGENT_RUNTIMES`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any

from proxies.latency.output_check import Expected
from proxies.latency.process import Prepared
from proxies.latency.protocol import TIMINGS, Timing
from proxies.latency.runtimes import AGENT_RUNTIMES, RUNTIMES, Shape
from search_space.errors import InputError
from search_space.precision import FP32, PRECISIONS
from search_space.reading import Fields

LONGEST_SECONDS = 1800
"""How long one job may take in all."""
MOST_VALUES = 2**28
"""How many numbers one input may hold: a gigabyte."""
MOST_OUTPUTS = 16
LARGEST = 3.5e38
"""Beyond what float32 holds."""
_WHOLE_BOUNDS = {
    **{"processes": (2, 16), "max_processes": (2, 16), "rounds": (1, 1000), "runs": (1, 100)},
    **{"warmup_runs": (1, 1000), "least_rounds": (1, 1000)},
}
_NUMBER_BOUNDS = {"seconds": (0.0, 60.0), "tolerance": (1e-9, 10.0), "error": (0.0, 1.0)}
SHA256 = "[0-9a-f]{64}"
_NETWORK_FIELDS = ("file", "sha256", "shape", "runtime", "device", "expected", "precision")


@dataclass(frozen=True, slots=True)
class SentNetwork:
    """A network in the database: the name of its content, and how to run it once that is in a file."""

    sha256: str
    network: Prepared


@dataclass(frozen=True, slots=True)
class AgentJob:
    """Two networks to time in turn, how long, and what the reference's latency is fixed to."""

    candidate: SentNetwork
    reference: SentNetwork
    timing: Timing
    reference_ms: float | None
    seed: int


def job_of(request: Any) -> AgentJob:
    """The job that a request of the queue asks for.

    Raises:
        InputError: it asks for anything that an agent does not do for others.
    """
    job = Fields(request, "a job")
    job.only(("candidate", "reference", "timing", "reference_ms", "seed"))
    return AgentJob(
        candidate=_sent(job.fields("candidate")),
        reference=_sent(job.fields("reference")),
        timing=_timing(job.fields("timing")),
        reference_ms=None if job.value("reference_ms") is None else job.number("reference_ms", 1e-6, 1e9),
        seed=job.whole("seed", 0, 2**31 - 1),
    )


def is_sha256(name: str) -> bool:
    """Whether the name is a SHA-256 in lower-case hexadecimal digits."""
    return re.fullmatch(SHA256, name) is not None


def _sent(sent: Fields) -> SentNetwork:
    sent.only(_NETWORK_FIELDS)
    sha256 = sent.text("sha256", pattern=SHA256)
    runtime = sent.one_of("runtime", AGENT_RUNTIMES)
    device = sent.one_of("device", RUNTIMES[runtime].devices)
    precision = sent.one_of("precision", PRECISIONS) if "precision" in sent.plain else FP32
    expected = _expected(sent.fields("expected"))
    # The sender's own name of the file, which older versions send, is of no use here.
    return SentNetwork(sha256, Prepared("", _shape(sent), runtime, device, expected, precision=precision))


def _shape(sent: Fields) -> Shape:
    sizes = sent.wholes("shape", 1, 65_536)
    if len(sizes) != 4 or math.prod(sizes) > MOST_VALUES:
        raise InputError(f"'shape' in {sent.where} must be (n, c, h, w), of at most {MOST_VALUES} numbers, got {sizes}")
    n, c, h, w = sizes
    return n, c, h, w


def _expected(expected: Fields) -> Expected:
    expected.only([field.name for field in fields(Expected)])
    allowed = expected.numbers("allowed", 0.0, LARGEST)
    outputs = expected.rows("values", MOST_OUTPUTS)
    if len(outputs) != len(allowed):
        raise InputError(f"{expected.where} must allow an error for each of {len(outputs)} outputs, got {len(allowed)}")
    values = tuple(Fields({"values": each}, expected.where).numbers("values", -LARGEST, LARGEST) for each in outputs)
    return Expected(expected.whole("seed", 0, 2**32 - 1), values, allowed)


def _timing(timing: Fields) -> Timing:
    timing.only([field.name for field in fields(Timing)])
    values: dict[str, Any] = {name: timing.whole(name, *bounds) for name, bounds in _WHOLE_BOUNDS.items()}
    values |= {name: timing.number(name, *bounds) for name, bounds in _NUMBER_BOUNDS.items()}
    return Timing(**values, depth=timing.one_of("depth", tuple(TIMINGS)))
