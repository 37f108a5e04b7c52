"""A comparison carried out: what the ledger lacks is timed, alone, then trained, in parallel; and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from nas.cli.architectures import NamedNetwork
from nas.compare.settings import CompareSettings
from nas.compare.timing import ComparedOn, ComparedTimings
from nas.workers.protocol import Workers
from nas.workers.trainings import name_of, train_missing
from search_space.errors import InputError
from search_space.precision import FP32
from studies.facts import TrainingFacts
from studies.ledger.latencies import Ledger
from studies.ledger.trainings import Evaluations, Question
from studies.papers.comparison import Compared, Comparison

Counts = Mapping[str, tuple[int, int]]
"""By a network's key, its multiply-adds and parameters at deployment."""


def carry_out(settings: CompareSettings, workers: Workers, evaluations: Evaluations, ledger: Ledger) -> Comparison:
    """The comparison of the settings' networks, all that the ledger lacked being timed and trained.

    Raises:
        InputError: the budget leaves nothing to compare.
        RuntimeError: a network could not be counted, or all of the first trainings failed.
    """
    first = workers.all[0]
    where = ComparedOn(**first.call("where"))
    counts = {each.network.key(): first.call("count", each.network) for each in settings.networks}
    budget = settings.budget
    networks = [each for each in settings.networks if budget is None or budget.allows(*counts[each.network.key()])]
    if not networks:
        least = min(counts.values())[0] / 1e6
        raise InputError(
            f"something must be left to compare within --budget {budget}: the least has {least:.1f} MFLOPs"
        )
    latencies, untimed = ComparedTimings(settings, where, workers, ledger).all(networks)
    questions = _questions(settings, where, networks, counts)
    macs_of = {question.digest: counts[question.architecture.key()][0] for question in questions}
    failures = train_missing(questions, workers, evaluations, lambda question: macs_of[question.digest])
    answers = evaluations.answers(where.data)

    def compared(network: NamedNetwork) -> Compared:
        key = network.network.key()
        macs, params = counts[key]
        asked = {seed: _question(settings, where, network, seed) for seed in settings.seeds}
        answered = {seed: question.answer_in(answers) for seed, question in asked.items()}
        trainings = {seed: TrainingFacts(each) for seed, each in answered.items() if each}
        text = (f"{network.name} timed:", *(f"{name_of(question)}:" for question in asked.values()))
        causes = tuple(line for line in (*untimed, *failures) if line.startswith(text))
        fp32 = {seed: training.accuracy for seed, training in trainings.items()}
        named = Compared(network.name, network.family, macs, params, fp32, latencies.get(key), causes)
        if not settings.in_int8:
            return named
        int8 = {seed: facts for seed, training in trainings.items() if (facts := training.int8)}
        return replace(named, accuracies={seed: each.accuracy for seed, each in int8.items()}, fp32=fp32, int8=int8)

    return Comparison(tuple(map(compared, networks)), _made(settings, where))


def _questions(
    settings: CompareSettings, where: ComparedOn, networks: Sequence[NamedNetwork], counts: Counts
) -> list[Question]:
    """All trainings, seed by seed, the costliest network of each first: the last ones then end together."""
    ordered = sorted(networks, key=lambda each: -counts[each.network.key()][0])
    return [_question(settings, where, each, seed) for seed in settings.seeds for each in ordered]


def _question(settings: CompareSettings, where: ComparedOn, network: NamedNetwork, seed: int) -> Question:
    recipe = settings.recipe.of(network.network, settings.task.resolution).to_dict()
    return Question(network.network, recipe, where.data, seed, settings.device, network.name, in_int8=settings.in_int8)


def _made(settings: CompareSettings, where: ComparedOn) -> dict[str, Any]:
    """How the numbers came about, as plain JSON."""
    return {
        "data": settings.data.name,
        "data_fingerprint": where.data,
        "image_size": where.image_size,
        "recipe": settings.recipe.to_dict(),
        "seeds": list(settings.seeds),
        "resolution": settings.task.resolution,
        "classes": settings.task.num_classes,
        "device": settings.device,
        **{name: value for name, value in asdict(where).items() if name in ("fingerprint", "runtime_version")},
        "runtime": settings.latency.runtime,
        "latency_device": settings.latency.device,
        **({} if settings.latency.precision == FP32 else {"precision": settings.latency.precision}),
    }
