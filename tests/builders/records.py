"""Records of networks, made up, and how a study comes to hold them."""

from collections.abc import Mapping
from typing import Any

from optuna.study import Study

from search_space import PRESETS, Architecture, cost_of
from studies.facts import LatencyFacts, TrainingFacts
from studies.record import Record, attributes_of


def record(
    network: Architecture | str = "v2-1.0x",
    accuracy: float = 0.5,
    latency_ms: float = 2.5,
    *,
    latency: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Record:
    """A record of an architecture or a preset, of its exact cost; 82.5 seconds in all.

    `latency` and `training` change or add facts of those, `changes` are fields of the record.
    """
    architecture = PRESETS[network] if isinstance(network, str) else network
    cost = cost_of(architecture)
    counts = {name: getattr(cost, name) for name in ("macs", "params", "peak_bytes", "memory_access_bytes")}
    timed = {"latency_ms": latency_ms, "spread": 0.012, "noisy": False, "seconds": 2.5, "runtime": "onnxruntime"}
    trained = {"seconds": 80.0, "validation_accuracies": [accuracy], "num_classes": 10}
    return Record(
        architecture=architecture,
        accuracy=accuracy,
        latency_ms=latency_ms,
        latency=LatencyFacts({**timed, **(latency or {})}),
        training=TrainingFacts({**trained, **(training or {})}),
        **{**counts, "where": "here", **changes},
    )


def enter(study: Study, *records: Record) -> None:
    """Completes a trial of the study for each record, as a search does."""
    for each in records:
        trial = study.ask()
        for name, value in attributes_of(each).items():
            trial.set_user_attr(name, value)
        study.tell(trial, [each.accuracy, each.latency_ms])
