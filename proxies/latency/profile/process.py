"""What runs in a profiling process: as a program it takes a request on stdin and puts what nodes took on stdout."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from proxies.latency.lifetime import end_with_parent, leave_terminal_to_parent
from proxies.latency.machine import pin_to, raise_priority
from proxies.latency.onnx_session import cpu_run, session_of
from proxies.latency.output_check import example
from proxies.latency.process import Prepared
from proxies.latency.protocol import Timing, core_timed, take_rounds

GRAPH, PREFIX = "as-run.onnx", "profile"
"""The files of a profiling process: the network as it is run, and what the profile's name begins with."""
QUICKEST = 0.25
"""The share of the runs whose mean is taken: other work can only lengthen a run."""


@dataclass(frozen=True)
class ProfileRequest:
    """What a profiling process is to do: run the network on this core with a profile and without, in turn."""

    network: Prepared
    folder: str
    timing: Timing
    seed: int
    core: int | None

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ProfileRequest:
        """The request that `dataclasses.asdict` gave these fields for."""
        network, timing = Prepared.from_dict(fields["network"]), Timing(**fields["timing"])
        return cls(**{**fields, "network": network, "timing": timing})


@dataclass(frozen=True)
class NodeTimes:
    """Milliseconds of each node by its name, in the order of the run, from the quickest runs.

    `plain_ms` and `profiled_ms` are the 10th percentiles on the core of runs without a profile and with one.
    """

    ms: Mapping[str, float]
    plain_ms: float
    profiled_ms: float
    runs: int


def take_times(request: ProfileRequest) -> NodeTimes:
    """The times that the request asks for, taken in this process, which is bound to the core from then on.

    Raises:
        WrongOutput: the network does not compute what was kept when it was written.
    """
    pin_to(request.core)
    raise_priority()
    network, folder = request.network, Path(request.folder)
    given = example(network.shape, network.expected.seed)
    profiled = session_of(network.file, graph=folder / GRAPH, profile=folder / PREFIX)
    run_plain, run_profiled = cpu_run(session_of(network.file), given), cpu_run(profiled, given)
    network.expected.check(run_profiled())
    gc.disable()
    plain, beside, _ = take_rounds(core_timed(run_plain), core_timed(run_profiled), request.timing, request.seed)
    file = Path(profiled.end_profiling())
    return times_of(json.loads(file.read_text(encoding="utf-8")), plain.p10_ms, beside.p10_ms)


def times_of(events: Iterable[Mapping[str, Any]], plain_ms: float, profiled_ms: float) -> NodeTimes:
    """What the events of ONNX Runtime's profile say of the quickest runs."""
    runs: list[dict[str, float]] = []
    nodes: dict[str, float] = {}
    for event in events:
        name = event["name"]
        if event["cat"] == "Node" and name.endswith("_kernel_time"):
            node = name.removesuffix("_kernel_time")
            nodes[node] = nodes.get(node, 0.0) + event["dur"] / 1e3
        elif name == "model_run":
            runs.append(nodes)
            nodes = {}
    runs.sort(key=lambda run: sum(run.values()))
    quickest = runs[: max(1, int(QUICKEST * len(runs)))]
    ms = {name: sum(run[name] for run in quickest) / len(quickest) for name in quickest[0]}
    return NodeTimes(ms, plain_ms, profiled_ms, len(runs))


def main() -> None:
    """Writes the times that stdin asks for as the last line of stdout."""
    end_with_parent()
    leave_terminal_to_parent()
    times = take_times(ProfileRequest.from_dict(json.load(sys.stdin)))
    print(json.dumps(asdict(times)))


if __name__ == "__main__":
    main()
