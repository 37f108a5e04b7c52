"""Small trainings: a network, recipes, and images of noise."""

from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from proxies.data.load import ImageData
from proxies.training.recipes import Recipe
from search_space import Architecture, Stage

HALF = Fraction(1, 2)
SMALL = Architecture("v2", 8, 0, (Stage(1, 16, split=HALF), Stage(1, 32, split=HALF), Stage(1, 64, split=HALF)))
DIGITS = "mnist"
"""A data set whose images are never mirrored."""
RECIPE = Recipe("tiny", epochs=2, learning_rate=0.05, batch_size=16)
STILL = replace(RECIPE, crop_padding=0)
"""Images come as they are: with `DIGITS` they are neither moved nor mirrored."""


def data_of(train_images: Tensor, val_images: Tensor, name: str = DIGITS, classes: int = 4) -> ImageData:
    """Images with the labels 0, 1, 2, 3, 0, 1, ..."""
    train_labels, val_labels = (torch.arange(len(images)) % classes for images in (train_images, val_images))
    names = tuple(map(str, range(classes)))
    return ImageData(name, train_images, train_labels, val_images, val_labels, names, "0" * 16)


def noise(count: int, size: int = 16, seed: int = 0, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=generator)


def noise_data(count: int = 48, val_count: int = 20, size: int = 16, name: str = DIGITS) -> ImageData:
    return data_of(noise(count, size), noise(val_count, size, seed=1), name)
