"""Networks of a study's space that nobody measured, at the latency that a model of those measured predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from search_space.architecture import Architecture
from search_space.budget import Budget
from search_space.choices import Choices
from search_space.choosers import RandomChooser
from search_space.cost import cost_of
from search_space.space import SearchSpace
from search_space.task import Task
from studies.latency.model import (
    FLOPS_ALONE,
    LEAST_MEASUREMENTS,
    Errors,
    LatencyModel,
    errors_of,
    fit,
    leave_one_out,
    matrix_of,
)
from studies.record import Record

DRAWN = 200


@dataclass(frozen=True, slots=True)
class Predicted:
    """Architectures with their FLOPs and predicted latencies, the model that said so, and how FLOPs alone would do."""

    networks: tuple[tuple[Architecture, int, float], ...] = field(hash=False)
    model: LatencyModel
    flops_alone: Errors


def predicted_for(records: Sequence[Record], settings: Mapping[str, Any], seed: int = 0) -> Predicted | None:
    """Random architectures of the space that the settings tell, predicted from the records.

    None where the records are too few to fit a model to, or the settings tell no space.
    """
    known = {record.architecture.key(): record for record in records}
    if len(known) < LEAST_MEASUREMENTS or "space" not in settings:
        return None
    architectures = [record.architecture for record in known.values()]
    measured_ms = [record.latency_ms for record in known.values()]
    resolution, classes = int(settings["resolution"]), int(settings["classes"])
    model = fit(architectures, measured_ms, resolution, classes)
    _, work = matrix_of(architectures, FLOPS_ALONE, resolution, classes)
    flops_alone = errors_of(leave_one_out(work, np.asarray(measured_ms)), np.asarray(measured_ms))
    budget = Budget.parse(settings["budget"])
    if not budget.sizes_networks:
        budget = replace(budget, macs=max(record.macs for record in records))
    space = SearchSpace(Choices.from_dict(settings["space"]), budget, Task(resolution, classes))
    drawn = [space.suggest(RandomChooser(seed + number)) for number in range(DRAWN)]
    rows = [(each, cost_of(each, resolution, classes).macs, model.predict_ms(each)) for each in drawn]
    return Predicted(tuple(rows), model, flops_alone)
