"""What `python -m nas.calibrate` does, once its flags are read."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from nas.calibrate.questions import Limit, Sets, draw, name_of, questions, run_all
from nas.calibrate.settings import ZERO_COST, CalibrationSettings, settings_of
from nas.cli.command import check_folder, make_folder
from nas.cli.heartbeat import doing
from nas.workers.local import Workers
from search_space.architecture import Architecture
from search_space.cost import cost_of
from studies.calibration import store as calibrations
from studies.calibration.known_trainings import known_trainings
from studies.calibration.results import Calibration, Made, Trained, calibration_of
from studies.ledger.trainings import Evaluations, Question
from studies.report.calibration_page import render_calibration, write_calibration_page
from studies.storage.database import engine_of, parsed_url
from studies.storage.studies import check_storage

PROGRAM = "python -m nas.calibrate"
CALIBRATOR = "nas.calibrate.evaluator:Calibrator"
INTERRUPTED = 130
"""The exit status after Ctrl-C."""


def run(flags: argparse.Namespace) -> int:
    """The exit status of a calibration with these flags."""
    settings = settings_of(flags)
    sets = draw(settings)
    folders = _folders(settings)
    for folder in folders:
        check_folder(folder)
    check_storage(settings.storage)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with doing("reading the images"), Workers(settings, CALIBRATOR) as workers:
            fingerprint = workers.all[0].call("data_fingerprint")
            for folder in folders:
                make_folder(folder)
            engine = engine_of(settings.storage)
            evaluations = Evaluations(engine)
            asked = questions(settings, sets, fingerprint)
            failures = train_missing(asked, workers, evaluations)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped; what was trained is kept, and the same line goes on", file=sys.stderr)
        return INTERRUPTED
    calibration = result_of(settings, sets, fingerprint, evaluations, failures)
    if calibration.fits:
        calibrations.keep(engine, calibration)
    _show(calibration, settings.out)
    return 0 if calibration.fits else 1


def _folders(settings: CalibrationSettings) -> list[Path]:
    """The folders that are written to."""
    url = parsed_url(settings.storage)
    file = url.database if url.get_backend_name() == "sqlite" else None
    return [settings.out, *([Path(file).parent] if file else [])]


def _show(calibration: Calibration, out: Path) -> None:
    """Prints the calibration and writes its files."""
    print(render_calibration(calibration))
    written = out / "calibration.json"
    written.write_text(json.dumps(calibrations.to_dict(calibration), indent=1, allow_nan=False), encoding="utf-8")
    for path in (written, write_calibration_page(out / "calibration.html", calibration)):
        print(f"wrote {path}")


def train_missing(
    asked: Sequence[Question],
    workers: Workers,
    evaluations: Evaluations,
    macs_of: Callable[[Question], int] | None = None,
    limit: Limit | None = None,
) -> list[str]:
    """What failed; all that the ledger did not hold has been trained, within the limit where there is one.

    `macs_of` says what a question's network costs, where not all are architectures; the time left follows from it.
    """
    known = evaluations.answers(asked[0].data)
    missing = [question for question in asked if question.digest not in known]
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"{len(asked) - len(missing)} of {len(asked)} trainings are in the ledger", markup=False)
    work = {question.digest: _work(question, macs_of or _macs_of) for question in missing}
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=sum(work.values()))
        done = 0

        def report(question: Question, seconds: float | None, cause: str) -> None:
            nonlocal done
            done += 1
            text = f"failed: {cause}" if seconds is None else f"{seconds:.1f} s"
            progress.console.print(f"{done} of {len(missing)} {name_of(question)}: {text}", markup=False)
            progress.advance(task, work[question.digest])

        def seconds_left() -> float | None:
            row = progress.tasks[0]
            return (row.elapsed or 0.0) * row.remaining / row.completed if row.completed and row.remaining else None

        with doing("training", seconds_left):
            return run_all(missing, workers, evaluations, workers.all[0].call("made_by"), report, limit)


def _macs_of(question: Question) -> int:
    assert isinstance(question.architecture, Architecture)
    return cost_of(question.architecture).macs


def _work(question: Question, macs_of: Callable[[Question], int]) -> float:
    """How long the question takes to answer, in a unit of its own: FLOPs times epochs times images."""
    method = question.method
    if "epochs" not in method:
        return 0.0
    images = method["max_images"] or 50_000
    return float(macs_of(question) * method["epochs"] * images * method["image_scale"] ** 2)


def result_of(
    settings: CalibrationSettings, sets: Sets, data: str, evaluations: Evaluations, failures: Sequence[str]
) -> Calibration:
    """The calibration of the sets that the ledger's answers amount to."""
    answers = evaluations.answers(data)
    networks = [_trained(settings, sets, data, answers, architecture) for architecture, _ in sets.all()]
    recipes = {recipe.name: recipe.to_dict() for recipe in (*settings.proxies, settings.full)}
    made = Made(
        data=settings.data,
        fingerprint=data,
        budget=str(settings.space.budget),
        resolution=settings.space.task.resolution,
        classes=settings.space.task.num_classes,
        full=settings.full.name,
        recipes=recipes,
        seeds=settings.seeds,
        device=settings.device,
        made_at=time.time(),
        failures=tuple(failures),
    )
    short = [recipe.name for recipe in settings.proxies]
    found = [network for network in networks if network is not None]
    return calibration_of(made, found, short, known_trainings())


def _trained(
    settings: CalibrationSettings, sets: Sets, data: str, answers: Mapping[str, Any], architecture: Architecture
) -> Trained | None:
    """What the ledger holds of an architecture; None where a short training or the scores failed."""

    def answer(method: Mapping[str, Any], seed: int) -> Mapping[str, Any] | None:
        return answers.get(Question(architecture, method, data, seed, settings.device).digest)

    seed = settings.seeds[0]
    zero_cost = answer(ZERO_COST, seed)
    short = {recipe.name: answer(recipe.to_dict(), seed) for recipe in settings.proxies}
    if zero_cost is None or None in short.values():
        return None
    full = [answer(settings.full.to_dict(), each) for each in settings.seeds]
    cost = cost_of(architecture, settings.space.task.resolution, settings.space.task.num_classes)
    return Trained(
        architecture=architecture,
        macs=cost.macs,
        params=cost.params,
        sets=tuple(name for name, members in sets.architectures.items() if architecture in members),
        zero_cost=zero_cost["scores"],
        zero_cost_seconds=zero_cost["score_seconds"],
        trainings={name: training for name, training in short.items() if training is not None},
        accuracies=tuple(each["validation_accuracies"][-1] for each in full if each) if None not in full else (),
    )
