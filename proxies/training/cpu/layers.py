"""Faster training on a CPU: the same functions as torch's modules, their gradients kept in channels_last order.

torch's gradients of a shuffle, of a concatenation and of a mean come in other orders, and every layer before them then
reads with a stride, which is slow. Here is one copy instead, where `applies` says so. Every other call
is the plain module's. A network is built of plain modules, which exporters know by their classes: `use_fast_layers`
swaps these while it is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from proxies.network import UnitModule
from proxies.training.cpu.depthwise import DepthwiseConv
from proxies.training.cpu.grouped import NARROWEST_INPUT, grouped_pointwise


def use_fast_layers(network: nn.Module) -> None:
    """Exchanges modules for ones that compute the same, faster where a CPU trains them; parameters stay."""
    for module in network.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = _fast_convolution(module)
        elif _is_as_ours(module):
            module.__class__ = FAST.get(type(module), type(module))


def undo_fast_layers(network: nn.Module) -> None:
    """Puts plain modules back, as exporters want them."""
    plain = {fast: plain for plain, fast in FAST.items()}
    for module in network.modules():
        is_convolution = isinstance(module, PointwiseConv | GroupedConv | DepthwiseConv)
        module.__class__ = nn.Conv2d if is_convolution else plain.get(type(module), type(module))


def applies(module: nn.Module, x: Tensor) -> bool:
    """Whether `module` trains on `x` as a CPU can do faster: float values in channels_last order, without autocast."""
    return (
        module.training
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and x.dim() == 4
        and x.stride(1) == 1
        and x.shape[1] > 1
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class Shuffle(nn.ChannelShuffle):
    """`nn.ChannelShuffle`, its gradient in channels_last order."""

    def forward(self, input: Tensor) -> Tensor:
        """The channels of `input`, shuffled."""
        if applies(self, input):
            return interleave([input], self.groups)
        shuffled: Tensor = super().forward(input)
        return shuffled


class GlobalPool(nn.AdaptiveAvgPool2d):
    """The mean over the pixels, (n, c, h, w) to (n, c, 1, 1), its gradient in channels_last order."""

    def forward(self, input: Tensor) -> Tensor:
        """The means of `input`."""
        if applies(self, input):
            return _channels_last(input).flatten(1, 2).mean(1)[:, :, None, None]
        return super().forward(input)


class Excitation(SqueezeExcitation):  # type: ignore[misc]
    """`torchvision.ops.SqueezeExcitation` with a hard sigmoid, its gradient in channels_last order."""

    def forward(self, input: Tensor) -> Tensor:
        """The channels of `input`, each scaled by what all of them say."""
        if not applies(self, input):
            scaled: Tensor = super().forward(input)
            return scaled
        pixels = _channels_last(input).flatten(1, 2)
        squeezed = F.relu(F.linear(pixels.mean(1), self.fc1.weight.flatten(1), self.fc1.bias))
        scale = F.hardsigmoid(F.linear(squeezed, self.fc2.weight.flatten(1), self.fc2.bias))
        return _channels_first((pixels * scale[:, None]).view(_channels_last(input).shape))


class PointwiseConv(nn.Conv2d):
    """A 1x1 convolution of stride 1 without groups and bias, as one matrix product in training."""

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of `input`."""
        if not applies(self, input):
            return super().forward(input)
        n, c_in, h, w = input.shape
        # For a slice of channels this is a view as well, of rows further apart: nothing is copied.
        rows = _channels_last(input).reshape(-1, c_in)
        return _channels_first(F.linear(rows, self.weight.view(-1, c_in)).view(n, h, w, -1))


