"""`python -m nas.export`: networks in the formats that programs take, from a study's front, files or presets.

Architectures as JSON come from the storage alone; torch is imported only for a format that needs it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nas.cli.architectures import ARCHITECTURES
from nas.cli.command import Command, Parser
from nas.cli.flags import Number, add_classifier_flags, add_data_place_flags, add_study_flags, between
from proxies.export import DYNAMIC, FORMATS
from search_space.bounds import BATCHES
from studies.front import PICKS


def add_flags(parser: Parser) -> None:
    """Adds the command's flags."""
    add = parser.add_argument
    add("networks", nargs="*", help=f"weights.safetensors of nas.train; {ARCHITECTURES} (default: a study's front)")
    add("--format", default="json", help=f"all, or some of {', '.join(FORMATS)}, joined by commas")
    add_study_flags(parser)
    add("--out", type=Path, default=Path("export"), help="folder for the files")
    add("--pick", help=f"{', '.join(PICKS)}, or the beginning of a key: that one instead of the whole front")
    add("--max-latency", help="only networks of at most this latency, such as 5ms")
    add("--untrained", action="store_true", help="random weights where there are no trained ones: for timing alone")
    add("--batch", type=Number(BATCHES, (DYNAMIC,)), default=1, help=f"images at once, or {DYNAMIC} for any number")
    add("--opset", type=between(11, 23), help="ONNX's operator set, 11 to 23, for 8 bits from 13 (default: 20)")
    add_classifier_flags(parser, "files with random weights are made")
    add("--data", help="images to compare on, and to round by (default: embedded ones; to round, those trained on)")
    add_data_place_flags(parser)
    add("--no-latency", dest="latency", action="store_false", help="do not time the ONNX files")


COMMAND = Command(
    "nas.export", "Writes networks in the formats that programs take.", add_flags, "nas.export.run:export"
)
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
