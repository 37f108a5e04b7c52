"""What a training gives: its curves, or the reason why there is no network. Readable without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


class TrainingError(RuntimeError):
    """A training that gave no network: the message says at which epoch and why."""


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

    def to_dict(self) -> dict[str, Any]:
        """The training as plain JSON values."""
        return asdict(self)
