"""`python -m nas.report`: the report of a kept study as one page, from the storage alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nas.command import Parser, check_folder, make_folder, run_command
from nas.export import default_storage
from nas.outputs import analysis_of, findings_of, write_findings
from search_space.errors import InputError
from studies.store import SETTINGS, finalists_of, load_study, open_storage, references_of


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), report, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="python -m nas.report", description="Writes the report of a kept study: one page, offline.")
    add = parser.add_argument
    add("--study", help="the study's name (default: the only one in the storage)")
    add("--storage", help="database URL (default: the SQLite file of runs/STUDY, or the only one under runs)")
    add("--out", type=Path, help="the page (default: runs/STUDY/report.html)")
    return parser


def report(flags: argparse.Namespace) -> int:
    """The exit status of a report with these flags."""
    storage = open_storage(flags.storage or default_storage(flags.study), must_exist=True)
    study = load_study(storage, flags.study)
    if "table" in study.user_attrs.get(SETTINGS, {}):
        raise InputError(
            f"the study {study.study_name!r} searched a finished table, whose numbers its storage does not hold: "
            "nas.run writes its report"
        )
    findings = findings_of(study, references_of(study, storage))
    analysis = analysis_of(study, finalists_of(study, storage))
    path = flags.out or Path("runs") / study.study_name / "report.html"
    check_folder(path.parent)
    make_folder(path.parent)
    print(f"wrote {write_findings(findings, analysis, path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
