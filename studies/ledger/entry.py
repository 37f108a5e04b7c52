"""One entry of the ledger, flat: a training, a scoring at initialisation or a latency, as a row of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args, get_type_hints

from search_space.presets import PRESETS
from search_space.reading import Fields
from search_space.task import Task, task_name
from studies.checked_facts import LATEST_S, LEDGERED, LONGEST_TEXT, checked_latency, impossible
from studies.ledger.trainings import AT_INITIALISATION, checked_answer

_TEXTS = ("network", "device", "device_fingerprint", "processor", "host", "recipe", "data", "source", "study")
TRAINING, SCORES, LATENCY = KINDS = ("training", "scores", "latency")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; what it has no part in, or what nobody noted, is None and never zero.

    `name` is the preset's where the network is one, or its backbone. `device` is cpu or cuda of a training, and of a
    latency the name that the user gave it, or its fingerprint. `task`, a latency's, is a row of
    `search_space.task.TASKS`; a backbone has no classes. `taken_at` is ISO 8601 in UTC. `validation_accuracy` is the
    last one, in [0, 1], `int8_validation_accuracy` that of the network quantised after it, `training_loss_sum` the sum
    of the epochs' means, `spread` a latency's standard errors as a share of it. `architecture`, `method`, `versions`
    and `result`, which is all that is known of the entry, are JSON texts.
    """

    kind: str
    taken_at: str | None
    taken_at_epoch_s: float | None
    network: str
    name: str | None
    classes: int | None
    device: str
    device_fingerprint: str | None
    processor: str | None
    seconds: float | None
    host: str | None = None
    recipe: str | None = None
    data: str | None = None
    seed: int | None = None
    task: str | None = None
    resolution_px: int | None = None
    stem_stride: int | None = None
    validation_accuracy: float | None = None
    int8_validation_accuracy: float | None = None
    validation_loss: float | None = None
    training_loss_sum: float | None = None
    latency_ms: float | None = None
    spread: float | None = None
    noisy: bool | None = None
    reference_ms: float | None = None
    runtime: str | None = None
    runtime_version: str | None = None
    precision: str | None = None
    batch_size: int | None = None
    source: str | None = None
    study: str | None = None
    versions: str | None = None
    method: str | None = None
    architecture: str | None = None
    result: str | None = None

    def to_dict(self) -> dict[str, str | int | float | bool | None]:
        """The fields by name, in the order of `columns`."""
        return {name: getattr(self, name) for name in columns()}


@cache
def columns() -> dict[str, type]:
    """Each column of a table of entries with the type of what is known there: str, int, float or bool."""
    hints = get_type_hints(Entry)
    return {field.name: next(iter(get_args(hints[field.name])), hints[field.name]) for field in fields(Entry)}


def entry_of_evaluation(row: Mapping[Any, Any]) -> Entry:
    """The entry that a row of the evaluations' table is.

    Raises:
        ImpossibleFacts: it can be none.
    """
    with impossible():
        made_by, method = row["made_by"], row["method"]
        result = checked_answer(method, row["result"])
        losses = result.get("training_losses")
        return _checked(
            Entry(
                kind=SCORES if method.get("name") == AT_INITIALISATION else TRAINING,
                **_taken(row["taken_at"]),
                network=row["network"],
                name=preset_names().get(row["network"]),
                classes=result.get("num_classes"),
                device=row["device"],
                device_fingerprint=made_by.get("fingerprint"),
                processor=made_by.get("gpu") or made_by.get("processor"),
                seconds=result["seconds"],
                host=made_by.get("host"),
                recipe=method.get("name"),
                data=row["data"],
                seed=row["seed"],
                resolution_px=result.get("image_size"),
                stem_stride=result.get("stem_stride"),
                validation_accuracy=_last(result.get("validation_accuracies")),
                int8_validation_accuracy=(result.get("int8") or {}).get("accuracy"),
                validation_loss=_last(result.get("validation_losses")),
                training_loss_sum=sum(losses) if losses else None,
                versions=_json(made_by.get("versions")),
                method=_json(method),
                architecture=_json(row["architecture"]),
                result=_json(result),
            )
        )


def entry_of_measurement(row: Mapping[Any, Any]) -> Entry:
    """The entry that a row of the latencies' table is.

    Raises:
        ImpossibleFacts: it can be none.
    """
    copied = ("latency_ms", "spread", "noisy", "reference_ms", "runtime", "runtime_version", "precision", "batch_size")
    with impossible():
        latency = checked_latency(row["measurement"], LEDGERED).plain
        return _checked(
            Entry(
                kind=LATENCY,
                **_taken(latency["taken_at"]),
                network=row["network"],
                name=preset_names(row["classes"]).get(row["network"]),
                classes=row["classes"] or None,
                device=row["device"],
                device_fingerprint=latency["fingerprint"],
                processor=latency.get("device"),
                seconds=latency.get("seconds"),
                task=task_name(row["classes"]),
                resolution_px=latency["resolution"],
                **{name: latency.get(name) for name in copied},
                source=row["source"],
                study=row["study"] or None,
                architecture=_json(row["architecture"]),
                result=_json(latency),
            )
        )


def _checked(entry: Entry) -> Entry:
    """The entry, whose texts are lines that a table and a terminal take."""
    fields = Fields({name: getattr(entry, name) for name in _TEXTS}, "an entry")
    for name, value in fields.plain.items():
        if value is not None:
            fields.line(name, LONGEST_TEXT)
    return entry


@cache
def preset_names(classes: int = 1000) -> dict[str, str]:
    """The name of each preset by the key of what is deployed of it for so many classes."""
    task = Task(num_classes=classes)
    return {task.deployed(architecture).key(): name for name, architecture in PRESETS.items()}


def _taken(seconds: float) -> dict[str, Any]:
    Fields({"taken_at": seconds}, "an entry").number("taken_at", 0.0, LATEST_S)
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    return {"taken_at": text, "taken_at_epoch_s": seconds}


def _last(values: Sequence[float] | None) -> float | None:
    return values[-1] if values else None


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)
