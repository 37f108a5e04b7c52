"""What is known of a network to export whose study has trained it anew: its accuracies as a finalist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optuna.study import Study

from nas.search.outputs import finalists_in
from studies.storage.studies import SETTINGS


@dataclass(frozen=True, slots=True)
class TrainedAnew:
    """A finalist's mean accuracy, in [0, 1], over so many trainings; its weights were not kept.

    Where it was searched for int8, `accuracy` is that in int8, and `fp32_accuracy` that of the same weights in fp32;
    else the latter is None.
    """

    study: str
    recipe: str
    trainings: int
    accuracy: float
    fp32_accuracy: float | None

    @property
    def text(self) -> str:
        """The accuracies in words: "83.1 % in int8, 83.4 % in fp32"."""
        mean = f"{100 * self.accuracy:.1f} %"
        return mean if self.fp32_accuracy is None else f"{mean} in int8, {100 * self.fp32_accuracy:.1f} % in fp32"

    def line(self, name: str) -> str:
        """A line for the user about a network of this name."""
        count = "1 training" if self.trainings == 1 else f"{self.trainings} trainings"
        return f"{name}, as a finalist: {self.text} of the validation images, {count} by recipe {self.recipe}"

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, as plain JSON values, and the words."""
        return {**asdict(self), "text": self.text}


def trained_anew(study: str, finalists: Study | None) -> dict[str, TrainedAnew]:
    """By key, the networks of the study that were trained anew, but for those whose accuracies are predictions."""
    if finalists is None:
        return {}
    kept = finalists.user_attrs.get(SETTINGS, {}).get("recipe")
    recipe = str(kept["name"]) if isinstance(kept, Mapping) and "name" in kept else "unknown"
    return {
        each.record.architecture.key(): TrainedAnew(
            study, recipe, len(each.accuracies), each.accuracy, each.loss.fp32 if each.loss else None
        )
        for each in finalists_in(finalists)
        if not each.is_predicted
    }
