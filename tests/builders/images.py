"""Images on disk: folders of noise in classes. Torch is imported only where it is needed."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch

    from proxies.data.load import ImageData


def write_images(folder: Path, classes: tuple[str, ...] = ("dark", "light"), count: int = 40, seed: int = 0) -> Path:
    """A folder of class folders of 16-pixel PNG noise, brighter from class to class."""
    random = np.random.RandomState(seed)
    for level, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = 60 + 60 * level + random.randint(-40, 40, (16, 16, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


@cache
def embedded() -> "ImageData":
    """The embedded images, which take a second to unpack; nobody changes them."""
    from proxies.data.load import load

    return load("fashion-mnist-12k")


def pixels(*shape: int, seed: int = 0) -> "torch.Tensor":
    """Noise, of values 0 to 255."""
    import torch

    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def save_image(file: Path, shape: tuple[int, ...] = (40, 48, 3), seed: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(*shape, seed=seed).numpy()).save(file)


def fill(folder: Path, per_class: int = 6, classes: tuple[str, ...] = ("cat", "ant")) -> Path:
    """The folder, with so many PNG images of 48x40 pixels in each class."""
    for label, name in enumerate(classes):
        for row in range(per_class):
            save_image(folder / name / f"{row}.png", seed=100 * label + row)
    return folder


def load_folder(folder: Path, **options: Any) -> "ImageData":
    """The images of a folder of classes; their cache stands beside it."""
    from proxies.data.load import load

    return load(f"folder:{folder}", cache=folder.parent / "cache", **options)
