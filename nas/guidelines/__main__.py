"""`python -m nas.guidelines`: the ShuffleNet papers' speed experiments on this device, beside the published numbers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nas.cli.command import Parser, run_command
from nas.cli.flags import add_runtime_flags
from studies.papers.published_guidelines import CHANNELS_OF, SCALES, SIZES, TABLES


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), _run, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog="python -m nas.guidelines",
        description="Measures the speed experiments of ShuffleNet V2 (Ma 2018, tables 1-4) and V1 (Zhang 2017, table "
        "8) on this device and prints them beside the published numbers.",
    )
    add = parser.add_argument
    add("--tables", default=",".join(map(str, TABLES)), help="which: 1 to 4 of Ma 2018, 8 of Zhang 2017")
    add("--columns", default=",".join(CHANNELS_OF), help="tables 1-3: with the channels of which platform")
    add("--scales", default="1", help=f"tables 1-4: what multiplies the channels: {', '.join(map(str, SCALES))}")
    add("--resolutions", default="224", help=f"table 8: sizes of the input: {', '.join(SIZES)}")
    add_runtime_flags(parser)
    add("--seed", type=int, default=0, help="draws weights, inputs and the order of runs")
    add("--quick", action="store_true", help="few runs of each network: a look, not a measurement")
    add("--out", type=Path, default=Path("runs/guidelines"), help="folder for guidelines.json and guidelines.html")
    return parser


def _run(flags: argparse.Namespace) -> int:
    from nas.guidelines.run import rerun  # here, for what it needs takes seconds to import

    return rerun(flags)


if __name__ == "__main__":
    sys.exit(main())
