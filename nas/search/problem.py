"""What a search is over, as the coordinator sees it: it asks, has evaluated and tells, and knows no more than this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState


class Candidate(Protocol):
    """What can be evaluated; two with the same key are the same."""

    def key(self) -> str:
        """Its name, the same wherever it is made."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ends: its state, the objectives where it is complete, and all else that is kept with it.

    `summary` says it in a line; `seconds` are those that the evaluation took, 0 where a part of it was known.
    """

    state: TrialState
    values: tuple[float, ...] | None
    attributes: Mapping[str, Any] = field(hash=False)
    summary: str
    seconds: float = 0.0


class Problem(Protocol):
    """A space, what is known of it, and how its candidates are evaluated: ShuffleNets, or a table of others."""

    def sampler(self, study: Study, position: int) -> BaseSampler:
        """The sampler for the study's trial at this position."""
        ...

    def suggest(self, trial: Trial) -> Candidate:
        """The candidate that the trial's parameters mean."""
        ...

    def reference(self, name: str) -> Candidate:
        """The hand-designed candidate of that name."""
        ...

    def nearest_first(self, names: Sequence[str], study: Study) -> Sequence[str]:
        """The names of references, those nearest to what the study has found first."""
        ...

    def size_of(self, candidate: Candidate) -> float:
        """What the time that an evaluation takes grows with, such as its FLOPs."""
        ...

    def name_of(self, candidate: Candidate) -> str:
        """What a line calls the candidate."""
        ...

    def request(self, candidate: Candidate) -> tuple[str, tuple[Any, ...]]:
        """The method of a worker that evaluates the candidate, and its arguments."""
        ...

    def known(self, candidate: Candidate) -> Any | None:
        """What a worker would answer, where it is known from before; else None."""
        ...

    def standing(self, study: Study) -> str:
        """How far the front is, in a few words."""
        ...

    def outcome(self, candidate: Candidate, answer: Any, reference: str) -> Outcome:
        """What the answer of a worker amounts to, once it is kept; `reference` is "" for a candidate of the search."""
        ...
