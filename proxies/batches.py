"""Images in batches: so many at once as a file takes, and a few of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def in_batches(
    run: Callable[[NDArray[np.float32]], Any], images: NDArray[np.float32], batch: int | None
) -> NDArray[np.float32]:
    """The logits of all images (n, c, h, w) by a file that takes `batch` at once (None: any number)."""
    logits = [np.asarray(run(part)) for part in whole_batches(images, batch or len(images))]
    return np.concatenate(logits)[: len(images)]


def whole_batches(images: NDArray[np.float32], batch: int) -> Iterator[NDArray[np.float32]]:
    """The images, `batch` at once; of the last, incomplete batch the last image is repeated."""
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        yield np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])


def spread(images: Tensor, count: int) -> Tensor:
    """So many of the images (n, c, h, w) at most, spread over all, since they may lie class by class."""
    return images[torch.linspace(0, len(images) - 1, min(count, len(images))).long()]
