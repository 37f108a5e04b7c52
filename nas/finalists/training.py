"""Finalists trained and timed: what is asked of the workers, what the ledger has of it, and what is kept. No torch."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from statistics import fmean
from typing import Any

import optuna
from optuna.storages import RDBStorage
from sqlalchemy.engine import Engine

from nas.cli.heartbeat import Steps, doing
from nas.finalists.plan import ExpectedSeconds, costliest_first
from nas.finalists.settings import FinalistsSettings
from nas.workers.protocol import Failure, Workers
from nas.workers.trainings import Limit, train_missing
from proxies.data.names import FOLDER
from search_space.errors import InputError
from studies.calibration.smoothing import pooled
from studies.facts import DATA_CHANGED, LatencyFacts, TrainingFacts
from studies.finalists import Finalist, trials_of
from studies.ledger.latencies import Ledger, Measured
from studies.ledger.trainings import Evaluations, Question
from studies.record import Record, record_of
from studies.storage.studies import FINALISTS, keep_results, study_names

LEAST_TO_SMOOTH = 8
"""Of fewer records a regression learns nothing."""
MOST_UNTIMED = 3

Latencies = dict[str, LatencyFacts]
"""By an architecture's key, how it was timed."""
Trainings = dict[int, TrainingFacts]
"""By seed, how a network was trained."""


@dataclass(frozen=True, slots=True)
class Results:
    """The finalists that are trained and timed, what failed, a line each, and the study that keeps them.

    `undone` is how many trainings there was no time for.
    """

    finalists: tuple[Finalist, ...]
    failures: tuple[str, ...]
    study: str
    undone: int = 0


@dataclass(frozen=True, slots=True)
class Within:
    """The end of a run: how long it still lasts, and what a training should take.

    `others` are trained too, those that say most first, where there is time once all that is planned runs.
    """

    seconds_left: Callable[[], float]
    expected: ExpectedSeconds
    others: tuple[Record, ...] = ()


def smoothed(records: Sequence[Record], error: float) -> tuple[list[float], list[float]]:
    """For each record its accuracy without the noise of one training, and how far a record's is off that.

    `error` is how far accuracies are off, which stands where records are too few to tell.
    """
    raw = [record.accuracy for record in records]
    if len(records) < LEAST_TO_SMOOTH:
        return raw, [error] * len(records)
    means = pooled([(record.architecture, record.macs, record.params) for record in records], raw)
    off = sqrt(fmean((mean - each) ** 2 for mean, each in zip(means, raw, strict=True)))
    return means, [off] * len(records)


def carry_out(
    settings: FinalistsSettings,
    chosen: Sequence[Record],
    storage: RDBStorage,
    engine: Engine,
    workers: Workers,
    within: Within | None = None,
) -> Results:
    """The results of training all that the ledger lacks, and of timing them; they are the study `<name>-finalists` now.

    At the end of a run only what is not timed by the whole protocol is timed again, and all of it ends with the run: of
    what was trained, seeds count that all chosen networks have, and of the others those that have all of these.

    Raises:
        RuntimeError: all of the first trainings or timings failed.
    """
    evaluations = Evaluations(engine)
    asked = questions(settings, chosen)
    keys = {record.architecture.key() for record in chosen}
    others = [record for record in within.others if record.architecture.key() not in keys] if within else []
    limit = _limit_of(settings, (*chosen, *others), within) if within else None
    more = [question(settings, record, seed) for record in others for seed in settings.seeds]
    failures = train_missing((*asked, *more), workers, evaluations, limit=limit)
    answers = evaluations.answers(settings.fingerprint)
    undone = sum(question.answer_in(answers) is None for question in asked) - len(failures)
    settings = replace(settings, seeds=_seeds_of_all(settings, chosen, answers)) if within else settings
    networks = [*chosen, *others]
    trainings = trained(settings, networks, answers)
    ready = [record for record in networks if record.architecture.key() in trainings]
    latencies = kept_latencies(settings, storage)
    if within:
        latencies = {record.architecture.key(): record.latency for record in ready}
        anew, untimed = time_all(settings, _untimed(ready), workers, Ledger(engine), within.seconds_left)
        latencies |= anew
        failures += untimed
    elif not {record.architecture.key() for record in ready} <= latencies.keys():
        latencies, untimed = time_all(settings, ready, workers, Ledger(engine))
        failures += untimed
    finalists = [
        finalist_of(settings, record, trainings[key], latencies[key])
        for record in ready
        if (key := record.architecture.key()) in latencies
    ]
    name = settings.search.study + FINALISTS
    if finalists:
        keep_results(storage, name, settings.identity(), trials_of(finalists, settings.recipe.to_dict()))
    return Results(tuple(finalists), tuple(failures), name, undone)


def _limit_of(settings: FinalistsSettings, chosen: Sequence[Record], within: Within) -> Limit:
    """Until when trainings may run, so that there is time to time what must be."""
    of_key = {record.architecture.key(): record for record in chosen}
    timing = within.expected.timing(chosen)
    return Limit(
        seconds_left=lambda: within.seconds_left() - timing,
        expected=lambda question: within.expected.training(of_key[question.architecture.key()], settings.recipe),
    )


def _seeds_of_all(
    settings: FinalistsSettings, chosen: Sequence[Record], answers: Mapping[str, Mapping[str, Any]]
) -> tuple[int, ...]:
    """As many of the seeds, from the first on, as all networks have that have the first."""

    def count(record: Record) -> int:
        has = [question(settings, record, seed).answer_in(answers) is not None for seed in settings.seeds]
        return [*has, False].index(False)

    counts = [found for record in chosen if (found := count(record))]
    return settings.seeds[: min(counts, default=len(settings.seeds))]


