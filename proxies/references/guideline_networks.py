"""The networks of the papers' speed experiments: Ma 2018, tables 1-4, and Zhang 2017, table 8.

Those of Ma 2018 are ten equal blocks on a 56x56 input. What the paper leaves open is chosen here:

- Batch normalisation does not appear: in inference it is folded into the convolutions, which have a bias.
- Tables 1-3 have no ReLU: they are about convolutions, and the paper's formulas count nothing else.
- Table 2: channels that do not divide into the groups are raised to the next multiple (180 and 8 groups become 184).
- Table 3: the paper adjusts the channels so that the FLOPs stay those of one fragment. The n convolutions of a block,
  in series or in parallel, are all equally wide, in and out: c / sqrt(n), rounded down as the channels of tables 1 and
  2 are, which costs at most 1.2 % of the FLOPs. Parallel ones read the same input, and their outputs are added: the
  paper's text does not say how they are joined.
- Table 4: c are the channels that come into a bottleneck and leave it; inside there are c / 4, as in ResNet. With c
  inside, the ARM core of the paper would have to be several times as fast as it is in its table 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import nn

from proxies.references.networks import build_reference

BLOCKS = 10
RESOLUTION = 56
"""Height and width of the input of Ma 2018, tables 1-4."""
_REDUCTION = 4


class _Added(nn.Module):
    """The sum of what its branches make of one input."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return total


def channel_ratio_network(c1: int, c2: int, *, seed: int = 0) -> nn.Module:
    """A network of table 1, for `(n, c1, 56, 56)`: blocks of two 1x1 convolutions, c1 to c2 and c2 to c1."""
    pairs = ((nn.Conv2d(c1, c2, 1), nn.Conv2d(c2, c1, 1)) for _ in range(BLOCKS))
    return _drawn(nn.Sequential(*(layer for pair in pairs for layer in pair)), seed)


def grouped_network(c: int, *, groups: int, seed: int = 0) -> nn.Module:
    """A network of table 2, for `(n, c, 56, 56)`: 1x1 convolutions of c channels in groups, c raised to divide."""
    width = math.ceil(c / groups) * groups
    return _drawn(nn.Sequential(*(nn.Conv2d(width, width, 1, groups=groups) for _ in range(BLOCKS))), seed)


def fragmented_network(c: int, *, fragments: int, parallel: int, seed: int = 0) -> nn.Module:
    """A network of table 3, for `(n, c / sqrt(fragments), 56, 56)`: blocks of so many 1x1 convolutions."""
    width = math.isqrt(c * c // fragments)
    join = _Added if parallel else _in_series
    blocks = (join([nn.Conv2d(width, width, 1) for _ in range(fragments)]) for _ in range(BLOCKS))
    return _drawn(nn.Sequential(*blocks), seed)


def bottleneck_network(c: int, *, relu: int, shortcut: int, seed: int = 0) -> nn.Module:
    """A network of table 4, for `(n, c, 56, 56)`: ResNet's bottlenecks, with ReLU and shortcut or without."""
    return _drawn(nn.Sequential(*(_bottleneck(c, bool(relu), bool(shortcut)) for _ in range(BLOCKS))), seed)


BUILDERS: Mapping[int, Callable[..., nn.Module]] = MappingProxyType(
    {1: channel_ratio_network, 2: grouped_network, 3: fragmented_network, 4: bottleneck_network}
)
"""Number of a table of Ma 2018 -> what builds its networks from channels, options and a seed."""

REFERENCE_OF: Mapping[str, str] = MappingProxyType(
    {
        "ShuffleNet 0.5x (g=3)": "v1-0.5x-g3",
        "ShuffleNet 1x (g=3)": "v1-1.0x-g3",
        "ShuffleNet 2x (g=3)": "v1-2.0x-g3",
        "AlexNet": "alexnet",
        "1.0 MobileNet-224": "mobilenet-v1-1.0",
    }
)
"""Name in Zhang 2017, table 8 -> name of the reference network."""


def speed_table_network(name: str, *, seed: int = 0) -> nn.Module:
    """A network of Zhang 2017, table 8, for `(n, 3, h, w)`, untrained, with 1000 classes.

    AlexNet is torchvision's, the one-column version: 714 MFLOPs at 224 pixels, where the paper counts 720.
    """
    return build_reference(REFERENCE_OF[name], seed=seed)


def memory_access_elements(network: nn.Module) -> int:
    """What the convolutions of a network of tables 1-4 read and write, in elements: Ma 2018, sec. 2, G1 and G2.

    Each reads its input and its weights and writes its output. Biases, additions and ReLU are not counted.
    """
    pixels = RESOLUTION * RESOLUTION
    return sum(pixels * (conv.in_channels + conv.out_channels) + conv.weight.numel() for conv in _convs(network))


def block_channels(network: nn.Module) -> tuple[int, ...]:
    """The channels into and out of the network's first convolution; once where they are the same."""
    first = _convs(network)[0]
    widths = first.in_channels, first.out_channels
    return widths[:1] if widths[0] == widths[1] else widths


def _in_series(layers: Sequence[nn.Module]) -> nn.Module:
    return nn.Sequential(*layers)


def _bottleneck(c: int, relu: bool, shortcut: bool) -> nn.Module:
    inside = c // _REDUCTION
    convs = (nn.Conv2d(c, inside, 1), nn.Conv2d(inside, inside, 3, padding=1), nn.Conv2d(inside, c, 1))
    first, second, third = convs
    branch = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third) if relu else nn.Sequential(*convs)
    joined = _Added([nn.Identity(), branch]) if shortcut else branch
    return nn.Sequential(joined, nn.ReLU()) if relu else joined


def _drawn(network: nn.Module, seed: int) -> nn.Module:
    """The network with weights drawn from the seed, so that its outputs neither vanish nor overflow."""
    draws = torch.Generator().manual_seed(seed)
    for conv in _convs(network):
        nn.init.normal_(conv.weight, std=conv.weight[0].numel() ** -0.5, generator=draws)
        assert conv.bias is not None
        nn.init.normal_(conv.bias, std=0.1, generator=draws)
    return network


def _convs(network: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
