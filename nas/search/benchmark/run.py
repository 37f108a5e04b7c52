"""`nas.run --scorer table:FILE`: the same search, over a table of finished trainings; seconds, no images, no torch."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from optuna.study import Study

from nas.cli.command import check_folder, make_folder
from nas.cli.folders import FRONT, REPORT, OwnFiles, owner_of
from nas.cli.heartbeat import doing
from nas.search.benchmark.problem import OBJECTIVES, FinishedNetworks, codes_of, front_of
from nas.search.loop import Limits, Search
from nas.search.outputs import PROVENANCE, files_of
from nas.search.progress import SearchProgress
from nas.search.provenance import environment
from nas.search.settings import Settings
from nas.workers.engines import workers_for
from search_space.errors import InputError
from search_space.files import digest_of, write_json
from studies.record import KEY
from studies.report.benchmark_page import write_table_report
from studies.sampling.benchmark_table import FinishedTable, Price
from studies.storage.coordinators import Coordinator
from studies.storage.retry import Retry
from studies.storage.secrets import plain_without_secrets
from studies.storage.studies import check_storage, locked, open_storage, open_study, references_of

SCORER = "nas.search.benchmark.evaluator:TableScorer"


def run_on_table(settings: Settings, path: Path) -> int:
    """The exit status of a run on the table in that file.

    Raises:
        InputError: it is no table, or the budget is one of latency or memory, of which a table knows nothing.
    """
    table = FinishedTable.from_file(path)
    if settings.budget.latency_ms is not None or settings.budget.bounds_memory:
        raise InputError(
            f"a table knows FLOPs and parameters, and neither latency nor memory; got the budget {settings.budget}"
        )
    check_folder(settings.out)
    OwnFiles(settings.out, owner_of(settings.study)).check(FRONT, REPORT)
    check_storage(settings.storage)
    make_folder(settings.out)
    with locked(settings.storage):
        storage = open_storage(settings.storage)
        identity = _identity_of(settings, path)
        study = open_study(storage, settings.study, identity, resume=settings.resume, objectives=OBJECTIVES)
        files_of(study, settings.out).take(FRONT, REPORT)
        study.set_user_attr(PROVENANCE, environment())
        _search(settings, study, references_of(study, storage), table)
    front = _write(study, identity, settings.out / FRONT)
    path, codes = settings.out / REPORT, codes_of(study)
    report = write_table_report(path, study.study_name, table, codes, identity, settings.budget)
    for line in (*_found(study, table), f"wrote {front}", f"wrote {report}"):
        print(line)
    print(f"dashboard: python -m nas.dashboard {shlex.join(settings.study_flags)}")
    return 0


def table_digest(path: Path) -> str:
    """What tells the file from others, as a study of it keeps it."""
    return digest_of(path)[:16]


def _identity_of(settings: Settings, path: Path) -> dict[str, Any]:
    return {
        "table": table_digest(path),
        "budget": str(settings.budget),
        "sampler": settings.sampler,
        "seed": settings.seed,
    }


def _search(settings: Settings, study: Study, references: Study, table: FinishedTable) -> None:
    problem = FinishedNetworks(table, settings.budget, settings.sampler, settings.seed)
    limits = Limits(settings.trials, settings.seconds)
    began = time.monotonic()
    with (
        workers_for(settings.engine, settings, SCORER) as workers,
        SearchProgress(
            study, limits.trials, lambda: limits.seconds - (time.monotonic() - began), problem.standing
        ) as progress,
        Coordinator(study, references) as coordinator,
    ):
        retry = Retry(settings.storage, progress.report)
        try:
            search = Search(problem, study, references, limits, coordinator, retry, progress.report)
            with doing(search.running):
                search.run(workers, ())
        except KeyboardInterrupt:
            progress.report("stopped; the same line with --resume goes on")


def _found(study: Study, table: FinishedTable) -> list[str]:
    rows = [
        f"{trial.user_attrs[KEY]:16}{trial.values[1] / 1e6:10.1f}{100 * trial.values[0]:12.2f}"
        f"{100 * trial.user_attrs['mean_accuracy']:10.2f}"
        for trial in front_of(study)
    ]
    codes = codes_of(study)
    share = Price.of_table(table).of(codes)
    text = f"{len(codes)} of {len(table.entries)} networks scored; they dominate {100 * share:.1f} % of what all do"
    return [f"{'network':16}{'MFLOPs':>10}{'accuracy %':>12}{'mean %':>10}", *rows, text]


def _write(study: Study, settings: dict[str, Any], path: Path) -> Path:
    front = [
        {"network": trial.user_attrs[KEY], "accuracy": trial.values[0], "macs": int(trial.values[1])}
        | {name: trial.user_attrs[name] for name in ("params", "mean_accuracy")}
        for trial in front_of(study)
    ]
    provenance = plain_without_secrets(study.user_attrs[PROVENANCE])
    content = {"study": study.study_name, "settings": settings, "provenance": provenance, "front": front}
    return write_json(path, content)
