"""Counts what the layers of a network compute, whatever made it: no plan is asked."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from proxies.latency.runtimes import Shape


def count(network: nn.Module, shape: Shape) -> tuple[int, int]:
    """The multiply-adds of convolution and linear layers on one input of `shape`, `(n, c, h, w)`, and the parameters.

    1 FLOP = 1 multiply-add; biases, batch norms and activations count 0. A layer that runs twice counts twice; a
    parameter that two layers share counts once. A copy of the network runs, in evaluation mode, on torch's meta device:
    shapes are worked out, no value is.
    """
    macs = 0

    def add(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        weight: Tensor = layer.weight  # type: ignore[assignment]
        # One output element sums over all of the weight but its first dimension, which a grouped layer's has divided.
        macs += output.numel() * weight[0].numel()

    copied = copy.deepcopy(network).eval().to("meta")
    for layer in copied.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(add)
    with torch.inference_mode():
        copied(torch.zeros(shape, device="meta"))
    return macs, sum(parameter.numel() for parameter in network.parameters())
