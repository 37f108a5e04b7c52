"""What `python -m nas.guidelines` does, once its flags are read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nas.cli.command import check_folder, make_folder
from nas.cli.flags import precision_of
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import Steps, doing
from proxies.latency.measure import Latency, Prepared, Timing, check_runtime, compare, prepare
from proxies.latency.runtimes import Shape
from search_space.errors import InputError
from search_space.files import write_json
from search_space.precision import FP32, precision_named
from search_space.scratch import Scratch
from studies.checked_facts import LEDGERED, checked_latency
from studies.display import FLOP, SPREAD
from studies.papers.guideline_findings import (
    ALIGNMENT,
    ELEMENTS,
    SPEED,
    TEXTS,
    Finding,
    MeasuredRow,
    cells_of,
    columns_of,
    latency_text,
    verdict_of,
)
from studies.papers.published_guidelines import (
    CHANNELS_OF,
    RESOLUTIONS,
    SCALES,
    SIZES,
    TABLES,
    PublishedRow,
    PublishedTable,
)
from studies.report.guideline_page import write_guidelines
from studies.text_table import table_text

if TYPE_CHECKING:
    from torch import nn

Value = TypeVar("Value")
FULL = Timing()
QUICK = Timing(processes=2, max_processes=2, rounds=3, runs=2, warmup_runs=1, seconds=1.0, least_rounds=2)
WITH_ELEMENTS = (1, 2, 3)
"""The tables whose memory access Ma 2018's formula tells apart: table 4's differs in what the formula leaves out."""


@dataclass(frozen=True, slots=True)
class Case:
    """One variant of one table, to be measured with the channels of one platform."""

    table: PublishedTable
    platform: str
    variant: int


@dataclass(frozen=True, slots=True)
class Setup:
    """How every network is measured."""

    runtime: str
    device: str
    timing: Timing
    seed: int
    precision: str = FP32


def rerun(flags: argparse.Namespace) -> int:
    """The exit status of the command with these flags; the files are brought up to date after each table."""
    cases = cases_of(flags)
    precision = precision_of(flags)
    check_runtime(flags.runtime, flags.device, precision)
    check_folder(flags.out)
    own = OwnFiles(flags.out, "nas.guidelines")
    own.check("guidelines.json", "guidelines.html")
    setup = Setup(flags.runtime, flags.device, QUICK if flags.quick else FULL, flags.seed, precision)
    out = make_folder(flags.out)
    own.take("guidelines.json", "guidelines.html")
    steps = Steps(sum(len(case.table.rows) for case in cases))
    findings: list[Finding] = []
    with doing("timing", steps.seconds_left) as at:
        for case in cases:
            at.now(f"timing the rows of table {case.table.number}")
            findings.append(_measure(case, setup, _reporter(steps)))
            files = _write(out, findings, _how(setup, findings))
            _print(findings[-1])
    print(FLOP, ELEMENTS, SPEED, SPREAD, ALIGNMENT, *(f"wrote {file}" for file in files), sep="\n")
    return 0


def cases_of(flags: argparse.Namespace) -> list[Case]:
    """What the flags ask for, in order; a table whose channels are the same on both platforms comes once.

    Raises:
        InputError: a flag names what there is not.
    """
    tables = _chosen("--tables", flags.tables, {str(number): table for number, table in TABLES.items()})
    platforms = _chosen("--columns", flags.columns, {name: name for name in CHANNELS_OF})
    scales = _chosen("--scales", flags.scales, {str(scale): index for index, scale in enumerate(SCALES)})
    sizes = {name: index for index, name in enumerate(SIZES)}
    resolutions = list(dict.fromkeys(_chosen("--resolutions", flags.resolutions, {"224": 0, **sizes})))
    cases = []
    for table in tables:
        seen: set[tuple[tuple[int, ...], ...]] = set()
        for platform in [name for name in platforms if name in table.platforms] or table.platforms:
            channels = tuple(row.channels[platform] for row in table.rows)
            variants = () if channels in seen else resolutions if table.in_ms else scales
            cases += [Case(table, platform, variant) for variant in variants]
            seen.add(channels)
    return cases


def _chosen(flag: str, text: str, choices: Mapping[str, Value]) -> list[Value]:
    """The values that a comma-separated text names, each once."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in choices]
    if unknown or not names:
        came = repr(unknown[0]) if unknown else repr(text)
        raise InputError(f"{flag} must be some of {', '.join(choices)}, joined by commas; {came} came: name these")
    return [choices[name] for name in dict.fromkeys(names)]


