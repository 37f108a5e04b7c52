"""The hand-designed networks by name, untrained: presets, MobileNetV1, others from torchvision, units of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torchvision
from torch import nn

from proxies.network import build, network_of
from proxies.references.names import (
    MOBILENET_V1_WIDTHS,
    MOBILENET_V2_WIDTHS,
    REFERENCE_NAMES,
    TORCHVISION_NETWORKS,
    TorchvisionNetwork,
)
from proxies.references.small_images import PUBLISHED, fit_to, without_dropout
from search_space.baseline_units import OTHER_UNITS, other_plan, unit_and_macs
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


def build_reference(
    name: str, num_classes: int = 1000, in_channels: int = 3, stem_stride: int = 4, *, seed: int = 0
) -> nn.Module:
    """The network of that name, in evaluation mode, drawn from `seed`: (n, in_channels, h, w) to (n, num_classes).

    Beside `REFERENCE_NAMES` there are `MOBILENET_V2_WIDTHS`, and units at their FLOPs, as "resnet-like@38mflops". For
    other images than the published ones `proxies.references.small_images` says what is changed.

    Raises:
        InputError: no network has that name, or the images do not fit.
    """
    if name in PRESETS:
        return build(PRESETS[name], num_classes, in_channels, stem_stride, seed=seed).eval()
    if name.partition("@")[0] in OTHER_UNITS:
        return network_of(other_plan(*unit_and_macs(name), num_classes, in_channels, stem_stride), seed).eval()
    if name not in _BUILDERS:
        known = ", ".join((*REFERENCE_NAMES, *MOBILENET_V2_WIDTHS, *(f"{unit}@140mflops" for unit in OTHER_UNITS)))
        raise InputError(f"a reference network must be one of {known}; {name!r} came: name one")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _BUILDERS[name](num_classes)
    if (in_channels, stem_stride) != (3, PUBLISHED):
        fit_to(network, in_channels, stem_stride)
    return without_dropout(network).eval()


def _conv_bn_relu(c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]


def _torchvision(row: TorchvisionNetwork, num_classes: int) -> nn.Module:
    network: nn.Module = getattr(torchvision.models, row.function)(weights=None, num_classes=num_classes, **row.options)
    return network


_BUILDERS: Mapping[str, Callable[[int], nn.Module]] = {
    **{name: partial(mobilenet_v1, width=width) for name, width in MOBILENET_V1_WIDTHS.items()},
    **{name: partial(_torchvision, row) for name, row in {**TORCHVISION_NETWORKS, **MOBILENET_V2_WIDTHS}.items()},
}
"""Name -> builder for a number of classes, of what is no architecture of the space."""
