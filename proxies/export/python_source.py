"""Plan -> one stand-alone Python file that builds the network in PyTorch, for whoever does not have this project.

What is inside a unit is read from the plan; here is one line of Python for each kind of layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER, Layer, Plan, Unit, plan_of


def _conv(layer: Layer) -> str:
    options = [f"kernel={layer.kernel}"] if layer.kernel > 1 else []
    options += [f"stride={layer.stride}"] if layer.stride > 1 else []
    if layer.is_depthwise:
        return f"depthwise({', '.join([str(layer.c_in), *options])})"
    options += [f"groups={layer.groups}"] if layer.groups > 1 else []
    return f"convolution({', '.join([str(layer.c_in), str(layer.c_out), *options])})"


def _pool(layer: Layer, name: str) -> str:
    return f"nn.{name}({layer.kernel}, {layer.stride}, {layer.kernel // 2})"


LINES: dict[str, Callable[[Layer], str]] = {
    "conv": _conv,
    "batchnorm": lambda layer: f"nn.BatchNorm2d({layer.c_out})",
    "relu": lambda layer: "nn.ReLU()",
    "hardswish": lambda layer: "nn.Hardswish()",
    "shuffle": lambda layer: f"nn.ChannelShuffle({layer.groups})",
    "se": lambda layer: f"SqueezeExcitation({layer.c_in}, {layer.squeeze})",
    "maxpool": lambda layer: _pool(layer, "MaxPool2d"),
    "avgpool": lambda layer: _pool(layer, "AvgPool2d"),
    "globalpool": lambda layer: "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))",
    "linear": lambda layer: f"nn.Linear({layer.c_in}, {layer.c_out})",
}
"""One row for each kind of layer a plan can hold: the Python expression of its module."""


def source_of(
    architecture: Architecture,
    resolution: int = 224,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem_stride: int = 4,
) -> str:
    """The text of a Python file that needs torch alone, and whose `build()` gives the architecture's network.

    Its modules bear the names of `proxies.network.build`'s, so that the same state dict fits. `resolution`, in pixels,
    is what the costs in its first lines hold at.

    Raises:
        InputError: a task that no network can be planned for.
    """
    if num_classes == NO_CLASSIFIER:
        raise InputError("a file of source is a classifier's, and num_classes = 0 means a backbone: give 1 or more")
    plan = plan_of(architecture, num_classes, in_channels, stem_stride)
    cost = cost_of(architecture.without_resolution(), resolution, num_classes, in_channels, stem_stride)
    head = _HEAD.format(
        name=architecture.short_name,
        paper=_PAPERS[architecture.unit],
        mflops=f"{cost.macs / 1e6:.1f}",
        params=f"{cost.params:,}",
        resolution=resolution,
        classes=num_classes,
        channels=in_channels,
    )
    squeezes = any(layer.kind == "se" for _, layer in plan.layers())
    parts = [head, _CONVOLUTIONS, *([_SQUEEZE_EXCITATION] if squeezes else []), _UNIT, *_functions(plan), _build(plan)]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def _functions(plan: Plan) -> Iterator[str]:
    """A function for each unit; a stage's units after the first are alike."""
    yield _function("stem", plan.stem)
    for number, units in enumerate(plan.stages, start=2):
        yield _function(f"stage{number}_first", units[0])
        if len(units) > 1:
            yield _function(f"stage{number}_other", units[1])
    for name, unit in (("head", plan.head), ("classifier", plan.classifier)):
        if unit is not None:
            yield _function(name, unit)


def _function(name: str, unit: Unit) -> str:
    lines = [f"def {name}() -> nn.Module:", "    return Unit(", "        branches=["]
    for branch in unit.branches:
        lines += [*_listed(branch.layers, "            ")]
    channels = ", ".join(f"({branch.start}, {branch.stop})" for branch in unit.branches)
    lines += ["        ],", f"        channels=[{channels}],"]
    lines += [f'        join="{unit.join}",'] if len(unit.branches) > 1 else []
    lines += [f"        residual={number}," for number, branch in enumerate(unit.branches) if branch.residual]
    lines += [f"        tail=[{', '.join(map(_line, unit.tail))}],"] if unit.tail else []
    return "\n".join([*lines, "    )"])


def _listed(layers: Iterable[Layer], indent: str) -> Iterator[str]:
    lines = [f"{indent}    {_line(layer)}," for layer in layers]
    yield from [f"{indent}[", *lines, f"{indent}],"] if lines else [f"{indent}[],"]


def _line(layer: Layer) -> str:
    return LINES[layer.kind](layer)


def _build(plan: Plan) -> str:
    lines = ["        stem=stem(),"]
    for number, units in enumerate(plan.stages, start=2):
        others = f", *(stage{number}_other() for _ in range({len(units) - 1}))" if len(units) > 1 else ""
        lines.append(f"        stage{number}=nn.Sequential(stage{number}_first(){others}),")
    lines += ["        head=head(),"] if plan.head is not None else []
    return _BUILD.format(units="\n".join([*lines, "        classifier=classifier(),"]))


_PAPERS = {
    "v1": "ShuffleNet V1 units (Zhang et al. 2017, arXiv 1707.01083, fig. 2)",
    "v2": "ShuffleNet V2 units (Ma et al. 2018, arXiv 1807.11164, fig. 3)",
}
_HEAD = '''
"""{name}: an image classifier of {paper}. Needs PyTorch alone.

{mflops} MFLOPs (multiply-adds of convolution and linear layers) and {params} parameters, for {channels} x {resolution}
x {resolution} pixels and {classes} classes.

    network = build()
    network.load_state_dict(safetensors.torch.load_file("weights.safetensors"))
    logits = network.eval()(images)  # (n, {channels}, height, width) to (n, {classes})
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
'''
_CONVOLUTIONS = """
def convolution(c_in: int, c_out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Module:
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)


def depthwise(channels: int, kernel: int, stride: int = 1) -> nn.Module:
    return convolution(channels, channels, kernel, stride, groups=channels)
"""
_SQUEEZE_EXCITATION = '''
class SqueezeExcitation(nn.Module):
    """Scales each channel by what all channels' means say of it (Hu et al. 2018)."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeeze, 1), nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.fc2(torch.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * nn.functional.hardsigmoid(scale)
'''
_UNIT = '''
class Unit(nn.Module):
    """Branches, each over the channels [start, stop) of one input, joined; then the tail.

    The branch of the number `residual` adds what it is given to what it makes of it.
    """

    def __init__(self, branches, channels, join="concat", residual=None, tail=()) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*layers) for layers in branches)
        self.tail = nn.Sequential(*tail)
        self.channels, self.join, self.residual = channels, join, residual

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for number, branch in enumerate(self.branches):
            start, stop = self.channels[number]
            part = x[:, start:stop]
            outputs.append(branch(part) + part if number == self.residual else branch(part))
        return self.tail(sum(outputs) if self.join == "add" else torch.cat(outputs, dim=1))
'''
_BUILD = '''
def build() -> nn.Sequential:
    """The network, with random weights."""
    units = OrderedDict(
{units}
    )
    return nn.Sequential(units)
'''