class GroupedConv(nn.Conv2d):
    """A grouped 1x1 convolution of stride 1 without bias, no group narrow, as a product a group in training."""

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of `input`."""
        return grouped_pointwise(input, self.weight, self.groups) if applies(self, input) else super().forward(input)


class FastUnit(UnitModule):
    """A unit whose split is one operation, and whose concatenation and shuffle are one copy (Ma 2018, sec. 3)."""

    def forward(self, x: Tensor) -> Tensor:
        """The unit's output for `x`."""
        if not applies(self, x):
            return super().forward(x)
        outputs = []
        for branch, part, is_residual in zip(self.branches, self._parts(x), self._residual, strict=True):
            outputs.append(branch(part) + part if is_residual else branch(part))
        tail: nn.Module = self.tail
        if len(outputs) == 1:
            joined = outputs[0]
        elif self._adds:
            joined = outputs[0] + outputs[1]
        elif groups := self._interleaved_groups(outputs):
            joined, tail = interleave(outputs, groups), self.tail[1:]
        else:
            joined = concatenate(outputs)
        result: Tensor = tail(joined)
        return result

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        """The channels of `x` that each branch is given."""
        ends = [0, *(end for pair in self._ends for end in pair), x.shape[1]]
        if len(self._ends) > 1 and ends[::2] == ends[1::2]:
            # The gradient of one split is one concatenation; each slice's is zeros all around, to be added up.
            parts: Sequence[Tensor] = torch.split(x, [stop - start for start, stop in self._ends], dim=1)
            return parts
        pairs = zip(self._ends, self._takes_all, strict=True)
        return [x if takes_all else x[:, start:stop] for (start, stop), takes_all in pairs]

    def _interleaved_groups(self, outputs: Sequence[Tensor]) -> int:
        """The groups of a shuffle right after the concatenation of parts that are whole groups; 0 if there is none."""
        if not len(self.tail) or not isinstance(self.tail[0], nn.ChannelShuffle):
            return 0
        groups = self.tail[0].groups
        size = sum(output.shape[1] for output in outputs) // groups
        return 0 if any(output.shape[1] % size for output in outputs) else groups


FAST: Mapping[type[nn.Module], type[nn.Module]] = MappingProxyType(
    {
        UnitModule: FastUnit,
        nn.ChannelShuffle: Shuffle,
        nn.AdaptiveAvgPool2d: GlobalPool,
        SqueezeExcitation: Excitation,
    }
)
"""Plain module -> the one that does the same; convolutions are distinguished by their shapes."""


def _is_as_ours(module: nn.Module) -> bool:
    """Whether a module that other networks have too is what it is in a plan's network."""
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return module.output_size in (1, (1, 1))
    if isinstance(module, SqueezeExcitation):
        return type(module.activation) is nn.ReLU and type(module.scale_activation) is nn.Hardsigmoid
    return True


def _fast_convolution(conv: nn.Conv2d) -> type[nn.Conv2d]:
    if conv.bias is not None or conv.stride != (1, 1):
        return nn.Conv2d
    if conv.kernel_size == (1, 1) and conv.padding == (0, 0):
        if conv.groups == 1:
            return PointwiseConv
        return GroupedConv if conv.in_channels // conv.groups >= NARROWEST_INPUT else nn.Conv2d
    kernel = conv.kernel_size[0]
    is_depthwise = conv.groups == conv.in_channels == conv.out_channels and conv.padding == (kernel // 2, kernel // 2)
    return DepthwiseConv if is_depthwise else nn.Conv2d


def interleave(parts: Sequence[Tensor], groups: int) -> Tensor:
    """The parts concatenated along the channels and shuffled in `groups`, each part being whole groups, in one copy."""
    output: Tensor = _Interleave.apply(groups, *parts)
    return output


def concatenate(parts: Sequence[Tensor]) -> Tensor:
    """The parts concatenated along the channels; each one's gradient has memory of its own."""
    output: Tensor = _Concatenate.apply(*parts)
    return output


class _Interleave(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, groups: int, *parts: Tensor) -> Tensor:
        n, _, h, w = parts[0].shape
        size = sum(part.shape[1] for part in parts) // groups
        ctx.widths = [part.shape[1] // size for part in parts]
        joined = parts[0].new_empty(n, h, w, size, groups)
        for place, part in zip(torch.split(joined, ctx.widths, -1), parts, strict=True):
            place.copy_(_channels_last(part).reshape(n, h, w, -1, size).transpose(3, 4))
        return _channels_first(joined.flatten(3))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        n, _, h, w = gradient.shape
        joined = _channels_last(gradient).reshape(n, h, w, -1, sum(ctx.widths))
        places = torch.split(joined, ctx.widths, -1)
        return None, *(_channels_first(place.transpose(3, 4).contiguous().flatten(3)) for place in places)


class _Concatenate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.widths = [part.shape[1] for part in parts]
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        parts = torch.split(gradient, ctx.widths, 1)
        return tuple(part.contiguous(memory_format=torch.channels_last) for part in parts)


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)
