"""Multiply-adds and memory traffic as others count them: fvcore, and hooks on a network that runs."""

import warnings
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    # fvcore compiles a loss of its own with torch.jit.script when it is imported; torch deprecates that.
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
    from fvcore.nn import FlopCountAnalysis


def fvcore_macs(network: nn.Module, image: Tensor) -> int:
    """Multiply-adds of convolutions and linear layers as fvcore counts them."""
    analysis = FlopCountAnalysis(network.eval(), image)
    counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    assert set(counts) <= {"conv", "linear", "batch_norm", "adaptive_avg_pool2d"}
    return int(counts["conv"] + counts["linear"])


def hooked_layers(network: nn.Module, image: Tensor) -> dict[str, tuple[int, int]]:
    """Of every convolution and linear layer: multiply-adds, and elements read and written (input, weight, output).

    Each output element is the sum of as many products as a weight row has elements.
    """
    found: dict[str, tuple[int, int]] = {}

    def hook(name: str) -> Any:
        def count(layer: Any, inputs: tuple[Tensor], output: Tensor) -> None:
            moved = inputs[0].numel() + layer.weight.numel() + output.numel()
            found[name] = output.numel() * prod(layer.weight.shape[1:]), moved

        return count

    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(hook(name)) for name, layer in layers]
    with torch.inference_mode():
        network.eval()(image)
    for handle in handles:
        handle.remove()
    return found
