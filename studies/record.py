"""One evaluated architecture, frozen; to and from an Optuna trial and plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from search_space.architecture import Architecture
from search_space.cost import Cost
from search_space.reading import Fields
from studies.checked_facts import (
    LEAST_MS,
    LONGEST_TEXT,
    MOST_MS,
    ImpossibleFacts,
    checked_latency,
    checked_training,
    flaw_of,
    impossible,
)
from studies.facts import LatencyFacts, TrainingFacts

MOST_COUNT = 10**18
OBJECTIVES = ("accuracy", "latency_ms")
KEY = "key"
"""The user attribute that names a trial's architecture: it is set before the evaluation begins."""
DIRECTIONS: list[Literal["maximize", "minimize"]] = ["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured of one architecture, under one study's settings.

    `accuracy` in [0, 1] is what the full recipe is predicted to reach; `latency` and `training` say how those numbers
    were had. `accuracy_error` is the standard deviation of the prediction, None where it is not known. `reference` is
    the preset's name where the network is a hand-designed one, "" where the search found it; `number` is the trial's.
    `over_budget` is the share of the budget by which a reference counts more than that.
    """

    architecture: Architecture
    macs: int
    params: int
    peak_bytes: int
    memory_access_bytes: int
    accuracy: float
    latency_ms: float
    latency: LatencyFacts
    training: TrainingFacts
    where: str = ""
    reference: str = ""
    number: int = -1
    accuracy_error: float | None = None
    over_budget: float = 0.0

    @classmethod
    def of_parts(
        cls,
        architecture: Architecture,
        cost: Cost,
        latency: LatencyFacts,
        training: TrainingFacts,
        where: str,
    ) -> Record:
        """The record of an architecture of this cost, measured and trained; its accuracy is the training's own."""
        return cls(
            architecture=architecture,
            macs=cost.macs,
            params=cost.params,
            peak_bytes=cost.peak_bytes,
            memory_access_bytes=cost.memory_access_bytes,
            accuracy=training.accuracy,
            latency_ms=latency.latency_ms,
            latency=latency,
            training=training,
            where=where,
        )

    @property
    def name(self) -> str:
        """What tables and plots call the architecture: a reference's own name, else its unit and key."""
        return self.reference or self.architecture.short_name

    @property
    def latency_spread(self) -> float:
        """Twice the standard error of the latency, as a share of it."""
        return self.latency.spread

    @property
    def noisy(self) -> bool:
        """Whether that is more than the protocol accepts."""
        return self.latency.noisy

    @property
    def is_timed_fully(self) -> bool:
        """Whether the whole protocol was taken; a search times quickly."""
        return self.latency.is_full

    @property
    def proxy_accuracy(self) -> float:
        """The short training's own last validation accuracy, in [0, 1]."""
        return self.training.accuracy

    @property
    def seconds(self) -> float:
        """Seconds spent on training and on measuring latency, now or when what is replayed was done."""
        return self.training.seconds + self.latency.seconds

    @property
    def seconds_saved(self) -> float:
        """Those of them that the ledger spared."""
        return sum(part.seconds for part in (self.training, self.latency) if part.replayed)

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON; `from_dict` takes it back."""
        return {
            "name": self.name,
            "number": self.number,
            "reference": self.reference,
            "accuracy": self.accuracy,
            "latency_ms": self.latency_ms,
            **attributes_of(self),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """The record that `to_dict` wrote."""
        return cls(
            architecture=Architecture.from_dict(data["architecture"]),
            latency=LatencyFacts(data["latency"]),
            training=TrainingFacts(data["training"]),
            over_budget=data.get("over_budget", 0.0),
            **{name: data[name] for name in (*_PLAIN, "accuracy", "latency_ms", "reference", "number")},
            accuracy_error=data.get("accuracy_error"),
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """An architecture over the latency budget: measured, and not trained."""

    latency_ms: float
    latency: LatencyFacts


_PLAIN = ("macs", "params", "peak_bytes", "memory_access_bytes", "where")


def attributes_of(record: Record) -> dict[str, Any]:
    """A trial's user attributes: all of the record that is neither a parameter nor an objective."""
    return {
        "architecture": record.architecture.to_dict(),
        KEY: record.architecture.key(),
        **{name: getattr(record, name) for name in _PLAIN},
        "latency": record.latency.plain,
        "training": record.training.plain,
        "proxy_accuracy": record.proxy_accuracy,
        "latency_spread": record.latency_spread,
        "seconds": record.seconds,
        **({"reference": record.reference} if record.reference else {}),
        **({"accuracy_error": record.accuracy_error} if record.accuracy_error is not None else {}),
        **({"over_budget": record.over_budget} if record.over_budget else {}),
    }


def checked_record(record: Record) -> Record:
    """The record, whose numbers and names can be.

    Raises:
        ImpossibleFacts: one of them cannot.
    """
    with impossible():
        names = ("accuracy", "latency_ms", "reference", "accuracy_error", "over_budget", *_PLAIN)
        fields = Fields({name: getattr(record, name) for name in names}, "a network")
        fields.number("accuracy", 0.0, 1.0)
        fields.number("latency_ms", LEAST_MS, MOST_MS)
        fields.number("over_budget", 0.0, 1e9)
        for name in _PLAIN[:-1]:
            fields.whole(name, 0, MOST_COUNT)
        for name in ("where", "reference"):
            fields.line(name, LONGEST_TEXT)
        if record.accuracy_error is not None:
            fields.number("accuracy_error", 0.0, 1.0)
    checked_latency(record.latency.plain)
    checked_training(record.training.plain)
    return record


def record_of(trial: FrozenTrial) -> Record | None:
    """The record that a completed trial holds; None for a trial in any other state, and for one that cannot be."""
    if trial.state is not TrialState.COMPLETE:
        return None
    try:
        return _record_of(trial)
    except ImpossibleFacts:
        return None


def rejected_of(trial: FrozenTrial) -> Rejected | None:
    """What a trial holds whose network was over the latency budget; None for any other, and where it cannot be."""
    if trial.state is not TrialState.PRUNED or "latency" not in trial.user_attrs:
        return None
    try:
        latency = checked_latency(trial.user_attrs["latency"])
    except ImpossibleFacts:
        return None
    return Rejected(latency.latency_ms, latency)


def flaw_of_trial(trial: FrozenTrial) -> str:
    """Why what a trial that came to its end says cannot be; "" where it can, and of a trial in another state."""
    if trial.state is TrialState.COMPLETE:
        return flaw_of(lambda: _record_of(trial))
    if trial.state is TrialState.PRUNED and "latency" in trial.user_attrs:
        return flaw_of(lambda: checked_latency(trial.user_attrs["latency"]))
    return ""


def _record_of(trial: FrozenTrial) -> Record:
    with impossible():
        accuracy, latency_ms = trial.values
        return checked_record(
            Record(
                architecture=Architecture.from_dict(trial.user_attrs["architecture"]),
                accuracy=accuracy,
                latency_ms=latency_ms,
                latency=checked_latency(trial.user_attrs["latency"]),
                training=checked_training(trial.user_attrs["training"]),
                reference=trial.user_attrs.get("reference", ""),
                number=trial.number,
                accuracy_error=trial.user_attrs.get("accuracy_error"),
                over_budget=trial.user_attrs.get("over_budget", 0.0),
                **{name: trial.user_attrs[name] for name in _PLAIN},
            )
        )
