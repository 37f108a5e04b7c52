"""What `python -m nas.finalists` does, once its flags are read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.storages import RDBStorage
from optuna.study import Study
from sqlalchemy.engine import Engine

from nas.cli.command import clock
from nas.cli.heartbeat import doing
from nas.cli.images import tell_of_images
from nas.cli.left_out import tell_left_out
from nas.cli.stopping import keeping
from nas.cli.storage import storage_of
from nas.finalists.candidates import Candidates
from nas.finalists.plan import FinalistsPlan
from nas.finalists.settings import FinalistsSettings, settings_for
from nas.finalists.summary import headline, result_lines
from nas.finalists.training import carry_out, check_data
from nas.search.outputs import PROVENANCE
from nas.workers.engines import workers_for
from search_space.errors import InputError
from studies.storage.database import engine_of
from studies.storage.studies import flaws_of, load_study, locked, open_storage, records_of, references_of


def run(flags: argparse.Namespace) -> int:
    """The exit status of the command with these flags."""
    url = storage_of(flags)
    with _opened(url) as (storage, engine):
        study = load_study(storage, flags.study)
        settings = settings_for(study, url, flags)
        with (
            keeping("stopped; what was trained is kept, and the same line goes on"),
            doing("reading the images"),
            locked(url),
        ):
            return _run(settings, study, storage, engine, flags.most)


@contextmanager
def _opened(url: str) -> Iterator[tuple[RDBStorage, Engine]]:
    """The studies and the ledger of a database, closed in the end."""
    storage = open_storage(url, must_exist=True)
    engine = engine_of(url)
    try:
        yield storage, engine
    finally:
        engine.dispose()
        storage.engine.dispose()


def _run(settings: FinalistsSettings, study: Study, storage: RDBStorage, engine: Engine, most: int) -> int:
    records, references = records_of(study), records_of(references_of(study, storage))
    tell_left_out("trials and latencies of the study", flaws_of(study, references_of(study, storage)))
    if not records:
        name = study.study_name
        raise InputError(f"the study {name!r} holds no evaluated architecture to train: run it with --resume")
    provenance = study.user_attrs.get(PROVENANCE)
    found = Candidates(settings, tuple(records), tuple(references), provenance and provenance["data"])
    plan = FinalistsPlan(found.choice(most), found.references, settings.recipe, len(settings.seeds), 0.0)
    print(headline(settings, plan), file=sys.stderr)
    if found.data:
        seconds = found.expected(engine).seconds(plan.records, plan.recipe, plan.seeds)
        print(f"{len(plan.records)} networks to train and to time again: about {clock(seconds)}", file=sys.stderr)
    with workers_for(settings.search.engine, settings.search.setup) as workers:
        tell_of_images(workers.all[0].call("data_notes"))
        check_data(settings, workers.all[0].call("data_fingerprint"))
        results = carry_out(settings, plan.records, storage, engine, workers)
    for line in result_lines(settings, plan, results):
        print(line)
    return 1 if results.failures else 0
