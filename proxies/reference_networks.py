"""The hand-designed networks by name, untrained: every preset, MobileNetV1, and others from torchvision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import torch
import torchvision
from torch import nn

from proxies.network import build
from proxies.reference_names import MOBILENET_V1_WIDTHS, REFERENCE_NAMES, TORCHVISION_NETWORKS
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.presets import PRESETS

MOBILENET_V1_STEM = 32
MOBILENET_V1_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *5 * ((512, 1),),
    (1024, 2),
    # The paper's table prints stride 2 here, and beside it the 7 x 7 that stride 1 gives.
    (1024, 1),
)
"""Width and stride of each depthwise-separable block (Howard 2017, table 1)."""


def mobilenet_v1(num_classes: int = 1000, width: float = 1.0) -> nn.Module:
    """MobileNetV1 (Howard 2017, table 1): (n, 3, h, w) to (n, num_classes); `width` scales every layer's channels.

    Weights are drawn from torch's generator. Without the dropout that trainings put before the classifier.
    """
    channels = round(MOBILENET_V1_STEM * width)
    layers = _conv_bn_relu(3, channels, kernel=3, stride=2)
    for block_width, stride in MOBILENET_V1_BLOCKS:
        c_out = round(block_width * width)
        layers += _conv_bn_relu(channels, channels, kernel=3, stride=stride, groups=channels)
        layers += _conv_bn_relu(channels, c_out, kernel=1)
        channels = c_out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(channels, num_classes))


def build_reference(name: str, num_classes: int = 1000, *, seed: int = 0) -> nn.Module:
    """The network of that name, in evaluation mode, initialised from `seed`: (n, 3, h, w) to (n, num_classes).

    Raises:
        InputError: no reference has that name.
    """
    if name not in REFERENCE_NETWORKS:
        raise InputError(f"a reference network must be one of {', '.join(REFERENCE_NETWORKS)}; {name!r} came: name one")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return REFERENCE_NETWORKS[name](num_classes).eval()


def _conv_bn_relu(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]


def _preset(architecture: Architecture, num_classes: int) -> nn.Module:
    return build(architecture, num_classes, seed=torch.initial_seed())


def _torchvision(name: str, num_classes: int) -> nn.Module:
    row = TORCHVISION_NETWORKS[name]
    network: nn.Module = getattr(torchvision.models, row.function)(weights=None, num_classes=num_classes, **row.options)
    return network


_BUILDERS: Mapping[str, Callable[[int], nn.Module]] = {
    **{name: partial(_preset, preset) for name, preset in PRESETS.items()},
    **{name: partial(mobilenet_v1, width=width) for name, width in MOBILENET_V1_WIDTHS.items()},
    **{name: partial(_torchvision, name) for name in TORCHVISION_NETWORKS},
}
REFERENCE_NETWORKS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {name: _BUILDERS[name] for name in REFERENCE_NAMES}
)
"""Name -> builder for a number of classes; weights follow the seed that torch's generator was given last."""