def _untimed(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if not record.is_timed_fully]


def questions(settings: FinalistsSettings, records: Sequence[Record]) -> list[Question]:
    """All that is to be asked, seed by seed, the costliest network of each first."""
    return [question(settings, record, seed) for seed in settings.seeds for record in costliest_first(records)]


def question(settings: FinalistsSettings, record: Record, seed: int) -> Question:
    """What is asked of one training."""
    recipe = settings.recipe.of(record.architecture, settings.search.task.resolution).to_dict()
    return Question(
        record.architecture, recipe, settings.fingerprint, seed, settings.search.device, in_int8=settings.in_int8
    )


def trained(
    settings: FinalistsSettings, records: Sequence[Record], answers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Trainings]:
    """By key, the trainings by seed of those records whose every training is among the ledger's answers."""
    found = {}
    for record in records:
        answered = {seed: question(settings, record, seed).answer_in(answers) for seed in settings.seeds}
        of_seed = {seed: TrainingFacts(answer) for seed, answer in answered.items() if answer}
        if len(of_seed) == len(settings.seeds):
            found[record.architecture.key()] = of_seed
    return found


def finalist_of(settings: FinalistsSettings, record: Record, trainings: Trainings, latency: LatencyFacts) -> Finalist:
    """A record trained and timed anew: its accuracies are those in 8 bits where the search is for int8."""
    fp32 = {seed: _accuracy(settings, record, training) for seed, training in trainings.items()}
    if not settings.in_int8:
        return Finalist(record, fp32, latency, settings.are_predicted)
    int8 = {seed: training.int8 for seed, training in trainings.items() if training.int8}
    # Where accuracies are predictions, the 8 bits are taken to cost what they cost the network that was trained.
    accuracies = {
        seed: min(1.0, max(0.0, fp32[seed] - (trainings[seed].accuracy - facts.accuracy)))
        for seed, facts in int8.items()
    }
    return Finalist(record, accuracies, latency, settings.are_predicted, fp32, int8)


def kept_latencies(settings: FinalistsSettings, storage: RDBStorage) -> Latencies:
    """What finalists of this study took when they were last timed together."""
    name = settings.search.study + FINALISTS
    if name not in study_names(storage):
        return {}
    trials = optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
    of_key = {record.architecture.key(): record.latency for record in map(record_of, trials) if record is not None}
    # A study of that name may have been there before this one, with another anchor.
    return {key: found for key, found in of_key.items() if found.plain.get("reference_ms") == settings.anchor_ms}


def time_all(
    settings: FinalistsSettings,
    records: Sequence[Record],
    workers: Workers,
    ledger: Ledger,
    seconds_left: Callable[[], float] = lambda: inf,
) -> tuple[Latencies, list[str]]:
    """How long the records take, timed one after another in random order while nothing else runs; and what failed.

    None is begun once no second is left.

    Raises:
        RuntimeError: none of the first could be timed; the message holds the last one's cause.
    """
    latencies, failures = Latencies(), list[str]()
    order = random.Random(settings.search.seed).sample(list(records), len(records))
    steps = Steps(len(order))
    for position, record in enumerate(order, start=1):
        if seconds_left() <= 0:
            break
        workers.replace_dead([])  # one that was stopped in the midst of a training
        worker = workers.all[0]
        with doing(f"timing {record.name}, {position} of {len(order)}", steps.seconds_left):
            worker.send("measure", record.architecture, settings.anchor_ms)
            result = worker.receive()
        steps.done += 1
        if isinstance(result, Failure):
            failures.append(f"{record.name} timed again: {result.cause}")
            text = f"failed: {result.cause}"
        else:
            latencies[record.architecture.key()] = result
            ledger.add([_measured(settings, record, result)])
            text = f"{result.text}, was {record.latency_ms:.3f} ms"
        print(f"timed {position} of {len(order)} {record.name}: {text}", file=sys.stderr, flush=True)
        if len(failures) == MOST_UNTIMED and not latencies:
            raise RuntimeError(f"none of the first {MOST_UNTIMED} finalists could be timed, the last one: {text}")
    return latencies, failures


def _accuracy(settings: FinalistsSettings, record: Record, training: TrainingFacts) -> float:
    """What a training stands for: a prediction, as the search's accuracies are, or its own."""
    own = training.accuracy
    if not settings.are_predicted or settings.accuracy is None:
        return own
    return settings.accuracy.predicted(replace(record, accuracy=own, training=training)).accuracy


def _measured(settings: FinalistsSettings, record: Record, latency: LatencyFacts) -> Measured:
    return Measured(
        network=record.architecture.key(),
        classes=settings.search.task.num_classes,
        device=settings.search.latency.remote or latency.fingerprint,
        source="run",
        latency=latency,
        architecture=record.architecture,
        study=settings.search.study,
    )


def check_data(settings: FinalistsSettings, fingerprint: str) -> None:
    """Refuses other data than those of the search.

    Raises:
        InputError: the fingerprint is another one.
    """
    if fingerprint != settings.fingerprint:
        name = settings.search.data.name
        reason = f": {DATA_CHANGED}" if name.startswith(FOLDER) else ""
        raise InputError(
            f"finalists are trained on the study's own data: {name} had fingerprint "
            f"{settings.fingerprint} then, and has {fingerprint} now{reason}"
        )
