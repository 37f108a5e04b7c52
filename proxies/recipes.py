"""Training recipes as values, readable without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained: SGD with Nesterov momentum, the learning rate up and then annealed to about 0."""

    name: str
    epochs: int
    learning_rate: float
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    warmup_share: float = 0.2
    crop_padding: int = 2
    max_images: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return asdict(self)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("short", epochs=2, learning_rate=0.02, batch_size=32, max_images=5_000),
        Recipe("long", epochs=8, learning_rate=0.05, batch_size=32),
        Recipe("full", epochs=40, learning_rate=0.05, batch_size=32),
    )
}
"""SHORT is what a study's accuracy comes from; LONG and FULL are for the networks it finds."""


def stem_stride_for(image_size: int) -> int:
    """The stem's stride for images of this many pixels: 4 as published from 96, less where little would be left."""
    if image_size >= 96:
        return 4
    return 2 if image_size >= 24 else 1
