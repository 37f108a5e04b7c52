"""Grouped 1x1 convolutions as one matrix product with a block-diagonal weight: the same function, for training on CUDA.

cuDNN's grouped kernels run far from the memory's bandwidth. With bf16 values the product of the whole matrix, zeros
included, is still bound by reading and writing the activations. On a CPU the zeros cost more than they save.
"""

from __future__ import annotations

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def dense_weight(weight: Tensor, groups: int) -> Tensor:
    """The matrix `(c_out, c_in)` that a grouped 1x1 weight `(c_out, c_in / groups, 1, 1)` stands for.

    Block g of the diagonal is group g's weight; all else is 0, and no gradient flows back from there.
    """
    c_out, c_group = weight.shape[:2]
    blocks = weight.reshape(groups, c_out // groups, c_group)
    # Zeros and one copy: with a mask to multiply by, a NaN would spread to the other groups.
    return torch.diag_embed(blocks.movedim(0, 2), dim1=0, dim2=2).reshape(c_out, groups * c_group)


class BlockDiagonalConv(nn.Conv2d):
    """A grouped 1x1 convolution of stride 1, `(n, c_in, h, w)` to `(n, c_out, h, w)`, as one matrix product.

    Parameters, their names and their initialisation are `nn.Conv2d`'s. An input in channels_last order, or a slice of
    such a one's channels, gives an output in that order; one in any other order is convolved as `nn.Conv2d` would.
    """

    def __init__(
        self, c_in: int, c_out: int, *, groups: int, bias: bool = False, device: torch.device | str | None = None
    ) -> None:
        super().__init__(c_in, c_out, 1, groups=groups, bias=bias, device=device)

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of `input`."""
        if input.stride(1) != 1:
            return super().forward(input)
        count, _, height, width = input.shape
        # For a slice of channels this is a view as well, of rows further apart: nothing is copied.
        rows = input.permute(0, 2, 3, 1).reshape(-1, self.in_channels)
        product = F.linear(rows, dense_weight(self.weight, self.groups), self.bias)
        return product.view(count, height, width, self.out_channels).permute(0, 3, 1, 2)


def use_block_diagonal(network: Network) -> Network:
    """`network` itself, its grouped 1x1 convolutions of stride 1 replaced by `BlockDiagonalConv`.

    Parameters stay the same objects, so an optimizer may be made before or after. Call `undo_block_diagonal` before the
    network is exported, or runs on a CPU.
    """
    for parent, name, conv in _convolutions(network):
        if _is_grouped_pointwise(conv):
            block = BlockDiagonalConv(
                conv.in_channels, conv.out_channels, groups=conv.groups, bias=conv.bias is not None, device="meta"
            )
            _replace(parent, name, conv, block)
    return network


def undo_block_diagonal(network: Network) -> Network:
    """`network` itself, every `BlockDiagonalConv` replaced by the `nn.Conv2d` of the same parameters."""
    for parent, name, block in _convolutions(network):
        if isinstance(block, BlockDiagonalConv):
            c_in, c_out, has_bias = block.in_channels, block.out_channels, block.bias is not None
            conv = nn.Conv2d(c_in, c_out, 1, groups=block.groups, bias=has_bias, device="meta")
            _replace(parent, name, block, conv)
    return network


def _convolutions(network: nn.Module) -> list[tuple[nn.Module, str, nn.Conv2d]]:
    """Every convolution below the network, with the module that holds it and its name there."""
    return [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Conv2d)
    ]


def _is_grouped_pointwise(conv: nn.Conv2d) -> bool:
    pointwise = conv.kernel_size == (1, 1) and conv.stride == (1, 1) and conv.padding == (0, 0)
    return type(conv) is nn.Conv2d and pointwise and conv.groups > 1


def _replace(parent: nn.Module, name: str, old: nn.Conv2d, new: nn.Conv2d) -> None:
    """Puts `new`, with the parameters and the mode of `old`, where `old` was."""
    new.weight, new.bias = old.weight, old.bias
    setattr(parent, name, new.train(old.training))
