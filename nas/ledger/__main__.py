"""`python -m nas.ledger`: every training and every latency that a storage holds, listed or exported as a table."""

from __future__ import annotations

import sys
from pathlib import Path

from nas.cli.command import Command, Parser
from nas.cli.flags import Number, add_seed_flag
from nas.cli.storage import RUNS, add_storage_flag
from search_space.bounds import NETWORKS
from search_space.precision import kept_precision
from studies.ledger.entry import KINDS


def add_flags(parser: Parser) -> None:
    """Adds the command's flags."""
    subparsers = parser.add_subparsers(dest="subcommand", required=True, parser_class=Parser, metavar="SUBCOMMAND")
    shown = subparsers.add_parser("list", help="print the newest entries, and what all of them took")
    shown.add_argument("--limit", type=Number(NETWORKS), default=40, help="how many entries are printed at the most")
    export = subparsers.add_parser("export", help="write the entries as a table, one a row, oldest first")
    export.add_argument("file", type=Path, metavar="FILE", help="a .csv file, or a .parquet file (needs pyarrow)")
    for subparser in (shown, export):
        _add_filters(subparser)


def _add_filters(parser: Parser) -> None:
    add = parser.add_argument
    add_storage_flag(parser, "of the ledger", RUNS)
    add("--study", help="the study whose storage is read; of a database that is named, only latencies for that study")
    add("--kind", choices=KINDS, help="only entries of this kind; scores are those at initialisation")
    add("--network", help="only this preset, or what begins so: an architecture's key, a hand-designed network's name")
    add("--recipe", help="only what was trained by the recipe of this name")
    add("--data", help="only what was trained on data whose fingerprint begins so")
    add_seed_flag(parser, "only what was trained by this seed", default=None)
    add(
        "--device",
        help="only this device: its name, processor or fingerprint's beginning; of trainings cpu, cuda or the host",
    )
    add("--runtime", help="only latencies in this runtime")
    add("--precision", type=kept_precision, help="only latencies of networks in fp32, bf16 or int8")
    add("--since", help="only what was taken at this time or later: 2026-11-01, or 2026-11-01T09:30, in UTC")
    add("--until", help="only what was taken before this time, or on this day or before it")


COMMAND = Command("nas.ledger", __doc__, add_flags, "nas.ledger.run:run")
main, make_parser = COMMAND.main, COMMAND.make_parser

if __name__ == "__main__":
    sys.exit(main())
