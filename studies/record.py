"""One evaluated architecture, frozen; to and from an Optuna trial and plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from search_space.architecture import Architecture
from search_space.cost import Cost

OBJECTIVES = ("accuracy", "latency_ms")
FULL = "full"
"""The depth of a latency that was taken by the whole protocol."""
REPLAYED = "replayed"
"""Of a latency, a training or a whole trial: it was not done for this one, but known."""
KEY = "key"
"""The user attribute that names a trial's architecture: it is set before the evaluation begins."""
DIRECTIONS: list[Literal["maximize", "minimize"]] = ["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured of one architecture, under one study's settings.

    `accuracy` in [0, 1] is what the full recipe is predicted to reach; `latency` and `training` are plain JSON of how
    those numbers were had (latency: spread, noisy, rounds, runtime, ...; training: curves by epoch, seconds, device,
    ...). `accuracy_error` is the standard deviation of the prediction, None where it is not known. `reference` is the
    preset's name where the network is a hand-designed one, "" where the search found it; `number` is the trial's.
    `over_budget` is the share of the budget by which a reference counts more than that.
    """

    architecture: Architecture
    macs: int
    params: int
    peak_bytes: int
    memory_access_bytes: int
    accuracy: float
    latency_ms: float
    latency: Mapping[str, Any] = field(hash=False)
    training: Mapping[str, Any] = field(hash=False)
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
        latency: Mapping[str, Any],
        training: Mapping[str, Any],
        where: str,
    ) -> Record:
        """The record of an architecture of this cost, measured and trained; its accuracy is the training's own."""
        return cls(
            architecture=architecture,
            macs=cost.macs,
            params=cost.params,
            peak_bytes=cost.peak_bytes,
            memory_access_bytes=cost.memory_access_bytes,
            accuracy=float(training["validation_accuracies"][-1]),
            latency_ms=float(latency["latency_ms"]),
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
        return float(self.latency["spread"])

    @property
    def noisy(self) -> bool:
        """Whether that is more than the protocol accepts."""
        return bool(self.latency["noisy"])

    @property
    def is_timed_fully(self) -> bool:
        """Whether the whole protocol was taken; a search times quickly."""
        return is_full(self.latency)

    @property
    def proxy_accuracy(self) -> float:
        """The short training's own last validation accuracy, in [0, 1]."""
        return float(self.training["validation_accuracies"][-1])

    @property
    def seconds(self) -> float:
        """Seconds spent on training and on measuring latency, now or when what is replayed was done."""
        return float(self.training["seconds"]) + float(self.latency["seconds"])

    @property
    def seconds_saved(self) -> float:
        """Those of them that the ledger spared."""
        parts = (self.training, self.latency)
        return sum(float(part["seconds"]) for part in parts if part.get(REPLAYED))

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
            over_budget=data.get("over_budget", 0.0),
            **{name: data[name] for name in (*_PLAIN, "accuracy", "latency_ms", "reference", "number")},
            accuracy_error=data.get("accuracy_error"),
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """An architecture over the latency budget: measured, and not trained."""

    latency_ms: float
    latency: Mapping[str, Any] = field(hash=False)


def is_full(latency: Mapping[str, Any]) -> bool:
    """Whether a latency was taken by the whole protocol, as all were that do not say how deep."""
    return bool(latency.get("depth", FULL) == FULL)


def is_open(latency: Mapping[str, Any], limit_ms: float | None) -> bool:
    """Whether a quick latency is too near to a limit to say on which side of it the network is."""
    if limit_ms is None or is_full(latency):
        return False
    return bool(abs(latency["latency_ms"] - limit_ms) <= latency["spread"] * latency["latency_ms"])


_PLAIN = ("macs", "params", "peak_bytes", "memory_access_bytes", "latency", "training", "where")


def attributes_of(record: Record) -> dict[str, Any]:
    """A trial's user attributes: all of the record that is neither a parameter nor an objective."""
    return {
        "architecture": record.architecture.to_dict(),
        KEY: record.architecture.key(),
        **{name: getattr(record, name) for name in _PLAIN},
        "proxy_accuracy": record.proxy_accuracy,
        "latency_spread": record.latency_spread,
        "seconds": record.seconds,
        **({"reference": record.reference} if record.reference else {}),
        **({"accuracy_error": record.accuracy_error} if record.accuracy_error is not None else {}),
        **({"over_budget": record.over_budget} if record.over_budget else {}),
    }


def record_of(trial: FrozenTrial) -> Record | None:
    """The record that a completed trial holds; None for a trial in any other state."""
    if trial.state is not TrialState.COMPLETE:
        return None
    accuracy, latency_ms = trial.values
    return Record(
        architecture=Architecture.from_dict(trial.user_attrs["architecture"]),
        accuracy=accuracy,
        latency_ms=latency_ms,
        reference=trial.user_attrs.get("reference", ""),
        number=trial.number,
        accuracy_error=trial.user_attrs.get("accuracy_error"),
        over_budget=trial.user_attrs.get("over_budget", 0.0),
        **{name: trial.user_attrs[name] for name in _PLAIN},
    )
