"""A command whose latencies take a moment and are never too noisy to be kept: `python -m processes.briefly nas.run`.

How a latency is taken so that it repeats has its own tests. On a busy machine that takes minutes for a network, and
what was noisy is taken anew: neither is to decide what tests of searches find.
"""

import runpy
import sys
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from proxies.latency import protocol

BRIEF: dict[str, Any] = {"processes": 2, "max_processes": 2, "rounds": 10, "runs": 2, "warmup_runs": 2, "seconds": 0.2}
NEVER_NOISY = 1e9

# Where it is imported, as worker processes do too, and before anything that takes these settings over.
protocol.TIMINGS = MappingProxyType(
    {depth: replace(each, **BRIEF, tolerance=NEVER_NOISY) for depth, each in protocol.TIMINGS.items()}
)
protocol.DEFAULT_TIMING = protocol.TIMINGS[protocol.FULL]

if __name__ == "__main__":
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__")
