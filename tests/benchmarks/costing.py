"""Does cost_of count what fvcore and the built network count, and how much sooner?

    python tests/benchmarks/costing.py --n 1000

draws architectures from the default space and compares multiply-adds with fvcore's and with a count by forward hooks,
and parameters with the module's. It times cost_of and fvcore's trace of the same network in turn, in one process, and
exits with 1 where any count differs. cost_of is called nine times in a row, as the solving of widths calls it, and the
median is taken; the first call, with caches full of the network just built, is given as well.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from proxies.network import build
from search_space import PRESETS, Architecture, Budget, SearchSpace, cost_of
from search_space.choosers import RandomChooser

sys.path.insert(0, str(Path(__file__).parents[1]))
from builders.layer_counts import fvcore_macs, hooked_layers

BUDGETS = ("20mflops", "140mflops", "300mflops,3mparams", "591mflops")


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What `call` gives, and the seconds it took."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def compared(architecture: Architecture, resolution: int) -> tuple[bool, float, float, float, float]:
    """Whether all counts agree; seconds of cost_of, of fvcore's trace, of building, and of the first cost_of."""
    network, build_s = timed(lambda: build(architecture))
    image = torch.zeros(1, 3, resolution, resolution)
    cost, first_s = timed(lambda: cost_of(architecture, resolution))
    cost_s = statistics.median(timed(lambda: cost_of(architecture, resolution))[1] for _ in range(9))
    traced, trace_s = timed(lambda: fvcore_macs(network, image))
    hooked = sum(macs for macs, _ in hooked_layers(network, image).values())
    params = sum(parameter.numel() for parameter in network.parameters())
    return cost.macs == traced == hooked and cost.params == params, cost_s, trace_s, build_s, first_s


def quartiles(values: list[float]) -> str:
    """Median and quartiles as text."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"median {middle:,.4g} (quartiles {low:,.4g} to {high:,.4g})"


def main() -> int:
    """The exit status: 1 where a count differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000, help="architectures drawn (default 1000, at least 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow (default 0)")
    parser.add_argument("--resolution", type=int, default=32, help="pixels that are traced (default 32)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    spaces = [SearchSpace.default(Budget.parse(text)) for text in BUDGETS]
    compared(PRESETS["v2-0.5x"], args.resolution)  # the first trace loads what the others find loaded
    rows = []
    for seed in range(args.seed, args.seed + args.n):
        architecture = spaces[seed % len(spaces)].suggest(RandomChooser(seed))
        rows.append(compared(architecture, args.resolution))
        if not rows[-1][0]:
            print(f"DIFFERS: seed {seed}: {architecture.to_dict()}")
    agreed = sum(row[0] for row in rows)
    print(f"{agreed} of {args.n} agree: cost_of, fvcore and hooks on multiply-adds, the module on parameters")
    print(f"budgets {', '.join(BUDGETS)}; {args.resolution} px; seeds {args.seed} to {args.seed + args.n - 1}")
    print(f"cost_of, ms:                {quartiles([1e3 * row[1] for row in rows])}")
    print(f"fvcore's trace, ms:         {quartiles([1e3 * row[2] for row in rows])}")
    print(f"trace / cost_of:            {quartiles([row[2] / row[1] for row in rows])}")
    print(f"trace / first cost_of:      {quartiles([row[2] / row[4] for row in rows])}")
    print(f"(build + trace) / cost_of:  {quartiles([(row[2] + row[3]) / row[1] for row in rows])}")
    v2 = [compared(PRESETS["v2-1.0x"], 224) for _ in range(11)]
    print(f"V2 1.0x at 224 px, cost_of, ms:               {quartiles([1e3 * row[1] for row in v2])}")
    print(f"V2 1.0x at 224 px, trace / cost_of:           {quartiles([row[2] / row[1] for row in v2])}")
    print(f"V2 1.0x at 224 px, trace / first cost_of:     {quartiles([row[2] / row[4] for row in v2])}")
    print(f"V2 1.0x at 224 px, (build + trace) / cost_of: {quartiles([(row[2] + row[3]) / row[1] for row in v2])}")
    return int(agreed < args.n or not all(row[0] for row in v2))


if __name__ == "__main__":
    raise SystemExit(main())
