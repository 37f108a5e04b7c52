"""A table of finished trainings as a search's problem: accuracy against FLOPs, of the networks that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from nas.search.problem import Candidate, Outcome
from search_space.budget import Budget
from search_space.reading import Fields
from studies.checked_facts import LONGEST_TEXT, flaw_of, impossible
from studies.front import undominated
from studies.record import KEY
from studies.sampling.benchmark_table import BenchmarkEntry, FinishedTable, ahead_of
from studies.sampling.samplers import sampler_for
from studies.storage.studies import CAUSE

OBJECTIVES = ("accuracy", "macs")


class FinishedNetworks:
    """The networks of a table, scored by workers with a `TableScorer`; without references."""

    def __init__(self, table: FinishedTable, budget: Budget, sampler: str, seed: int) -> None:
        self._table, self._budget = table, budget
        self._sampler, self._seed = sampler, seed
        self._ahead = ahead_of(table, budget)

    def sampler(self, study: Study, position: int) -> BaseSampler:
        """The sampler for the study's trial at this position."""
        return sampler_for(self._sampler, self._seed, position, self._ahead)

    def suggest(self, trial: Trial) -> BenchmarkEntry:
        """The entry that the trial's parameters mean; one without trainings where the table does not hold it."""
        code = self._table.suggest(trial)
        return self._table.entries.get(code) or BenchmarkEntry(code, (), 0, 0)

    def reference(self, name: str) -> BenchmarkEntry:
        """The entry of that name."""
        return self._table.entries[name]

    def nearest_first(self, names: Sequence[str], study: Study) -> Sequence[str]:
        """The names as they are: a table holds no references."""
        return names

    def size_of(self, candidate: Candidate) -> float:
        """Its FLOPs."""
        return float(cast(BenchmarkEntry, candidate).macs)

    def name_of(self, candidate: Candidate) -> str:
        """Its code."""
        return candidate.key()

    def request(self, candidate: Candidate) -> tuple[str, tuple[Any, ...]]:
        """The score of its code."""
        return "score", (candidate.key(),)

    def known(self, candidate: Candidate) -> str | None:
        """Why it is not scored, where it cannot be; else None."""
        entry = cast(BenchmarkEntry, candidate)
        if not entry.accuracies:
            return "the table does not hold it"
        if not self._budget.allows(entry.macs, entry.params):
            return f"over the budget {self._budget}: {entry.macs} FLOPs, {entry.params} parameters"
        return None

    def standing(self, study: Study) -> str:
        """How far the front is, in a few words."""
        front = front_of(study)
        best = f"best {100 * front[-1].values[0]:.2f} %" if front else "no front yet"
        return f"front {len(front)}, {best}"

    def outcome(self, candidate: Candidate, answer: float | str, reference: str) -> Outcome:
        """Accuracy and FLOPs; pruned with its cause where it cannot be scored."""
        entry = cast(BenchmarkEntry, candidate)
        if isinstance(answer, str):
            return Outcome(TrialState.PRUNED, None, {CAUSE: answer}, answer)
        attributes = {"macs": entry.macs, "params": entry.params, "mean_accuracy": entry.accuracy}
        text = (
            f"{entry.macs / 1e6:.1f} MFLOPs, {100 * answer:.2f} % (mean of its trainings {100 * entry.accuracy:.2f} %)"
        )
        return Outcome(TrialState.COMPLETE, (answer, float(entry.macs)), attributes, text)


def front_of(study: Study) -> list[FrozenTrial]:
    """The trials that no other beats, the one of fewest FLOPs first; each network once."""
    return undominated(_done(study), lambda trial: trial.values[1], lambda trial: trial.values[0])


def codes_of(study: Study) -> list[str]:
    """The codes of the networks that were scored, each once."""
    return list(dict.fromkeys(str(trial.user_attrs[KEY]) for trial in _done(study)))


def flaws_of(study: Study) -> list[str]:
    """The trials that are left out, for their numbers cannot be: a line each."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    found = ((trial, flaw_of(partial(_check, trial))) for trial in done)
    return [f"trial {trial.number} of {study.study_name!r}: {flaw}" for trial, flaw in found if flaw]


def _done(study: Study) -> list[FrozenTrial]:
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in done if not flaw_of(partial(_check, trial))]


def _check(trial: FrozenTrial) -> None:
    """Refuses a trial whose accuracy or FLOPs cannot be.

    Raises:
        ImpossibleFacts: they cannot.
    """
    with impossible():
        accuracy, macs = trial.values
        given = Fields({**trial.user_attrs, "accuracy": accuracy, "value": macs}, "a network of a table")
        given.number("accuracy", 0.0, 1.0)
        given.number("value", 0.0, 1e18)
        given.number("mean_accuracy", 0.0, 1.0)
        given.line(KEY, LONGEST_TEXT)
