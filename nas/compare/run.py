"""What `python -m nas.compare` does, once its flags are read."""

from __future__ import annotations

import argparse
from pathlib import Path

from nas.cli.command import check_folder, make_folder
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import doing
from nas.cli.images import tell_of_images
from nas.cli.stopping import keeping
from nas.cli.storage import folders_of
from nas.compare.comparison import carry_out
from nas.compare.settings import settings_of
from nas.workers.local import LocalWorkers
from search_space.files import write_json
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations
from studies.papers.comparison import Comparison, to_dict
from studies.papers.published_accuracies import PUBLISHED
from studies.report.comparison_page import render_comparison, write_comparison_page
from studies.storage.database import engine_of

PROGRAM = "python -m nas.compare"


def run(flags: argparse.Namespace) -> int:
    """The exit status of a comparison with these flags: 1 where no network could be both timed and trained."""
    settings = settings_of(flags)
    folders = folders_of(settings.storage, settings.out)
    for folder in folders:
        check_folder(folder)
    own = OwnFiles(settings.out, "nas.compare")
    own.check("compare.json", "compare.html")
    with (
        keeping("stopped; what was done is kept, and the same line goes on"),
        doing("reading the images"),
        LocalWorkers(settings.setup) as workers,
    ):
        for folder in folders:
            make_folder(folder)
        own.take("compare.json", "compare.html")
        tell_of_images(workers.all[0].call("data_notes"))
        engine = engine_of(settings.storage)
        comparison = carry_out(settings, workers, Evaluations(engine), Ledger(engine))
    _show(comparison, settings.out)
    return 0 if comparison.front else 1


def _show(comparison: Comparison, out: Path) -> None:
    """Writes the comparison's files, and prints it."""
    written = write_json(out / "compare.json", to_dict(comparison, PUBLISHED), allow_nan=False)
    page = write_comparison_page(out / "compare.html", comparison)
    print(render_comparison(comparison))
    for path in (written, page):
        print(f"wrote {path}")
