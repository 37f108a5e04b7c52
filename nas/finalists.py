"""`python -m nas.finalists --study NAME`: trains a study's finalists longer, by other seeds, and ranks them anew."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from optuna.storages import RDBStorage
from optuna.study import Study
from sqlalchemy.engine import Engine

from nas.accuracy import Accuracy
from nas.calibrate import CALIBRATOR, INTERRUPTED, train_missing
from nas.command import Parser, run_command
from nas.export import default_storage
from nas.finalists_run import FinalistsSettings, check_flags, questions, settings_for, trained
from nas.run import ACCURACY
from nas.settings import default_workers
from nas.workers import Workers
from proxies.recipes import RECIPES
from search_space.errors import InputError
from studies.database import engine_of
from studies.evaluations import Evaluations
from studies.finalists import Choice, Finalist, choose, render_finalists, trials_of
from studies.record import Record
from studies.store import FINALISTS, keep_results, load_study, locked, open_storage, records_of, references_of

PROGRAM = "python -m nas.finalists"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status of the command."""
    return run_command(make_parser(), run, argv)


def make_parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        prog=PROGRAM,
        description="Trains a study's front, what may be on it and its references for longer and by other seeds, and "
        "prints the front of that. Stop it at any moment: the same line goes on. "
        "1 FLOP = 1 multiply-add of convolution and linear layers.",
    )
    add = parser.add_argument
    add("--study", help="the study's name (default: the only one in the storage)")
    add("--storage", help="database URL (default: the SQLite file of runs/STUDY, or the only one under runs)")
    add("--recipe", default="long", help=f"how finalists are trained: {', '.join(RECIPES)}")
    add("--seeds", type=int, default=3, help="trainings of each network; none has the study's own seed")
    add("--most", type=int, default=12, help="so many finalists beside the references; the front's are always in")
    add("--workers", type=int, default=default_workers(), help="processes that train, one thread each")
    add("--device", default="cpu", help="where networks are trained: cpu, cuda")
    add("--data-root", type=Path, help="where torchvision sets lie (default: the user's cache folder)")
    add("--download", action="store_true", help="download a torchvision set that is missing")
    return parser


def run(flags: argparse.Namespace) -> int:
    """The exit status of the command with these flags."""
    check_flags(flags)
    url = flags.storage or default_storage(flags.study)
    with _opened(url) as (storage, engine):
        study = load_study(storage, flags.study)
        settings = settings_for(study, flags)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with locked(url):
                return _run(settings, study, storage, engine, flags.most)
        except KeyboardInterrupt:
            print(f"{PROGRAM}: stopped; what was trained is kept, and the same line goes on", file=sys.stderr)
            return INTERRUPTED


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
    accuracy = Accuracy.from_dict(study.user_attrs[ACCURACY]) if ACCURACY in study.user_attrs else None
    error = accuracy.fit.error if accuracy and accuracy.fit else 0.0
    choice = choose(records_of(study), error, most)
    if not choice.records:
        name = study.study_name
        raise InputError(f"the study {name!r} holds no evaluated architecture to train: run it with --resume")
    chosen = _with_references(choice.records, records_of(references_of(study, storage)))
    headline = _headline(settings, choice, error)
    print(headline, file=sys.stderr)
    finalists, failures = _train(settings, chosen, engine)
    if finalists:
        name = study.study_name + FINALISTS
        keep_results(storage, name, settings.identity(), trials_of(finalists, settings.recipe.to_dict()))
        print(render_finalists(finalists, settings.recipe.name))
        print(headline)
        if accuracy:
            print(f"predicted %: {accuracy.told}")
        print(f"kept as the study {name} in {engine.url.render_as_string(hide_password=True)}")
    for failure in failures:
        print(f"failed: {failure}")
    if failures:
        lost = {record.name for record in chosen} - {each.record.name for each in finalists}
        print(f"left out, for a training failed: {', '.join(sorted(lost))}; the same line tries again")
    return 1 if failures else 0


def _with_references(records: Sequence[Record], references: Sequence[Record]) -> list[Record]:
    """Every network once; one that the search found as well stands as the reference that it is."""
    chosen = {record.architecture.key(): record for record in (*records, *references)}
    return list(chosen.values())


def _headline(settings: FinalistsSettings, choice: Choice, error: float) -> str:
    off = f"within {100 * error:.1f} points of it, by which predictions are off" if error else "as accurate as it"
    left_out = f" ({choice.left_out} more left out: --most)" if choice.left_out else ""
    return (
        f"finalists of {settings.study}: {len(choice.front)} on its front and {len(choice.near)} {off}{left_out}, "
        f"and its references; recipe {settings.recipe.name!r} by seeds {', '.join(map(str, settings.seeds))}"
    )


def _train(settings: FinalistsSettings, chosen: Sequence[Record], engine: Engine) -> tuple[list[Finalist], list[str]]:
    """The finalists that are trained now, and what failed, a line each."""
    with Workers(settings, CALIBRATOR) as workers:
        fingerprint = workers.all[0].call("data_fingerprint")
        if fingerprint != settings.fingerprint:
            raise InputError(
                f"finalists are trained on the study's own data: {settings.data} had fingerprint "
                f"{settings.fingerprint} then, and has {fingerprint} now"
            )
        evaluations = Evaluations(engine)
        failures = train_missing(questions(settings, chosen), workers, evaluations)
    return trained(settings, chosen, evaluations.answers(settings.fingerprint)), failures


if __name__ == "__main__":
    sys.exit(main())
