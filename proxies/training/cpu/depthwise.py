"""Depthwise convolutions that a CPU trains faster where they are wide, or wider than the image.

The gradient of the weights is made a few columns of the kernel at a time, of an image padded beforehand.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

COLUMNS = 3
"""With AVX-512 oneDNN's gradient of depthwise weights is fast for up to so many columns, whatever their rows."""

_backward = torch.ops.aten.convolution_backward


class DepthwiseConv(nn.Conv2d):
    """`nn.Conv2d` of one channel a group, stride 1 and no bias; only faster.

    That is so where a CPU trains it in float32, and its kernel is wider than the image, or with AVX-512 than `COLUMNS`:
    elsewhere it is `nn.Conv2d` itself.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of `x`, (n, c, h, w)."""
        is_plain = x.device.type != "cpu" or x.dtype != torch.float32
        kernel = self.weight.shape[-1]
        has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
        is_slow = (kernel > COLUMNS and has_avx512) or kernel > min(x.shape[2:])
        if is_plain or not is_slow or not self.training or not torch.is_grad_enabled():
            return super().forward(x)
        result: Tensor = _Depthwise.apply(x, self.weight)
        return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return nn.functional.conv2d(x, weight, None, 1, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        x, weight = ctx.saved_tensors
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = _gradients(gradient, x, weight, weight.shape[-1] // 2, (True, False))[0]
        return of_x, _of_weight(gradient, x, weight)


def _of_weight(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the weights, a few of the kernel's columns at a time."""
    channels, _, kernel, _ = weight.shape
    n, _, height, width = x.shape
    edge = kernel // 2
    shape = n, channels, height + 2 * edge, width + 2 * edge
    # Padded beforehand, since an image lower than the kernel takes the slow way too.
    padded = torch.empty(shape, memory_format=torch.channels_last)
    padded.zero_()[..., edge : edge + height, edge : edge + width] = x
    parts = []
    for start in range(0, kernel, COLUMNS):
        columns = min(COLUMNS, kernel - start)
        part = padded[..., start : start + width + columns - 1].contiguous(memory_format=torch.channels_last)
        like = weight.new_empty(channels, 1, kernel, columns)
        parts.append(_gradients(gradient, part, like, 0, (False, True))[1])
    return torch.cat(parts, dim=-1)


def _gradients(
    gradient: Tensor, x: Tensor, weight: Tensor, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """The gradients of input and weights, those that are wanted."""
    of_x, of_weight, _ = _backward(
        gradient, x, weight, None, (1, 1), (padding, padding), (1, 1), False, (0, 0), len(weight), (*wanted, False)
    )
    return of_x, of_weight
