"""What `python -m nas.calibrate` does, once its flags are read."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.calibrate.questions import Sets, draw, question, questions
from nas.calibrate.settings import CalibrationSettings, settings_of
from nas.cli.command import check_folder, make_folder
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import doing
from nas.cli.images import tell_of_images
from nas.cli.stopping import keeping
from nas.cli.storage import folders_of
from nas.workers.local import LocalWorkers
from nas.workers.trainings import train_missing
from proxies.training.recipes import Recipe
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.files import write_json
from studies.calibration import store as calibrations
from studies.calibration.known_trainings import known_trainings
from studies.calibration.results import Calibration, Made, Trained, calibration_of
from studies.facts import TrainingFacts
from studies.ledger.trainings import Evaluations
from studies.report.calibration_page import render_calibration, write_calibration_page
from studies.storage.database import engine_of
from studies.storage.studies import check_storage

PROGRAM = "python -m nas.calibrate"


def run(flags: argparse.Namespace) -> int:
    """The exit status of a calibration with these flags."""
    settings = settings_of(flags)
    sets = draw(settings)
    folders = folders_of(settings.storage, settings.out)
    for folder in folders:
        check_folder(folder)
    own = OwnFiles(settings.out, "nas.calibrate")
    own.check("calibration.json", "calibration.html")
    check_storage(settings.storage)
    with (
        keeping("stopped; what was trained is kept, and the same line goes on"),
        doing("reading the images"),
        LocalWorkers(settings.setup) as workers,
    ):
        fingerprint = workers.all[0].call("data_fingerprint")
        tell_of_images(workers.all[0].call("data_notes"))
        for folder in folders:
            make_folder(folder)
        own.take("calibration.json", "calibration.html")
        engine = engine_of(settings.storage)
        evaluations = Evaluations(engine)
        asked = questions(settings, sets, fingerprint)
        failures = train_missing(asked, workers, evaluations)
    calibration = result_of(settings, sets, fingerprint, evaluations, failures)
    if calibration.fits:
        calibrations.keep(engine, calibration)
    _show(calibration, settings.out)
    return 0 if calibration.fits else 1


def _show(calibration: Calibration, out: Path) -> None:
    """Writes the calibration's files, and prints it."""
    written = write_json(out / "calibration.json", calibrations.to_dict(calibration), allow_nan=False)
    page = write_calibration_page(out / "calibration.html", calibration)
    print(render_calibration(calibration))
    for path in (written, page):
        print(f"wrote {path}")


def result_of(
    settings: CalibrationSettings, sets: Sets, data: str, evaluations: Evaluations, failures: Sequence[str]
) -> Calibration:
    """The calibration of the sets that the ledger's answers amount to."""
    answers = evaluations.answers(data)
    networks = [_trained(settings, sets, data, answers, architecture) for architecture, _ in sets.all()]
    recipes = {recipe.name: recipe.to_dict() for recipe in (*settings.proxies, settings.full)}
    made = Made(
        data=settings.data.name,
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

    def answer(recipe: Recipe | None, seed: int) -> Mapping[str, Any] | None:
        return answers.get(question(settings, architecture, recipe, data, seed).digest)

    seed = settings.seeds[0]
    zero_cost = answer(None, seed)
    short = {recipe.name: answer(recipe, seed) for recipe in settings.proxies}
    if zero_cost is None or None in short.values():
        return None
    full = [answer(settings.full, each) for each in settings.seeds]
    cost = cost_of(architecture, settings.space.task.resolution, settings.space.task.num_classes)
    return Trained(
        architecture=architecture,
        macs=cost.macs,
        params=cost.params,
        sets=tuple(name for name, members in sets.architectures.items() if architecture in members),
        zero_cost=zero_cost["scores"],
        zero_cost_seconds=zero_cost["score_seconds"],
        trainings={name: TrainingFacts(training) for name, training in short.items() if training is not None},
        accuracies=tuple(TrainingFacts(each).accuracy for each in full if each) if None not in full else (),
    )
