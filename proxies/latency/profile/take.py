"""A network's profile in ONNX Runtime: what each node takes, and what it stands for; taken in fresh processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from proxies.latency.measure import answer_of
from proxies.latency.process import Prepared
from proxies.latency.profile.blocks import Blocks, blocks_here
from proxies.latency.profile.graph import RunNode, names_in_profile, run_nodes
from proxies.latency.profile.process import GRAPH, NodeTimes, ProfileRequest
from proxies.latency.protocol import Timing
from proxies.latency.timing_core import timing_core
from search_space.scratch import Scratch

TIMING = Timing(processes=3, max_processes=3, rounds=60, runs=4, warmup_runs=10, seconds=3.0, least_rounds=5)
"""How long a profile takes: three processes of three seconds at most."""


@dataclass(frozen=True, slots=True)
class NodeTime:
    """A node as it is run, the milliseconds that it takes, and those that the profile says, its own work included."""

    node: RunNode
    ms: float
    told_ms: float


@dataclass(frozen=True, slots=True)
class Profile:
    """A network's nodes with their times, means over the processes, and the blocks that the runtime computes in.

    `plain_ms` and `profiled_ms` are 10th percentiles of whole runs on the core, without a profile and with one.
    Writing a node down takes the same `own_ms` for each, which are taken off: so that all together take `plain_ms`.
    """

    nodes: tuple[NodeTime, ...]
    own_ms: float
    plain_ms: float
    profiled_ms: float
    runs: int
    processes: int
    blocks: Blocks

    @property
    def nodes_ms(self) -> float:
        """What all nodes take together."""
        return sum(each.ms for each in self.nodes)


def profile_of(network: Prepared, *, timing: Timing = TIMING, seed: int = 0) -> Profile:
    """The profile of a network that was prepared for ONNX Runtime on the CPU.

    Raises:
        RuntimeError: a profiling process died, or the network does not compute what was kept of it.
    """
    written = onnx.load(network.file, load_external_data=False)
    times: list[NodeTimes] = []
    nodes: dict[str, RunNode] = {}
    ms: dict[str, float] = {}
    with Scratch() as folder, timing_core() as core:
        request = ProfileRequest(network, str(folder), timing, seed, core)
        for _ in range(timing.processes):
            times.append(NodeTimes(**answer_of("proxies.latency.profile.process", request)))
            as_run = onnx.load(Path(folder, GRAPH), load_external_data=False)
            found, names = run_nodes(written, as_run), names_in_profile(times[-1].ms, as_run)
            for name, each in times[-1].ms.items():
                node = found[names[name]]
                nodes[node.name] = node
                ms[node.name] = ms.get(node.name, 0.0) + each / timing.processes
    plain_ms = _mean([each.plain_ms for each in times])
    own_ms = beyond(list(ms.values()), plain_ms)
    return Profile(
        nodes=tuple(NodeTime(nodes[name], max(0.0, each - own_ms), each) for name, each in ms.items()),
        own_ms=own_ms,
        plain_ms=plain_ms,
        profiled_ms=_mean([each.profiled_ms for each in times]),
        runs=sum(each.runs for each in times),
        processes=timing.processes,
        blocks=blocks_here(),
    )


def beyond(values: Sequence[float], total: float) -> float:
    """What each of the values, none of which becomes less than 0, must lose for them to sum to `total`; 0 if none."""
    left = sorted(values)
    while left and sum(left) > total:
        each = (sum(left) - total) / len(left)
        if left[0] >= each:
            return each
        left = [value for value in left if value >= each]
    return 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
