"""Training recipes as values, readable without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.hand_designed import HandDesigned

SMALLEST_TRAINED_IMAGE = 16
SMALLEST_IN_PROPORTION = 4
"""Pixels of what a network of its own resolution is trained on at the least: its stages still halve them."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained: SGD with Nesterov momentum, the learning rate up and then annealed to about 0.

    `image_scale` shrinks the data's images, down to 16 pixels at the least; `stem_stride` None follows from their size.
    `channel_scale` trains a narrower network of the same structure. `schedule` and `augmentation` are rows of the
    `SCHEDULES` of `proxies.training.schedules` and the `AUGMENTATIONS` of `proxies.training.augmentation`. `mixup` and
    `cutmix` (their alpha) are for sets of at least `mix_from_images`. `ema_share` 0 validates the weights themselves,
    otherwise their moving average over that share of all steps. Norms and biases are decayed only where `decay_norms`
    says so. Every `validate_every`-th epoch is validated, and the last one.

    `resolution_share` is a network's own resolution over the task's: images and the crop's padding shrink by it once
    more, the stem's stride stays.
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
    resolution_share: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values; `resolution_share` is left out where it is 1."""
        fields = asdict(self)
        if self.resolution_share == 1:
            del fields["resolution_share"]
        return fields

    def of(self, network: Architecture | HandDesigned, resolution: int) -> Recipe:
        """The recipe as it trains this network, of a task at `resolution`, for which the data's images stand.

        Raises:
            InputError: as `share_of`.
        """
        return replace(self, resolution_share=share_of(network, resolution))

    def image_size(self, own: int) -> int:
        """The pixels of the images that a network is trained on, where the data's own are `own` wide."""
        at_task = self._image_size_at_task(own)
        return min(at_task, max(SMALLEST_IN_PROPORTION, round(self.resolution_share * at_task)))

    def stem_stride_at(self, own: int) -> int:
        """The stem's stride, where the data's own images are `own` pixels wide: a network's resolution changes none."""
        return self.stem_stride or stem_stride_for(self._image_size_at_task(own))

    @property
    def padding(self) -> int:
        """The pixels by which a crop may be off, in proportion to a network's own resolution."""
        return round(self.resolution_share * self.crop_padding)

    def _image_size_at_task(self, own: int) -> int:
        return min(own, max(SMALLEST_TRAINED_IMAGE, round(self.image_scale * own)))


def share_of(network: Architecture | HandDesigned, resolution: int) -> float:
    """A network's own resolution over the task's; 1 where it has none.

    Raises:
        InputError: it is above the task's, whose size the data's images have.
    """
    own = network.resolution if isinstance(network, Architecture) else None
    if own is None:
        return 1.0
    if own > resolution:
        raise InputError(
            f"a network is trained on images as much smaller as its resolution is than the task's, and {own} is above "
            f"{resolution}: give --resolution {own} or more"
        )
    return own / resolution


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
