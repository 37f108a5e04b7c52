"""ShuffleNets as a search's problem: suggested within the budget, replayed from the ledger, accuracy predicted."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from nas.search.accuracy import Accuracy
from nas.search.known_ahead import KnownAhead
from nas.search.ledger_lookup import LedgerLookup
from nas.search.problem import Candidate, Outcome
from nas.search.references import nearest_first
from nas.search.settings import Settings
from proxies.training.result import doubt_of
from search_space.architecture import Architecture
from search_space.bounds import plain
from search_space.cost import Cost, cost_of
from search_space.presets import PRESETS
from search_space.space import SearchSpace
from search_space.task import CLASSIFICATION, Task
from studies.accuracy_scale import AccuracyScale
from studies.checked_facts import impossible
from studies.display import at_own, over_budget_text
from studies.front import front_of
from studies.record import OBJECTIVES, Record, Rejected, attributes_of, checked_record
from studies.sampling.sampler_names import takes_known_objectives
from studies.sampling.samplers import sampler_for
from studies.storage.studies import CAUSE, records_of


class ShuffleNets:
    """The networks of a space, measured and trained by workers that hold a `nas.workers.evaluator.Evaluator`."""

    def __init__(
        self,
        settings: Settings,
        space: SearchSpace,
        references: Study,
        anchor_ms: float,
        accuracy: Accuracy,
        lookup: LedgerLookup,
    ) -> None:
        self._settings = settings
        self._space = space
        self._anchor_ms = anchor_ms
        self._accuracy = accuracy
        self._replays = lookup
        self._references = references
        limit_ms, precision = settings.budget.latency_ms, settings.latency.precision
        self._known_ahead = KnownAhead(space, anchor_ms, limit_ms, accuracy.prior, precision)

    def sampler(self, study: Study, position: int) -> BaseSampler:
        """The sampler for the study's trial at this position."""
        name, seed = self._settings.sampler, self._settings.seed
        if not takes_known_objectives(name):
            return sampler_for(name, seed, position)
        return sampler_for(name, seed, position, self._known_ahead.of([self._references, study]))

    def suggest(self, trial: Trial) -> Architecture:
        """The architecture that the trial's parameters mean."""
        return self._space.suggest(trial)

    def reference(self, name: str) -> Architecture:
        """The preset of that name, as the task has it."""
        return self._space.task.deployed(PRESETS[name])

    def nearest_first(self, names: Sequence[str], study: Study) -> Sequence[str]:
        """The names of references, those nearest in FLOPs to the study's front first."""
        return nearest_first(names, [record.macs for record in front_of(records_of(study))], self._space.task)

    def size_of(self, candidate: Candidate) -> float:
        """Its FLOPs."""
        return float(self._cost(cast(Architecture, candidate)).macs)

    def name_of(self, candidate: Candidate) -> str:
        """Unit and the beginning of the key."""
        architecture = cast(Architecture, candidate)
        return architecture.short_name

    def request(self, candidate: Candidate) -> tuple[str, tuple[Any, ...]]:
        """An evaluation that leaves out what the ledger holds."""
        architecture = cast(Architecture, candidate)
        latency, training = self._replays.of(architecture)
        return "evaluate", (architecture, self._anchor_ms, latency, training)

    def known(self, candidate: Candidate) -> Record | Rejected | None:
        """The record or the rejection, where the ledger holds what it takes."""
        settings, architecture = self._settings, cast(Architecture, candidate)
        latency, training = self._replays.of(architecture)
        if latency is None or latency.is_open(settings.budget.latency_ms):
            return None
        if settings.budget.latency_ms is not None and latency.latency_ms > settings.budget.latency_ms:
            return Rejected(latency.latency_ms, latency)
        if training is None:
            return None
        return Record.of_parts(architecture, self._cost(architecture), latency, training, platform.node())

    def standing(self, study: Study) -> str:
        """How far the front is, in a few words."""
        return standing(study, self._references)

    def outcome(self, candidate: Candidate, answer: Record | Rejected, reference: str) -> Outcome:
        """What a trial keeps of the record, with its accuracy predicted; latency and training are in the ledger now.

        Raises:
            ImpossibleFacts: the answer cannot be; then nothing is kept.
        """
        settings, architecture = self._settings, cast(Architecture, candidate)
        with impossible():
            predicted = self._accuracy.predicted(answer) if isinstance(answer, Record) else None
            if predicted is not None:
                checked_record(predicted)
        self._replays.keep(architecture, answer)
        if isinstance(answer, Rejected):
            attributes = {
                "latency": dict(answer.latency.plain),
                CAUSE: f"over the latency budget: {plain(answer.latency_ms, 4)} ms",
            }
            text = f"{answer.latency_ms:.3f} ms is over the latency budget, not trained"
            return Outcome(TrialState.PRUNED, None, attributes, text)
        assert predicted is not None
        over = settings.budget.excess_of(self._cost(architecture)) if reference else 0.0
        record = replace(predicted, reference=reference, over_budget=over)
        values = tuple(float(getattr(record, name)) for name in OBJECTIVES)
        seconds = 0.0 if record.seconds_saved else record.seconds  # what was spared in part says nothing of the others
        references = records_of(self._references)
        scale = self._accuracy.scale(references, [*references, record] if reference else references)
        return Outcome(
            TrialState.COMPLETE, values, attributes_of(record), _line(record, self._space.task, scale), seconds
        )

    def _cost(self, architecture: Architecture) -> Cost:
        return cost_of(architecture, self._settings.task.resolution, self._settings.task.num_classes)


def standing(study: Study, references: Study) -> str:
    """How far a study's front is, in a few words."""
    records = records_of(study)
    front = front_of(records)
    scale = AccuracyScale.of_study(study.user_attrs, records, records_of(references))
    best = f"best {scale.phrase(front[-1])} in {front[-1].latency_ms:.2f} ms" if front else "no front yet"
    return f"front {len(front)}, {best}"


def _line(record: Record, task: Task, scale: AccuracyScale) -> str:
    noisy = ", noisy" if record.noisy else ""
    saved = f", {record.seconds_saved:.0f} s of them spared by the ledger" if record.seconds_saved else ""
    what = "" if task.name == CLASSIFICATION else "as a classifier "
    over = f" ({over_budget_text(record)})" if record.over_budget else ""
    training = record.training
    doubt = doubt_of(training.validation_losses, training.plain.get("num_classes", 0))  # old ones do not say it
    careful = f"; careful: {doubt}" if doubt else ""
    flops = f"{record.macs / 1e6:.1f} MFLOPs{at_own(record.architecture)}{over}"
    return (
        f"{flops}, {record.latency_ms:.3f} ms{noisy}, {what}{scale.phrase(record)} "
        f"(proxy {100 * record.proxy_accuracy:.1f} %), {record.seconds:.0f} s{saved}{careful}"
    )
