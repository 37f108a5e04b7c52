"""Images on disk: folders of noise in classes."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path, classes: tuple[str, ...] = ("dark", "light"), count: int = 40, seed: int = 0) -> Path:
    """A folder of class folders of 16-pixel PNG noise, brighter from class to class."""
    random = np.random.RandomState(seed)
    for level, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = 60 + 60 * level + random.randint(-40, 40, (16, 16, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder
