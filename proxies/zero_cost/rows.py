"""The scores at initialisation, a row each: whose they are, and what they make of the layers of our networks."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from proxies.zero_cost.scores import (
    PARTS,
    Score,
    ZeroCostError,
    gradnorm,
    jacob_cov,
    naswot,
    snip,
    synflow,
    zico,
)
from search_space.errors import InputError

__all__ = ["MIN_IMAGES", "ZERO_COST", "ZeroCost", "ZeroCostError", "ZeroCostScores", "zero_cost_scores"]

MIN_IMAGES = 2 * PARTS
"""Images a batch needs: two in each of ZiCo's parts, so that batch norm has statistics."""


@dataclass(frozen=True, slots=True)
class ZeroCost:
    """One score at initialisation, higher being better.

    `treats` says what it makes of batch norm, activations other than ReLU, squeeze-and-excitation and shuffles. `score`
    takes the network, normalised float images (n, c, h, w) and int64 labels (n,), and leaves the network as it was.
    """

    name: str
    paper: str
    treats: str
    score: Score


@dataclass(frozen=True, slots=True)
class ZeroCostScores:
    """Every row's score of one network, and the seconds it took, by the row's name."""

    scores: dict[str, float]
    seconds: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Both as plain JSON values."""
        return asdict(self)


_GRADIENTS = (
    "Batch norm uses the batch's statistics; its own weights and all biases are not counted. Hardswish is taken as it "
    "is, with its gradient. SE's convolutions count as layers. A shuffle only moves values and has no weights."
)

ZERO_COST: dict[str, ZeroCost] = {
    row.name: row
    for row in (
        ZeroCost(
            "naswot",
            "Mellor et al. 2021, Neural Architecture Search without Training, arXiv 2006.04647, sec. 3",
            "Batch norm uses the batch's statistics. A code is the sign of an activation's input: for ReLU the paper's "
            "code, for hardswish a generalisation. SE's inner ReLU and its gate are no codes, though what they scale "
            "goes on. A shuffle permutes codes, which leaves the kernel as it is.",
            naswot,
        ),
        ZeroCost(
            "synflow",
            "Tanaka et al. 2020, arXiv 2006.05467, sec. 6; as a score Abdelfattah et al. 2021, arXiv 2101.08134, "
            "sec. 3.2",
            "Batch norm, hardswish and SE become the identity, which ReLU is for this pass's positive values: what is "
            "left is the paper's linear network of absolute weights, and neither activation nor SE changes the score. "
            "A shuffle decides which paths there are.",
            synflow,
        ),
        ZeroCost("gradnorm", "Abdelfattah et al. 2021, arXiv 2101.08134, sec. 3.2", _GRADIENTS, gradnorm),
        ZeroCost(
            "zico",
            "Li et al. 2023, ZiCo, arXiv 2301.11300, sec. 3; standard deviation of the signed gradients as in the "
            f"authors' program, over {PARTS} parts of one batch instead of two batches",
            _GRADIENTS.replace("the batch's statistics", "each part's statistics"),
            zico,
        ),
        ZeroCost(
            "snip",
            "Lee et al. 2019, arXiv 1810.02340, sec. 4; as a score Abdelfattah et al. 2021, arXiv 2101.08134, sec. 3.2",
            _GRADIENTS,
            snip,
        ),
        ZeroCost(
            "jacob_cov",
            "Mellor et al. 2020, arXiv 2006.04647v1, sec. 3; as in Abdelfattah et al. 2021, arXiv 2101.08134, sec. 3.2",
            "Batch norm uses the batch's statistics, so an image's gradient holds what it does to the other images' "
            "outputs as well. Hardswish and SE are taken as they are, with their gradients. A shuffle permutes "
            "channels inside the network, never the image's gradient.",
            jacob_cov,
        ),
    )
}
"""Name -> score at initialisation."""


def zero_cost_scores(network: nn.Module, images: Tensor, labels: Tensor) -> ZeroCostScores:
    """Every row's score of `network`, which is left as it was, and the seconds each took.

    Same network and batch, same scores, on a CPU with the same number of threads.

    Args:
        network: of images to class scores, (n, num_classes).
        images: (n, c, h, w), normalised, of the network's type; on the device to compute on. In mixed order of
            classes, since ZiCo splits them.
        labels: (n,), int64.

    Raises:
        InputError: a batch of another shape or type, or of fewer than `MIN_IMAGES` images.
        ZeroCostError: a score is not a finite number.
    """
    _check(images, labels)
    scores, seconds = {}, {}
    for name, row in ZERO_COST.items():
        started = time.perf_counter()
        # Reading the number waits for a GPU's work.
        scores[name] = row.score(network, images, labels)
        seconds[name] = time.perf_counter() - started
    return ZeroCostScores(scores, seconds)


def _check(images: Tensor, labels: Tensor) -> None:
    if images.ndim != 4 or not images.is_floating_point() or len(images) < MIN_IMAGES:
        raise InputError(
            f"images must be at least {MIN_IMAGES} of floats, (n, c, h, w), got {tuple(images.shape)} of {images.dtype}"
        )
    if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
        raise InputError(
            f"labels must be int64, one for each of {len(images)} images, got {tuple(labels.shape)} of {labels.dtype}"
        )
