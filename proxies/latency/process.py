"""What runs in a measuring process: as a program it takes a request on stdin and puts a series on stdout."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from proxies.latency.lifetime import end_with_parent, leave_terminal_to_parent
from proxies.latency.machine import StealCounter, load_average, pin_to, raise_priority
from proxies.latency.output_check import Expected, example
from proxies.latency.protocol import Series, Timing, take_rounds
from proxies.latency.runtimes import RUNTIMES, Loaded, Shape
from proxies.latency.runtimes.own_files import check_own_file
from search_space.precision import FP32


@dataclass(frozen=True)
class Prepared:
    """A network in the file that its runtime reads, for inputs of `shape`, `(n, c, h, w)`, on the device.

    `precision` is a row of `PRECISIONS`: what the file's layers are in. `sha256` is that of the file where it is no
    ONNX file: what is read must be what was written.
    """

    file: str
    shape: Shape
    runtime: str
    device: str
    expected: Expected
    sha256: str = ""
    precision: str = FP32

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Prepared:
        """The prepared network that `dataclasses.asdict` gave these fields for."""
        values = {"shape": tuple(fields["shape"]), "expected": Expected(**fields["expected"])}
        return cls(**{**fields, **values})


@dataclass(frozen=True)
class Request:
    """What a measuring process is to do: time two networks of one runtime and device, on this core."""

    candidate: Prepared
    reference: Prepared
    timing: Timing
    seed: int
    core: int | None

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Request:
        """The request that `dataclasses.asdict` gave these fields for."""
        networks = {name: Prepared.from_dict(fields[name]) for name in ("candidate", "reference")}
        return cls(**{**fields, **networks, "timing": Timing(**fields["timing"])})


def take_series(request: Request) -> Series:
    """The series that the request asks for, taken in this process, which is bound to the core from then on.

    Raises:
        WrongOutput: a network does not compute what torch computed when it was written.
    """
    started_at, load = time.time(), load_average()
    pin_to(request.core)
    priority = raise_priority()
    candidate, reference = (_checked(network) for network in (request.candidate, request.reference))
    gc.disable()
    steal = StealCounter(request.core)
    candidate_summary, reference_summary, rounds = take_rounds(
        candidate.timed, reference.timed, request.timing, request.seed
    )
    return Series(candidate_summary, reference_summary, rounds, started_at, load, steal.share(), priority)


def _checked(network: Prepared) -> Loaded:
    """The network as it will be timed, after it has shown that it computes the right thing."""
    if RUNTIMES[network.runtime].suffix != ".onnx":
        check_own_file(Path(network.file), network.sha256)
    given = example(network.shape, network.expected.seed)
    loaded = RUNTIMES[network.runtime].load(Path(network.file), network.shape, network.device, given)
    network.expected.check(loaded.outputs())
    return loaded


def main() -> None:
    """Writes the series that stdin asks for as the last line of stdout."""
    end_with_parent()
    leave_terminal_to_parent()
    series = take_series(Request.from_dict(json.load(sys.stdin)))
    print(json.dumps(asdict(series)))


if __name__ == "__main__":
    main()
