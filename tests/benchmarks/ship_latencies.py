"""Measures the networks whose latencies ship, and how well a model of them predicts each from the others.

python tests/benchmarks/ship_latencies.py runs/shipped_latencies.jsonl [--precision int8]

One line a network stands in that file; given again, the line goes on, and in the end writes what ships. The networks
are random ones of the default space, five of each unit in each 20 MFLOPs from 20 to 140, and presets; at int8, which
small devices take, also five of the small space for each of four budgets. One measurement each beside V2 1.0x, in 3 to
8 processes of 2 s. Takes 15 minutes on two cores, at int8 20.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count, product
from pathlib import Path
from typing import Any

import numpy as np

from proxies.latency.measure import compare, prepare
from proxies.latency.protocol import Timing
from proxies.network import build
from search_space import PRESETS, Architecture, Budget, SearchSpace, cost_of
from search_space.choosers import RandomChooser
from search_space.precision import FP32, INT8, PRECISIONS
from search_space.shipped_spaces import SMALL, narrowed_to
from search_space.task import Task
from studies.latency.model import BLOCKS, FLOPS_ALONE, best_block, errors_of, leave_one_out, matrix_of
from studies.latency.prior import ANCHOR, FILES, FOLDER, SCHEMA

SHIPPED = Path(__file__).parents[2] / "studies/latency" / FOLDER
RESOLUTION, CLASSES = 224, 1000
TIMING = Timing(processes=3, max_processes=8, seconds=2.0, tolerance=0.03)
CHOSEN = (
    *("v2-0.5x", "v1-1.0x-g3", "v1-1.0x-g8", "v1-0.5x-g3", "v1-1.0x-g1", "v1-0.5x-g8", "v2-1.5x", "v1-1.5x-g3"),
    *("v1-0.25x-g3", "v1-1.5x-g8", "v2-star-0.5x", "v2-se-1.0x"),
)
OF_SMALL_SPACE = ("5mflops", "10mflops", "20mflops", "40mflops")
LEAST_MFLOPS, STEP_MFLOPS, STEPS, OF_EACH = 20, 20, 6, 5


def networks(precision: str) -> Iterator[Architecture]:
    """The presets, then the random ones, so that any first part of them is spread over units and FLOPs."""
    yield from (PRESETS[name] for name in CHOSEN)
    for seed, budget in product(range(OF_EACH), OF_SMALL_SPACE if precision == INT8 else ()):
        small = narrowed_to(SMALL, Budget.parse(budget), Task()).choices
        yield SearchSpace(small, Budget.parse(budget)).suggest(RandomChooser(seed))
    space = SearchSpace.default(Budget.parse("140mflops"))
    drawn: dict[tuple[str, int], list[Architecture]] = {}
    for seed in count():
        architecture = space.suggest(RandomChooser(seed))
        step = int((cost_of(architecture).macs / 1e6 - LEAST_MFLOPS) // STEP_MFLOPS)
        of_step = drawn.setdefault((architecture.unit, step), [])
        if step >= 0 and len(of_step) < OF_EACH:
            of_step.append(architecture)
        if sum(len(each) for (_, step), each in drawn.items() if step >= 0) == 2 * STEPS * OF_EACH:
            break
    for number in range(OF_EACH):
        yield from (of_step[number] for (_, step), of_step in sorted(drawn.items()) if step >= 0)


def measure_missing(file: Path, precision: str) -> list[dict[str, Any]]:
    """All rows of the file, once no network is missing; those that the space offered once are as good as any."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    wanted = {architecture.key(): architecture for architecture in networks(precision)}
    missing = [each for key, each in wanted.items() if key not in {row["key"] for row in rows}]
    how = {"resolution": RESOLUTION, "precision": precision}
    with tempfile.TemporaryDirectory() as folder:
        anchor = prepare(build(PRESETS[ANCHOR]), Path(folder, "anchor"), **how)
        for number, architecture in enumerate(missing, start=1):
            candidate = prepare(build(architecture), Path(folder, "candidate"), **how)
            latency = compare(candidate, anchor, timing=TIMING)
            rows.append({"key": architecture.key(), "arch": architecture.to_dict(), "latency": latency.to_dict()})
            with file.open("a") as lines:
                lines.write(json.dumps(rows[-1]) + "\n")
            print(f"{number} of {len(missing)}: {latency.ratio:.3f} times {ANCHOR}", flush=True)
    return rows


def content_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What ships: the ratios, and how, when and on what they were measured."""
    how = rows[0]["latency"]
    days = sorted(datetime.fromtimestamp(row["latency"]["taken_at"], UTC).date().isoformat() for row in rows)
    made = {
        **{name: how[name] for name in ("runtime", "runtime_version", "precision", "threads", "batch_size")},
        "processor": how["device"],
        "machine": platform.machine(),
        "measured_on": days[0],
        "protocol": f"ratio of 10th percentiles to {ANCHOR}'s in the same rounds, {TIMING.processes} to "
        f"{TIMING.max_processes} processes of {TIMING.seconds:.0f} s, beside other work on both of two cores",
        "median_error": round(float(np.median([row["latency"]["spread"] / 2 for row in rows])), 4),
    }
    ratios = [{"architecture": PRESETS[ANCHOR].to_dict(), "ratio": 1.0}]
    ratios += [{"architecture": row["arch"], "ratio": round(row["latency"]["ratio"], 5)} for row in rows]
    block = best_block(_works([each["architecture"] for each in ratios], BLOCKS), _ratios_of(ratios))
    task = {"resolution": RESOLUTION, "classes": CLASSES}
    return {"schema": SCHEMA, **task, "block": block, "made": made, "networks": ratios}


def _works(architectures: list[dict[str, Any]], blocks: Sequence[int]) -> dict[int, Any]:
    networks_ = [Architecture.from_dict(each) for each in architectures]
    return {block: matrix_of(networks_, block, RESOLUTION, CLASSES)[1] for block in blocks}


def _ratios_of(rows: list[dict[str, Any]]) -> Any:
    return np.array([row["ratio"] for row in rows])


def main() -> None:
    """Measures, writes what ships and prints the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--precision", choices=PRECISIONS, default=FP32)
    flags = parser.parse_args()
    content = content_of(measure_missing(flags.rows, flags.precision))
    networks_, block = content.pop("networks"), content["block"]
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in networks_)
    text = json.dumps(content, indent=1)[:-2] + f',\n "networks": [\n{rows}\n ]\n}}\n'
    (SHIPPED / FILES[flags.precision]).write_text(text, encoding="utf-8")
    ratios = _ratios_of(networks_)
    print(f"{len(networks_)} networks, each predicted from the others: median, within 5 and 10 %, worst, Kendall tau")
    works = _works([row["architecture"] for row in networks_], (block, FLOPS_ALONE))
    for name, kind in ((f"by layers, blocks of {block}", block), ("by FLOPs alone", FLOPS_ALONE)):
        found = errors_of(leave_one_out(works[kind], ratios), ratios)
        shares = (found.median, found.within_5_percent, found.within_10_percent, found.worst)
        print(f"{name:24}", *(f"{100 * share:5.1f} %" for share in shares), f"{found.tau:.3f}")


if __name__ == "__main__":
    main()
