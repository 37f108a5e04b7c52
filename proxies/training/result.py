"""What a training gives: its curves, or the reason why there is no network. Readable without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log
from typing import Any


class TrainingError(RuntimeError):
    """A training that gave no network: the message says at which epoch and why."""


def doubt_of(validation_losses: Sequence[float], num_classes: int) -> str | None:
    """Why a training came to nothing, in words: its last loss is above that of guessing. None where it is not."""
    guessing = log(num_classes) if num_classes > 0 else float("inf")
    if not validation_losses or validation_losses[-1] <= guessing:
        return None
    return (
        f"the validation loss ended at {validation_losses[-1]:.2f}, above the {guessing:.2f} of guessing among "
        f"{num_classes} classes"
    )


@dataclass(frozen=True, slots=True)
class Training:
    """What a training gave: training losses by epoch; losses and accuracies (in [0, 1]) by validated epoch.

    `training_losses` are means over the epoch's batches as they were trained on, so their sum is the TSE of
    Ru et al. 2021. `validated_epochs` count from 1.
    """

    training_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    validation_accuracies: tuple[float, ...]
    validated_epochs: tuple[int, ...]
    seconds: float
    images_seen: int
    image_size: int
    stem_stride: int
    num_classes: int
    seed: int
    device: str

    @property
    def accuracy(self) -> float:
        """The last validation accuracy, in [0, 1]."""
        return self.validation_accuracies[-1]

    @property
    def doubt(self) -> str | None:
        """Why the network is of no use, in words; None where nothing says that it is of none."""
        return doubt_of(self.validation_losses, self.num_classes)

    def to_dict(self) -> dict[str, Any]:
        """The training as plain JSON values."""
        return asdict(self)
