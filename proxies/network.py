"""Plan -> torch module. What is inside a unit stands in `search_space.plan` alone; here is one module for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from proxies.pretrained import weights_of
from proxies.state_dict import load_by_name
from search_space.architecture import Architecture
from search_space.plan import Branch, Layer, Plan, Unit, plan_of


def _conv(layer: Layer) -> nn.Module:
    padding = layer.kernel // 2
    return nn.Conv2d(layer.c_in, layer.c_out, layer.kernel, layer.stride, padding, groups=layer.groups, bias=False)


def _global_pool(layer: Layer) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))


def _se(layer: Layer) -> nn.Module:
    module: nn.Module = SqueezeExcitation(layer.c_in, layer.squeeze, scale_activation=nn.Hardsigmoid)
    return module


LAYERS: dict[str, Callable[[Layer], nn.Module]] = {
    "conv": _conv,
    "batchnorm": lambda layer: nn.BatchNorm2d(layer.c_out),
    "relu": lambda layer: nn.ReLU(inplace=True),
    "hardswish": lambda layer: nn.Hardswish(inplace=True),
    "shuffle": lambda layer: nn.ChannelShuffle(layer.groups),
    "se": _se,
    "maxpool": lambda layer: nn.MaxPool2d(layer.kernel, layer.stride, layer.kernel // 2),
    "avgpool": lambda layer: nn.AvgPool2d(layer.kernel, layer.stride, layer.kernel // 2),
    "globalpool": _global_pool,
    "linear": lambda layer: nn.Linear(layer.c_in, layer.c_out),
}
"""One row for each kind of layer a plan can hold."""


class UnitModule(nn.Module):
    """A unit of a plan: (n, c_in, h, w) to (n, c_out, h / stride, w / stride)."""

    def __init__(self, unit: Unit) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_chain(branch.layers) for branch in unit.branches)
        self.tail = _chain(unit.tail)
        self._ends = [(branch.start, branch.stop) for branch in unit.branches]
        self._residual = [branch.residual for branch in unit.branches]
        self._takes_all = [_takes_all(unit, branch) for branch in unit.branches]
        self._adds = unit.join == "add"

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output for `x`."""
        outputs = []
        for position, branch in enumerate(self.branches):
            start, stop = self._ends[position]
            part = x if self._takes_all[position] else x[:, start:stop]
            # Out of place, since an in-place activation may have written over what the branch was given.
            outputs.append(branch(part) + part if self._residual[position] else branch(part))
        if len(outputs) == 1:
            joined = outputs[0]
        else:
            joined = outputs[0] + outputs[1] if self._adds else torch.cat(outputs, dim=1)
        result: Tensor = self.tail(joined)
        return result


class PlannedNetwork(nn.Sequential):
    """The units of a plan in order; `plan` is that plan. Writers of files read it instead of tracing the network."""

    plan: Plan | None = None


def build(
    architecture: Architecture,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem_stride: int = 4,
    *,
    seed: int = 0,
    pretrained: Mapping[str, Tensor] | Path | str | None = None,
) -> PlannedNetwork:
    """The network of `architecture`: (n, in_channels, h, w) to (n, num_classes), initialised from `seed`.

    For `NO_CLASSIFIER` it ends with the last stage; `proxies.backbone` gives the maps of all of them.
    Its submodules bear the names of the plan's units: stem, stage2.0, ..., head, classifier. `pretrained` are weights
    for just this network, taken by name: a state dict, torchvision's of the same preset or one of our own, a checkpoint
    that holds one, or the file of either.

    Raises:
        InputError: a task that no network can be planned for, or weights that cannot be read or are of another network.
    """
    network = network_of(plan_of(architecture, num_classes, in_channels, stem_stride), seed)
    if pretrained is not None:
        load_by_name(network, weights_of(pretrained))
    return network


def network_of(plan: Plan, seed: int = 0) -> PlannedNetwork:
    """The network of a plan, initialised from `seed`; submodules bear the names of the plan's units."""
    network = PlannedNetwork()
    network.plan = plan
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, unit in plan.units():
            stage, _, position = name.partition(".")
            if not position:
                network.add_module(name, UnitModule(unit))
            else:
                if position == "0":
                    network.add_module(stage, nn.Sequential())
                network.get_submodule(stage).add_module(position, UnitModule(unit))
    return network


def _chain(layers: tuple[Layer, ...]) -> nn.Sequential:
    return nn.Sequential(*(LAYERS[layer.kind](layer) for layer in layers))


def _takes_all(unit: Unit, branch: Branch) -> bool:
    return (branch.start, branch.stop) == (0, unit.c_in)
