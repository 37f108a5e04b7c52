"""`python -m nas.latency check`: how well latencies repeat on this machine, quiet and beside other work."""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from rich import box
from rich.console import Console
from rich.table import Table

from nas.command import Parser, check_folder, make_folder
from nas.settings import ANCHOR, DEFAULT_RUNTIME
from proxies.runtimes import RUNTIMES, check_runtime
from search_space.architecture import Architecture, Stage
from search_space.errors import InputError
from search_space.presets import PRESETS
from studies.repeatability import ESTIMATES, Repeated, Spread, reference_drift, share_in_order, spread_between

_HALF = Fraction(1, 2)


def _v2(depth_of_stage_3: int) -> Architecture:
    depths_and_widths = zip((4, depth_of_stage_3, 4), (120, 240, 480), strict=True)
    return Architecture("v2", 24, 1024, tuple(Stage(depth, width, split=_HALF) for depth, width in depths_and_widths))


PAIR = ("v2 120-240-480, depth 8", "v2 120-240-480, depth 9")
"""Two networks some 5 % apart: a unit of 17 more."""
NETWORKS: Mapping[str, Architecture] = MappingProxyType(
    {
        "v2-0.5x": PRESETS["v2-0.5x"],
        "v1-1.0x-g3": PRESETS["v1-1.0x-g3"],
        PAIR[0]: _v2(8),
        PAIR[1]: _v2(9),
    }
)
CONDITIONS = ("quiet", "loaded")


def add_flags(parser: Parser) -> None:
    """Nothing: adds the flags of the subcommand to its parser."""
    add = parser.add_argument
    add("--repeats", type=int, default=10, help="measurements of each network in each condition")
    add(
        "--conditions", default=",".join(CONDITIONS), help="quiet: as the machine is; loaded: work on every core beside"
    )
    add("--runtime", default=DEFAULT_RUNTIME, help=f"one of {', '.join(RUNTIMES)}")
    add("--device", default="cpu", help="cpu or cuda")
    add("--resolution", type=int, default=224, help="pixels of the square input")
    add("--out", type=Path, default=Path("runs/latency-check"), help="folder for all measurements as JSON")


def check(flags: argparse.Namespace) -> int:
    """The exit status of a check with these flags."""
    conditions = flags.conditions.split(",")
    if unknown := [name for name in conditions if name not in CONDITIONS]:
        raise InputError(f"--conditions are {', '.join(CONDITIONS)}, joined by commas; got {unknown[0]!r}")
    for name, least in (("repeats", 2), ("resolution", 32)):
        if getattr(flags, name) < least:
            raise InputError(f"--{name} must be at least {least}, got {getattr(flags, name)}")
    check_runtime(flags.runtime, flags.device)
    check_folder(flags.out)
    repeated = list(_measure_all(flags, conditions))
    console = Console(width=130, highlight=False)
    for condition in conditions:
        _print_condition(console, condition, [one for one in repeated if one.condition == condition])
    file = make_folder(flags.out) / "check.json"
    file.write_text(json.dumps([asdict(one) for one in repeated], indent=1) + "\n", encoding="utf-8")
    print(f"wrote {file}")
    return 0


def _measure_all(flags: argparse.Namespace, conditions: Sequence[str]) -> Iterator[Repeated]:
    from proxies.latency import compare, prepare
    from proxies.network import build
    from proxies.synthetic_load import loaded_cores

    with tempfile.TemporaryDirectory() as folder:
        options = {"resolution": flags.resolution, "runtime": flags.runtime, "device": flags.device}
        architectures = {"anchor": PRESETS[ANCHOR], **NETWORKS}
        ready = {
            name: prepare(build(architecture), Path(folder, str(number)), **options)
            for number, (name, architecture) in enumerate(architectures.items())
        }
        for condition in conditions:
            found: dict[str, list[dict[str, object]]] = {name: [] for name in NETWORKS}
            beside: AbstractContextManager[object] = loaded_cores() if condition == "loaded" else nullcontext()
            with beside:
                for number in range(flags.repeats):
                    for name in random.Random(number).sample(list(NETWORKS), len(NETWORKS)):
                        started = time.perf_counter()
                        latency = replace(compare(ready[name], ready["anchor"], seed=number))
                        found[name].append({**latency.to_dict(), "seconds": time.perf_counter() - started})
                    print(f"{condition}: {number + 1} of {flags.repeats}", file=sys.stderr, flush=True)
            for name, latencies in found.items():
                yield Repeated(name, condition, tuple(latencies))


def _print_condition(console: Console, condition: str, repeated: Sequence[Repeated]) -> None:
    table = Table(box=box.SIMPLE_HEAD, title=f"{condition}: standard deviation and worst between measurements, %")
    table.add_column("network", no_wrap=True)
    for name in ("ms", *ESTIMATES):
        table.add_column(name, justify="right")
    for one in repeated:
        spreads = [_spread_text(spread_between(one.values(estimate))) for estimate in ESTIMATES]
        table.add_row(one.network, f"{one.median_ms:.3f}", *spreads)
    console.print(table)
    by_name = {one.network: one for one in repeated}
    fast, slow = (by_name[name] for name in PAIR)
    apart = statistics.median(slow.values("p10 / reference")) / statistics.median(fast.values("p10 / reference")) - 1
    orders = ", ".join(
        f"{100 * share_in_order(fast.values(estimate), slow.values(estimate)):.0f} % by {estimate}"
        for estimate in ESTIMATES
    )
    print(f"  two networks {100 * apart:.1f} % apart come in the right order in {orders}")
    for line in _circumstances([latency for one in repeated for latency in one.latencies]):
        print(f"  {line}")


def _circumstances(latencies: Sequence[Mapping[str, float]]) -> Iterator[str]:
    drift, hours = reference_drift(latencies)
    yield f"{ANCHOR}'s own p10 wandered by {100 * drift:.1f} % over {hours:.2f} hours"
    beside = statistics.median(latency["wall_p10_ms"] / latency["p10_ms"] for latency in latencies)
    yield f"wall time over time on the core, both p10: {beside:.3f} in the median (1: nothing took the core away)"
    steals = [latency["steal_share"] for latency in latencies if latency["steal_share"] is not None]
    stolen = f"{100 * max(steals):.1f} % at worst" if steals else "not told by this system"
    yield f"time stolen by the hypervisor: {stolen}; priority: {latencies[0]['priority']}"
    noisy = sum(bool(latency["noisy"]) for latency in latencies)
    seconds = statistics.median(latency["seconds"] for latency in latencies)
    processes = statistics.fmean(latency["processes"] for latency in latencies)
    yield (
        f"{noisy} of {len(latencies)} measurements flagged noisy; "
        f"a measurement took {seconds:.1f} s and {processes:.1f} processes"
    )


def _spread_text(spread: Spread) -> str:
    return f"{100 * spread.deviation:.2f}  {100 * spread.worst:5.2f}"
