"""What zero-cost scores are taken of: small networks and batches, by seed."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from proxies.network import build
from search_space import PRESETS, Architecture


def shallow(name: str, activation: str = "relu") -> Architecture:
    """A preset of two units a stage."""
    stages = tuple(replace(stage, depth=2) for stage in PRESETS[name].stages)
    return replace(PRESETS[name], stages=stages, activation=activation)


def with_xception(architecture: Architecture) -> Architecture:
    """It with Xception branches of grouped 1x1 convolutions in its second stage."""
    first, second, third = architecture.stages
    return replace(architecture, stages=(first, replace(second, xception=True, groups=2), third))


ARCHITECTURES = {
    "v1 g3": shallow("v1-0.25x-g3"),
    "v2": shallow("v2-0.5x"),
    "v2 SE hardswish": shallow("v2-se-0.5x", "hardswish"),
    "v2 Xception": with_xception(shallow("v2-0.5x")),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(count: int = 8, channels: int = 3, size: int = 16, classes: int = 10) -> tuple[Tensor, Tensor]:
    images = torch.randn(count, channels, size, size, generator=seeded())
    return images, torch.randint(classes, (count,), generator=seeded(1))


def network_of(architecture: Architecture) -> nn.Module:
    return build(architecture, 10, 3, 1).to(memory_format=torch.channels_last)


def double(network: nn.Module) -> nn.Module:
    """`network` in double precision, its weights drawn again from a seed."""
    network.double()
    random = seeded(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    return network


def tiny(*, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Module:
    """Two convolutions and a linear layer, with batch norm: (n, 2, 4, 4) to (n, 3)."""
    return double(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            activation(),
            nn.Conv2d(4, 4, 1, groups=2, bias=False),
            activation(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        )
    )


def tiny_batch() -> tuple[Tensor, Tensor]:
    images, labels = batch(channels=2, size=4, classes=3)
    return images.double(), labels
