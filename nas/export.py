"""`python -m nas.export`: writes architectures of a kept study's front as JSON, from the storage alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nas.command import Parser, check_folder, make_folder, run_command
from nas.outputs import findings_of, write_architectures, write_front
from search_space.budget import Budget
from search_space.errors import InputError
from studies.front import PICKS, pick
from studies.store import load_study, open_storage, references_of
from studies.table import render_table


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), export, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(prog="python -m nas.export", description="Writes architectures of a study's front as JSON.")
    add = parser.add_argument
    add("--study", help="the study's name (default: the only one in the storage)")
    add("--storage", help="database URL (default: the SQLite file of runs/STUDY, or the only one under runs)")
    add("--out", type=Path, default=Path("export"), help="folder for the files")
    add("--pick", help=f"{', '.join(PICKS)}, or the beginning of a key: that one instead of the whole front")
    add("--max-latency", help="only networks of at most this latency, such as 5ms")
    return parser


def export(flags: argparse.Namespace) -> int:
    """The exit status of an export with these flags."""
    limit_ms = _limit_ms(flags.max_latency)
    check_folder(flags.out)
    storage = open_storage(flags.storage or default_storage(flags.study), must_exist=True)
    study = load_study(storage, flags.study)
    findings = findings_of(study, references_of(study, storage))
    if not findings.front:
        raise InputError(f"the study {findings.name!r} holds no evaluated architecture to export: run it with --resume")
    if flags.pick is not None:
        chosen = [pick(findings.front, flags.pick, limit_ms)]
    else:
        fastest = pick(findings.front, "fastest", limit_ms)
        chosen = [fastest, *(r for r in findings.front[1:] if limit_ms is None or r.latency_ms <= limit_ms)]
    make_folder(flags.out)
    print(render_table(chosen, findings.references))
    for path in write_architectures(chosen, flags.out):
        print(f"wrote {path}")
    if flags.pick is None and limit_ms is None:
        print(f"wrote {write_front(findings, flags.out / 'front.json')}")
    return 0


def _limit_ms(text: str | None) -> float | None:
    if text is None:
        return None
    budget = Budget.parse(text)
    if budget.latency_ms is None or budget.macs is not None or budget.params is not None:
        raise InputError(f"--max-latency must be a time, such as 5ms; got {text!r}")
    return budget.latency_ms


def default_storage(study: str | None) -> str:
    """The URL of the SQLite file of a study under `runs`, or of the only one there is.

    Raises:
        InputError: there is not exactly one.
    """
    found = sorted(Path("runs").glob(f"{study or '*'}/study.db"))
    if len(found) != 1:
        listed = ", ".join(str(path) for path in found) or "none"
        raise InputError(f"say which study with --study or --storage: under runs there is {listed}")
    return f"sqlite:///{found[0]}"


if __name__ == "__main__":
    sys.exit(main())
