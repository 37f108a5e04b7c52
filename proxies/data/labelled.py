"""Images with their labels, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from search_space.errors import InputError


class Labelled(NamedTuple):
    """Images, uint8 ``(n, c, h, w)``, with their labels, int64 ``(n,)``."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def rows(self, chosen: NDArray[np.bool_]) -> Labelled:
        """Returns those of the chosen rows."""
        return Labelled(self.images[chosen], self.labels[chosen])


def stack_images(count: int, read: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Returns ``(count, c, h, w)``: the images that ``read`` gives for 0, 1, ..., read in parallel.

    Raises:
        InputError: where the images differ in shape.
    """
    first = read(0)
    images = np.empty((count, *first.shape), np.uint8)
    with ThreadPoolExecutor() as pool:
        for row, image in enumerate(pool.map(read, range(count))):
            if image.shape != first.shape:
                shapes = f"{first.shape} and {image.shape}"
                raise InputError(f"all images must have one (c, h, w) shape, but got {shapes}; give an image size")
            images[row] = image
    return images
