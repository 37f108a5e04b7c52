"""What `python -m nas.report` does, once its flags are read."""

from __future__ import annotations

import argparse
from pathlib import Path

from optuna.study import Study

from nas.cli.command import check_folder, make_folder
from nas.cli.folders import REPORT
from nas.cli.left_out import tell_left_out
from nas.cli.storage import storage_of
from nas.search.benchmark.problem import codes_of
from nas.search.benchmark.problem import flaws_of as flaws_of_table
from nas.search.benchmark.run import table_digest
from nas.search.outputs import analysis_of, files_of, findings_of, write_findings
from search_space.budget import Budget
from search_space.errors import InputError
from search_space.files import file_name
from studies.report.benchmark_page import write_table_report
from studies.sampling.benchmark_table import ANY, FinishedTable
from studies.storage.studies import (
    SETTINGS,
    finalists_of,
    flaws_of,
    ledger_to_read,
    load_study,
    open_to_read,
    references_of,
)


def report(flags: argparse.Namespace) -> int:
    """The exit status of a report with these flags."""
    url = storage_of(flags)
    storage = open_to_read(url)
    study = load_study(storage, flags.study)
    path = flags.out or Path("runs") / file_name(study.study_name) / REPORT
    path = path / REPORT if path.is_dir() else path
    check_folder(path.parent)
    own = files_of(study, path.parent)
    own.check(path.name)
    table = table_of(study, flags.table)
    if table is None:
        findings = findings_of(study, references_of(study, storage))
        tell_left_out("trials and latencies of the study", flaws_of(study, references_of(study, storage)))
        analysis = analysis_of(study, finalists_of(study, storage), ledger_to_read(url))
        make_folder(path.parent)
        own.take(path.name)
        print(f"wrote {write_findings(findings, analysis, path)}")
        return 0
    tell_left_out("trials of the study", flaws_of_table(study))
    settings = study.user_attrs[SETTINGS]
    budget = Budget.parse(settings["budget"]) if settings["budget"] else ANY
    make_folder(path.parent)
    own.take(path.name)
    print(f"wrote {write_table_report(path, study.study_name, table, codes_of(study), settings, budget)}")
    return 0


def table_of(study: Study, path: Path | None) -> FinishedTable | None:
    """The table that the study searched, from its file at `path`; None where the study trained its networks itself.

    Raises:
        InputError: the file is not given, is another one, or belongs to a study that searched none.
    """
    name, digest = study.study_name, study.user_attrs.get(SETTINGS, {}).get("table")
    if digest is None:
        if path is not None:
            raise InputError(f"--table is for a study that searched one; {name!r} trained its networks: leave it out")
        return None
    if path is None:
        raise InputError(
            f"the study {name!r} searched a finished table, whose numbers its storage does not hold: add --table FILE"
        )
    table = FinishedTable.from_file(path)
    if table_digest(path) != digest:
        raise InputError(
            f"the study {name!r} searched another table than {str(path)!r}: give the file that it searched"
        )
    return table
