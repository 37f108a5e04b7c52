"""Hand-designed networks for small images and any number of channels: by one rule, whatever the network is.

Every one of them shrinks an image by 4 in its first strided layers, as ShuffleNet's stem does, which leaves nothing of
a small one. So those layers, in the order in which they run, shrink less: to a `stem_stride` of 2 the last of them is
undone, to 1 all are. A convolution is undone by its stride, a pool is left out. ShuffleNet's own stem follows the rule.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torchvision.ops import StochasticDepth

from search_space.errors import InputError
from search_space.plan import STEM_STRIDES

PUBLISHED = STEM_STRIDES[0]
_SIZE = 224
"""Pixels at which the order of layers is found."""


def fit_to(network: nn.Module, in_channels: int, stem_stride: int) -> nn.Module:
    """The network itself, changed to images of so many channels and to a stem that shrinks them by `stem_stride`.

    Weights stay, of the first convolution those of the channels that are left. One for 3 channels at stride 4 stays as
    it is.

    Raises:
        InputError: no such stem stride, or more channels than the network has.
    """
    if stem_stride not in STEM_STRIDES:
        raise InputError(f"stem_stride must be one of {STEM_STRIDES}, got {stem_stride!r}")
    _shrink_less(network, _stem_layers(network), PUBLISHED // stem_stride)
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    if in_channels > first.in_channels:
        raise InputError(f"images must have at most {first.in_channels} channels for this network, got {in_channels}")
    if in_channels < first.in_channels:
        first.weight = nn.Parameter(first.weight[:, :in_channels].clone())
        first.in_channels = in_channels
    return network


def without_dropout(network: nn.Module) -> nn.Module:
    """The network itself, dropout and stochastic depth switched off: what is compared is trained by one recipe."""
    for module in network.modules():
        if isinstance(module, nn.Dropout | StochasticDepth):
            module.p = 0.0
    return network


def _stem_layers(network: nn.Module) -> list[str]:
    """The names of the first strided layers in the order in which they run, until an image has shrunk by 4."""
    order: list[str] = []

    def note(name: str) -> None:
        order.append(name)

    # A copy on torch's meta device, where shapes are worked out and no value is.
    traced = copy.deepcopy(network).eval().to("meta")
    for name, module in traced.named_modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and _stride(module) > 1:
            module.register_forward_hook(lambda *_, name=name: note(name))
    with torch.inference_mode():
        traced(torch.zeros(1, 3, _SIZE, _SIZE, device="meta"))
    stem, shrunk = [], 1
    for name in order:
        if shrunk >= PUBLISHED:
            break
        stem.append(name)
        shrunk *= _stride(network.get_submodule(name))
    return stem


def _shrink_less(network: nn.Module, stem: Sequence[str], factor: int) -> None:
    """Has the stem's layers, from the last one on, shrink an image by `factor` less."""
    for name in reversed(stem):
        layer = network.get_submodule(name)
        taken = min(factor, _stride(layer))
        if taken == 1:
            return
        factor //= taken
        if isinstance(layer, nn.Conv2d):
            layer.stride = (layer.stride[0] // taken, layer.stride[1] // taken)
        else:
            network.set_submodule(name, nn.Identity())


def _stride(layer: nn.Module) -> int:
    stride = layer.stride
    return int(stride[0] if isinstance(stride, tuple) else stride)  # type: ignore[arg-type]
