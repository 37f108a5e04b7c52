"""`python -m nas.latency check`: how well latencies repeat on this machine, quiet and beside other work."""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from nas.cli.command import check_folder, clock, make_folder
from nas.cli.flags import precision_of
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import doing
from nas.latency.flags import CONDITIONS
from proxies.latency.protocol import TIMINGS
from proxies.latency.runtimes import check_runtime
from search_space.architecture import Architecture, Stage
from search_space.errors import InputError
from search_space.files import write_json
from search_space.presets import ANCHOR, PRESETS
from search_space.scratch import Scratch
from studies.checked_facts import LEDGERED, checked_latency
from studies.facts import LatencyFacts
from studies.latency.repeatability import (
    ESTIMATES,
    Repeated,
    coverage_of,
    reference_drift,
    share_in_order,
    spread_between,
)
from studies.text_table import table_text

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

Taken = dict[tuple[str, str, str], list[LatencyFacts]]
"""By condition, depth and network, the latencies so far, as plain JSON."""


def check(flags: argparse.Namespace) -> int:
    """The exit status of a check with these flags."""
    conditions, depths = _listed(flags, "conditions", CONDITIONS), _listed(flags, "depths", tuple(TIMINGS))
    check_runtime(flags.runtime, flags.device, precision_of(flags))
    check_folder(flags.out)
    own = OwnFiles(flags.out, "nas.latency check")
    own.check("check.json")
    taken: Taken = {}
    try:
        _measure_all(flags, conditions, depths, flags.time, taken)
    except KeyboardInterrupt:
        print("stopped; what was measured:", file=sys.stderr)
    repeated = [Repeated(name, condition, depth, tuple(all_)) for (condition, depth, name), all_ in taken.items()]
    make_folder(flags.out)
    own.take("check.json")
    file = write_json(flags.out / "check.json", [one.to_dict() for one in repeated])
    _show(repeated)
    print(f"wrote {file}")
    return 0


def _listed(flags: argparse.Namespace, name: str, known: Sequence[str]) -> list[str]:
    listed: list[str] = getattr(flags, name).split(",")
    if unknown := [each for each in listed if each not in known]:
        raise InputError(f"--{name} are {', '.join(known)}, joined by commas; got {unknown[0]!r}")
    return listed


def _measure_all(
    flags: argparse.Namespace, conditions: Sequence[str], depths: Sequence[str], seconds: float, taken: Taken
) -> None:
    """Fills `taken`, round by round, so that what there is at the end of the time is of all conditions alike."""
    from proxies.latency.measure import compare, prepare
    from proxies.latency.synthetic_load import loaded_cores
    from proxies.network import build

    deadline = time.monotonic() + seconds
    with Scratch() as folder, doing("writing the networks", lambda: deadline - time.monotonic()):
        where = {"runtime": flags.runtime, "device": flags.device, "precision": precision_of(flags)}
        options = {"resolution": flags.resolution, **where}
        architectures = {"anchor": PRESETS[ANCHOR], **NETWORKS}
        ready = {
            name: prepare(build(architecture), Path(folder, str(number)), **options)
            for number, (name, architecture) in enumerate(architectures.items())
        }
        for number in range(flags.repeats):
            for condition in conditions:
                beside: AbstractContextManager[object] = loaded_cores() if condition == "loaded" else nullcontext()
                with beside:
                    order = [(depth, name) for depth in depths for name in NETWORKS]
                    for depth, name in random.Random(number).sample(order, len(order)):
                        what = f"{condition}, {depth}, {number + 1} of {flags.repeats}: {name}"
                        started = time.monotonic()
                        with doing(what):
                            latency = compare(ready[name], ready["anchor"], timing=TIMINGS[depth], seed=number)
                        how = checked_latency({**latency.to_dict(), "seconds": time.monotonic() - started}, LEDGERED)
                        taken.setdefault((condition, depth, name), []).append(how)
                        left = clock(max(0.0, deadline - time.monotonic()))
                        text = f"{latency.ratio:.4f} times {ANCHOR} ±{50 * latency.spread:.1f} %"
                        print(f"{what}: {text} | {left} left", file=sys.stderr, flush=True)
                        if time.monotonic() > deadline:
                            return


def _show(repeated: Sequence[Repeated]) -> None:
    """Prints what was measured: a table for each condition and depth, and how often errors hold."""
    for condition, depth in sorted({(one.condition, one.depth) for one in repeated}, reverse=True):
        _print_group(
            f"{condition}, {depth}",
            [one for one in repeated if (one.condition, one.depth) == (condition, depth)],
        )
    for depth in TIMINGS:
        coverage = coverage_of([one for one in repeated if one.depth == depth])
        if coverage.pairs:
            within, twice = (100 * count / coverage.pairs for count in (coverage.within, coverage.within_twice))
            print(
                f"{depth}: of {coverage.pairs} pairs of repeats, over all conditions, {within:.0f} % differ by no more "
                f"than their errors (68 % should), {twice:.0f} % by no more than twice those (95 % should)"
            )


def _print_group(title: str, repeated: Sequence[Repeated]) -> None:
    numbers, rows = ("repeats", "ms", "± stated", *ESTIMATES), []
    for one in repeated:
        spreads = [_spread_text(one.values(estimate)) for estimate in ESTIMATES]
        text = statistics.median(latency.spread for latency in one.latencies) / 2
        rows.append((one.network, str(len(one.latencies)), f"{one.median_ms:.3f}", f"{100 * text:.1f}", *spreads))
    print(f"{title}: standard deviation and worst between measurements, %")
    print(table_text(("network", *numbers), rows, numbers))
    by_name = {one.network: one for one in repeated}
    if by_name.keys() >= set(PAIR):
        fast, slow = (by_name[name] for name in PAIR)
        medians = [statistics.median(each.values("p10 / reference")) for each in (fast, slow)]
        orders = ", ".join(
            f"{100 * share_in_order(fast.values(estimate), slow.values(estimate)):.0f} % by {estimate}"
            for estimate in ESTIMATES
        )
        apart = 100 * (medians[1] / medians[0] - 1)
        print(f"  two networks {apart:.1f} % apart come in the right order in {orders}")
    for line in _circumstances([latency for one in repeated for latency in one.latencies]):
        print(f"  {line}")


def _circumstances(latencies: Sequence[LatencyFacts]) -> Iterator[str]:
    drift, hours = reference_drift(latencies)
    yield f"{ANCHOR}'s own p10 wandered by {100 * drift:.1f} % over {hours:.2f} hours"
    beside = statistics.median(latency.wall_p10_ms / latency.p10_ms for latency in latencies)
    yield f"wall time over time on the core, both p10: {beside:.3f} in the median (1: nothing took the core away)"
    steals = [latency.steal_share for latency in latencies if latency.steal_share is not None]
    stolen = f"{100 * max(steals):.1f} % at worst" if steals else "not known on this system"
    yield f"time stolen by the hypervisor: {stolen}; priority: {latencies[0].priority}"
    noisy = sum(latency.noisy for latency in latencies)
    seconds = statistics.median(latency.seconds for latency in latencies)
    processes = statistics.fmean(latency.processes for latency in latencies)
    yield (
        f"{noisy} of {len(latencies)} measurements flagged noisy; "
        f"a measurement took {seconds:.1f} s and {processes:.1f} processes"
    )


def _spread_text(values: Sequence[float]) -> str:
    """Deviation and worst in percent; of a single value none is known."""
    if len(values) < 2:
        return "-"
    spread = spread_between(values)
    return f"{100 * spread.deviation:.2f}  {100 * spread.worst:5.2f}"
