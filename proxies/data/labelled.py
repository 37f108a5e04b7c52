"""Images with their labels, as arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
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
        InputError: where the images differ in shape, or are more than memory holds.
    """
    first = read(0)
    _check_memory(count, first)
    images = np.empty((count, *first.shape), np.uint8)
    with ThreadPoolExecutor() as pool:
        for row, image in enumerate(pool.map(read, range(count))):
            if image.shape != first.shape:
                shapes = f"{first.shape} and {image.shape}"
                raise InputError(f"all images must have one (c, h, w) shape, but got {shapes}; give an image size")
            images[row] = image
    return images


def _check_memory(count: int, first: NDArray[np.uint8]) -> None:
    """Refuses images that would fill the memory, before they are read; each is there twice where they are split."""
    needed, memory = 2 * count * first.nbytes, memory_bytes()
    if memory is not None and needed > memory:
        raise InputError(
            f"images must fit into memory, but {count} of {first.shape[-1]} px take {needed / 1e9:.1f} GB of "
            f"{memory / 1e9:.1f} GB here; give a smaller --image-size"
        )


def memory_bytes() -> int | None:
    """Returns how much memory this process may fill: the machine's, or its container's; None where nobody says."""
    found = []
    with suppress(OSError, ValueError, AttributeError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # "max" is no number: a container without a bound
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(found, default=None)
