"""`python -m nas.guidelines`: the ShuffleNet papers' speed experiments on this device, beside the published numbers."""

from __future__ import annotations

import sys
from pathlib import Path

from nas.cli.command import Command, Parser
from nas.cli.flags import add_runtime_flags, add_seed_flag
from studies.papers.published_guidelines import CHANNELS_OF, SCALES, SIZES, TABLES


def add_flags(parser: Parser) -> None:
    """Adds the command's flags."""
    add = parser.add_argument
    add("--tables", default=",".join(map(str, TABLES)), help="which: 1 to 4 of Ma 2018, 8 of Zhang 2017")
    add("--columns", default=",".join(CHANNELS_OF), help="tables 1-3: with the channels of which platform")
    add("--scales", default="1", help=f"tables 1-4: what multiplies the channels: {', '.join(map(str, SCALES))}")
    add("--resolutions", default="224", help=f"table 8: sizes of the input: {', '.join(SIZES)}")
    add_runtime_flags(parser)
    add_seed_flag(parser, "draws weights, inputs and the order of runs")
    add("--quick", action="store_true", help="few runs of each network: a look, not a measurement")
    add("--out", type=Path, default=Path("runs/guidelines"), help="folder for guidelines.json and guidelines.html")


COMMAND = Command(
    "nas.guidelines",
    "Measures the speed experiments of ShuffleNet V2 (Ma 2018, tables 1-4) and V1 (Zhang 2017, table "
    "8) on this device and prints them beside the published numbers.",
    add_flags,
    "nas.guidelines.run:rerun",
)
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
