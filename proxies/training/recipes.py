"""Training recipes as values, readable without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

SMALLEST_TRAINED_IMAGE = 16


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained: SGD with Nesterov momentum, the learning rate up and then annealed to about 0.

    `image_scale` shrinks the data's images, down to 16 pixels at the least; `stem_stride` None follows from their size.
    `channel_scale` trains a narrower network of the same structure. `schedule` and `augmentation` are rows of the
    `SCHEDULES` of `proxies.training.schedules` and the `AUGMENTATIONS` of `proxies.training.augmentation`. `mixup` and
    `cutmix` (their alpha) are for sets of at least `mix_from_images`. `ema_share` 0 validates the weights themselves,
    otherwise their moving average over that share of all steps. Norms and biases are decayed only where `decay_norms`
    says so. Every `validate_every`-th epoch is validated, and the last one.
    """

    name: str
    epochs: int
    learning_rate: float
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_norms: bool = True
    label_smoothing: float = 0.1
    schedule: str = "onecycle"
    warmup_share: float = 0.2
    crop_padding: int = 2
    augmentation: str = "none"
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_from_images: int = 50_000
    ema_share: float = 0.0
    max_images: int | None = None
    image_scale: float = 1.0
    stem_stride: int | None = None
    channel_scale: float = 1.0
    validate_every: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return asdict(self)

    def image_size(self, own: int) -> int:
        """The pixels of the images that a network is trained on, where the data's own are `own` wide."""
        return min(own, max(SMALLEST_TRAINED_IMAGE, round(self.image_scale * own)))

    def stem_stride_at(self, image_size: int) -> int:
        """The stem's stride for images of this many pixels."""
        return self.stem_stride or stem_stride_for(image_size)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("short", epochs=4, learning_rate=0.05, max_images=5_000, image_scale=0.5, validate_every=4),
        Recipe("long", epochs=8, learning_rate=0.05, validate_every=8),
        Recipe(
            "full",
            epochs=100,
            learning_rate=0.05,
            decay_norms=False,
            schedule="cosine",
            warmup_share=0.1,
            augmentation="trivial",
            mixup=0.2,
            cutmix=1.0,
            ema_share=0.02,
            validate_every=5,
        ),
    )
}
"""SHORT is what a study's accuracy is predicted from; LONG is for its finalists, FULL for the network that ships."""

PROXIES = ("short", "long")
"""The recipes that stand in for a full training."""


def stem_stride_for(image_size: int) -> int:
    """The stem's stride for images of this many pixels: 4 as published from 96, less where little would be left."""
    if image_size >= 96:
        return 4
    return 2 if image_size >= 24 else 1
