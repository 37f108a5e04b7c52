"""What `python -m nas.score` does, once its flags are read."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from nas.cli.architectures import named_architectures
from nas.cli.command import check_folder, make_folder
from nas.cli.flags import check_device, data_of
from nas.cli.images import tell_of_images
from nas.cli.stopping import keeping
from nas.cli.storage import CALIBRATIONS, folders_of, storage_named
from nas.search.accuracy import Accuracy, accuracy_for
from nas.workers.cores import workers_here
from nas.workers.local import LocalWorkers
from nas.workers.setup import EvaluatorSetup
from nas.workers.trainings import train_missing
from proxies.training.recipes import RECIPES, share_of
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.files import write_json
from search_space.presets import ANCHOR, PRESETS
from search_space.task import Task
from studies.display import FLOP
from studies.facts import TrainingFacts
from studies.ledger.trainings import Evaluations, Question
from studies.storage.database import engine_of
from studies.storage.studies import check_storage
from studies.text_table import table_text

PROGRAM = "python -m nas.score"


@dataclass(frozen=True, slots=True)
class NetworkScore:
    """One network's: all in [0, 1].

    `prior` is what its architecture alone lets expect, `proxy_accuracy` the short training's own, `score` what a search
    takes as its objective, `error` the standard deviation of that.
    """

    name: str
    key: str
    macs: int
    prior: float
    proxy_accuracy: float
    score: float
    error: float


def run(flags: argparse.Namespace) -> int:
    """The exit status of scoring with these flags."""
    networks = dict(named_architectures(flags.networks))
    setup = setup_of(flags)
    for architecture in networks.values():
        share_of(architecture, setup.task.resolution)
    folders = folders_of(setup.storage, *([flags.json.parent] if flags.json else []))
    for folder in folders:
        check_folder(folder)
    check_storage(setup.storage)
    with (
        keeping("stopped; what was trained is kept, and the same line goes on"),
        LocalWorkers(setup) as workers,
    ):
        fingerprint = workers.all[0].call("data_fingerprint")
        tell_of_images(workers.all[0].call("data_notes"))
        for folder in folders:
            make_folder(folder)
        evaluations = Evaluations(engine_of(setup.storage))
        asked = {name: _question(setup, each, fingerprint, name) for name, each in networks.items()}
        failures = train_missing(list(asked.values()), workers, evaluations)
    accuracy = accuracy_for(setup, fingerprint)
    scores = list(_scores(networks, asked, evaluations.answers(fingerprint), accuracy))
    if flags.json is not None:
        content = {"data": setup.data.name, "recipe": setup.recipe.name, "accuracy": accuracy.summary}
        rows = {"is_level_known": accuracy.is_level_known, "scores": [asdict(score) for score in scores]}
        write_json(flags.json, {**content, **rows})
    if scores:
        print(render_scores(scores, accuracy))
    for failure in failures:
        print(f"failed: {failure}")
    if flags.json is not None:
        print(f"wrote {flags.json}")
    return 1 if failures else 0


def render_scores(scores: Sequence[NetworkScore], accuracy: Accuracy) -> str:
    """The scores as a table, best first, with what they are: percentages only where the data's level is known."""
    is_known, zero = accuracy.is_level_known, _zero_of(scores)
    unit, sign = ("%", "") if is_known else ("points", "+")
    numbers = ("MFLOPs", f"prior {unit}", "proxy %", f"score {unit}", "±")
    rows = []
    for each in sorted(scores, key=lambda each: -each.score):
        prior, score = (each.prior, each.score) if is_known else (each.prior - zero.prior, each.score - zero.score)
        # Adding 0.0 turns a rounded -0.0 into 0.0.
        prior, score = (round(100 * share, 1) + 0.0 for share in (prior, score))
        shown = (
            f"{prior:{sign}.1f}",
            f"{100 * each.proxy_accuracy:.1f}",
            f"{score:{sign}.1f}",
            f"{100 * each.error:.1f}",
        )
        rows.append((each.name, f"{each.macs / 1e6:.1f}", *shown))
    level = "" if is_known else f"Points are above {zero.name}: only differences mean something here. "
    return "\n".join([table_text(("name", *numbers), rows, numbers), f"{level}{accuracy.summary}", FLOP])


def _zero_of(scores: Sequence[NetworkScore]) -> NetworkScore:
    """What points are counted from: V2 1.0x or the largest of the presets among them, else the mean of all."""
    presets = [score for score in scores if score.name in PRESETS]
    if presets:
        return max(presets, key=lambda score: (score.name == ANCHOR, score.macs))
    prior, score = (fmean(values) for values in ([each.prior for each in scores], [each.score for each in scores]))
    return NetworkScore("the mean of these networks", "", 0, prior, 0.0, score, 0.0)


def _scores(
    networks: Mapping[str, Architecture],
    asked: Mapping[str, Question],
    answers: Mapping[str, Mapping[str, Any]],
    accuracy: Accuracy,
) -> Iterator[NetworkScore]:
    fit = accuracy.prior
    assert fit is not None  # what ships has one, and so has every calibration
    for name, architecture in networks.items():
        answer = answers.get(asked[name].digest)
        if answer is None:
            continue
        training = TrainingFacts(answer)
        macs = cost_of(architecture).macs
        prior, score = fit.expect(architecture), fit.score(architecture, training)
        yield NetworkScore(
            name,
            architecture.key(),
            macs,
            fit.as_accuracy(prior),
            training.accuracy,
            fit.as_accuracy(score),
            fit.as_error(score),
        )


def _question(setup: EvaluatorSetup, architecture: Architecture, fingerprint: str, name: str) -> Question:
    recipe = setup.recipe.of(architecture, setup.task.resolution)
    return Question(architecture, recipe.to_dict(), fingerprint, setup.seed, setup.device, name=name)


def setup_of(flags: argparse.Namespace) -> EvaluatorSetup:
    """What evaluators that train as a search does need to know.

    Raises:
        InputError: the data or the device are not there.
    """
    check_device(flags.device)
    return EvaluatorSetup(
        data=data_of(flags),
        recipe=RECIPES[flags.recipe],
        device=flags.device,
        workers=workers_here(flags.workers, flags.device),
        seed=flags.seed,
        storage=storage_named(flags) or CALIBRATIONS,
        task=Task(flags.resolution),
    )