def _reporter(steps: Steps) -> Callable[[Case, MeasuredRow], None]:
    """What puts a line on stderr for each row that has been measured."""

    def report(case: Case, row: MeasuredRow) -> None:
        steps.done += 1
        text = f"{steps.done} of {steps.total}: table {case.table.number}, {row.setting}: {latency_text(row, ' ms')}"
        print(f"{text} | {steps.left()}", file=sys.stderr, flush=True)

    return report


def _measure(case: Case, setup: Setup, report: Callable[[Case, MeasuredRow], None]) -> Finding:
    """The case's rows, measured one after the other, each in turns with the first."""
    rows: list[MeasuredRow] = []
    with Scratch() as folder:
        first: Prepared | None = None
        for number, published in enumerate(case.table.rows):
            network, shape = _network(case, published, setup.seed)
            ready = prepare(
                network,
                Path(folder, str(number)),
                resolution=shape[2:],
                in_channels=shape[1],
                runtime=setup.runtime,
                device=setup.device,
                precision=setup.precision,
                seed=setup.seed,
            )
            first = first or ready
            # The first row is timed against itself: its own 10th percentile is what the other rows' ratios scale.
            fixed_ms = rows[0].latency_ms if rows else None
            latency = compare(ready, first, timing=setup.timing, reference_ms=fixed_ms, seed=setup.seed)
            rows.append(_row(case, published, network, shape, latency))
            report(case, rows[-1])
    return Finding(case.table, case.platform, case.variant, tuple(rows))


def _network(case: Case, row: PublishedRow, seed: int) -> tuple[nn.Module, Shape]:
    """The row's network and the shape of its input."""
    from proxies.references.guideline_networks import BUILDERS, RESOLUTION, block_channels, speed_table_network

    if case.table.in_ms:
        return speed_table_network(row.setting, seed=seed), (1, 3, *RESOLUTIONS[case.variant])
    channels = (SCALES[case.variant] * width for width in row.channels[case.platform])
    network = BUILDERS[case.table.number](*channels, **row.options, seed=seed)
    return network, (1, block_channels(network)[0], RESOLUTION, RESOLUTION)


def _row(case: Case, published: PublishedRow, network: nn.Module, shape: Shape, latency: Latency) -> MeasuredRow:
    from proxies.counting import count
    from proxies.references.guideline_networks import block_channels, memory_access_elements

    is_whole = case.table.in_ms
    return MeasuredRow(
        setting=published.setting,
        channels=() if is_whole else block_channels(network),
        shape=shape,
        macs=count(network, shape)[0],
        memory_access_elements=memory_access_elements(network) if case.table.number in WITH_ELEMENTS else None,
        latency=checked_latency(latency.to_dict(), LEDGERED),
    )


def _print(finding: Finding) -> None:
    """Prints the finding's table and its verdict."""
    columns = columns_of(finding)
    print(f"{finding.heading}. {finding.published.title}.")
    print(table_text(columns, cells_of(finding), set(columns) - set(TEXTS)))
    print(verdict_of(finding), end="\n\n", flush=True)


def _how(setup: Setup, findings: Sequence[Finding]) -> dict[str, Any]:
    """How the findings were had, by name."""
    latency = findings[0].rows[0].latency
    return {
        "device": latency.device,
        "runtime": f"{setup.runtime} {latency.runtime_version}",
        "threads": latency.threads,
        "precision": precision_named(latency.precision),
        "batch_size": latency.batch_size,
        "timing": ", ".join(f"{name} {value}" for name, value in asdict(setup.timing).items()),
        "estimate": "10th percentile, as a ratio to the table's first row timed in turns, times that row's own",
        "seed": setup.seed,
    }


def _write(out: Path, findings: Sequence[Finding], how: dict[str, Any]) -> tuple[Path, Path]:
    """The paths of the JSON file and of the page, both written."""
    data = {"schema": 1, "how": how, "tables": [finding.to_dict() for finding in findings]}
    return write_json(out / "guidelines.json", data), write_guidelines(out / "guidelines.html", findings, how)
