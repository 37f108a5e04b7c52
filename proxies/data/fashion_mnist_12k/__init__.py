"""A stratified draw of 12,000 images from Fashion-MNIST's training set, so that a search needs no download.

- `rebuild`: makes the file anew from the full set
"""

import io
import lzma
from importlib import resources

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FILE_NAME = "arrays.npy.xz"


def arrays() -> tuple[NDArray[np.uint8], ...]:
    """Returns training images ``(10000, 28, 28)`` and labels ``(10000,)``, then the 2,000 for validation alike."""
    stream = io.BytesIO(lzma.decompress(resources.files(__name__).joinpath(FILE_NAME).read_bytes()))
    return tuple(np.load(stream, allow_pickle=False) for _ in range(4))
