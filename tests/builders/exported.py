"""Small networks of every unit, group count, split and option, whose statistics let images through."""

import itertools
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import nn

from builders.images import embedded
from proxies.export.network import ExportedNetwork, as_taken
from proxies.network import build
from proxies.pretrained import TrainedFor
from search_space import Architecture, Stage

IMAGE_SIZE, STEM_STRIDE = 28, 2
SPLITS = tuple(Fraction(text) for text in ("1/4", "1/3", "1/2", "2/3", "3/4"))
V1_WIDTHS, V2_WIDTH = (96, 192, 384), 144
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"residual": True},
    {"pre_depthwise": True},
    {"activation": "hardswish"},
    {"shuffle": False},
    {"head": 64},
    {"se": True, "xception": True},
)
"""Of the networks of v2, one each; kernels go round from stage to stage."""


def v1(*groups: int, **options: Any) -> Architecture:
    stages = (Stage(2, width, count) for width, count in zip(V1_WIDTHS, groups, strict=True))
    return Architecture("v1", 24, 0, tuple(stages), **options)


def v2(
    stages: Sequence[tuple[int, Fraction]], head: int = 0, se: bool = False, xception: bool = False, **options: Any
) -> Architecture:
    kernels = itertools.cycle((3, 5, 7))
    made = (Stage(2, V2_WIDTH, groups, split, next(kernels), se, xception) for groups, split in stages)
    return Architecture("v2", 24, head, tuple(made), **options)


def _of_v2() -> Iterator[tuple[str, Architecture]]:
    """Every group count with every split, three in a network."""
    pairs = [*itertools.product((1, 2, 3, 4), SPLITS), (8, Fraction(1, 2))]
    for options, *stages in zip(OPTIONS, pairs[0::3], pairs[1::3], pairs[2::3], strict=True):
        yield f"v2 {' '.join(f'{groups}:{split}' for groups, split in stages)} {options}", v2(stages, **options)


ALL = {
    "v1 g = 1, 2, 3": v1(1, 2, 3),
    "v1 g = 4, 8, 3": v1(4, 8, 3),
    "v1 bottleneck 1/2": v1(2, 1, 3, bottleneck=Fraction(1, 2)),
    "v1 bottleneck 1/8": v1(3, 4, 8, bottleneck=Fraction(1, 8)),
    **dict(_of_v2()),
    "v2 Xception, residual": v2([(1, SPLITS[2]), (2, SPLITS[0]), (3, SPLITS[1])], xception=True, residual=True),
}


def network(architecture: Architecture, is_trained: bool = True) -> ExportedNetwork:
    """Random weights whose batch norms have the statistics of real images, as a trained network's have."""
    data = embedded()
    mean, std = data.channel_stats
    about = TrainedFor(architecture, data.classes, 1, STEM_STRIDE, IMAGE_SIZE, mean, std)
    module = build(architecture, 10, 1, STEM_STRIDE, seed=3)
    made = ExportedNetwork(
        architecture.short_name,
        module,
        about,
        as_taken(data.val_images[:32], 1, IMAGE_SIZE),
        data.train_images[:32],
        is_trained,
    )
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        module.train()(made.normalised(data.train_images[:32]))
    for norm in norms:  # a checkpoint says nothing of it, and a fresh module has torch's own
        norm.momentum = 0.1
    module.eval()
    return made


def elsewhere(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script, run where this project is not installed: site-packages without the files that lead here."""
    head = f"import sys; sys.path += {[sysconfig.get_path('purelib'), sysconfig.get_path('platlib')]!r}\n"
    line = [sys.executable, "-I", "-S", "-c", head + script]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
