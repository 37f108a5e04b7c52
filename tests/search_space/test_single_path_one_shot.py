"""The network that the authors of Single Path One-Shot found (Guo 2019; megvii-model/SinglePathOneShot, README).

It has 323 MFLOPs and 3.5 M parameters. Four stages of 4, 4, 8 and 4 blocks cannot be an architecture here, but each of
its blocks of stride 1 is a unit of ours. Those of stride 2, stem and tail are counted by hand: their stride-2 blocks
keep the width of the shortcut branch.
"""

from fractions import Fraction

import torch
from torch import nn

from proxies.network import UnitModule
from search_space import Architecture, Stage
from search_space.cost import unit_sums
from search_space.plan import Unit, stage_units

HALF = Fraction(1, 2)
FOUND = (2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)
XCEPTION = 3
"""What the numbers mean: depthwise convolutions of 3, 5 and 7, and the Xception block."""
DEPTHS, WIDTHS, STEM, HEAD = (4, 4, 8, 4), (64, 160, 320, 640), 16, 1024


def unit_of(choice: int, width: int) -> Unit:
    stage = Stage(2, width, split=HALF, kernel=(3, 5, 7, 3)[choice], xception=choice == XCEPTION)
    architecture = Architecture("v2", STEM, HEAD, tuple(Stage(1, each, split=HALF) for each in WIDTHS[:3]))
    return stage_units(architecture, stage, width, first_of_all=False)[1]


def stride_2_by_hand(choice: int, c_in: int, width: int, size: int) -> tuple[int, int]:
    """Multiply-adds and weights: a shortcut of c_in channels, a main branch of width / 2 and width - c_in out."""
    square, inner, pixels = (3, 5, 7, 3)[choice] ** 2, width // 2, (size // 2) ** 2
    weights = square * c_in + c_in * c_in
    norms = 2 * c_in
    macs = pixels * weights
    if choice == XCEPTION:
        main = 9 * c_in + c_in * inner + 9 * inner + inner * inner + 9 * inner + inner * (width - c_in)
        macs += pixels * main
        norms += c_in + 4 * inner + (width - c_in)
    else:
        main = c_in * inner + square * inner + inner * (width - c_in)
        macs += size**2 * c_in * inner + pixels * (square * inner + inner * (width - c_in))
        norms += 2 * inner + (width - c_in)
    return macs, weights + main + 2 * norms


def test_its_published_cost_is_that_of_our_units() -> None:
    size = 112
    macs, params = 27 * STEM * size**2, 27 * STEM + 2 * STEM
    choices, c_in = iter(FOUND), STEM
    for depth, width in zip(DEPTHS, WIDTHS, strict=True):
        for place in range(depth):
            choice = next(choices)
            if place == 0:
                counts = stride_2_by_hand(choice, c_in, width, size)
                size //= 2
            else:
                *counts, size_after = unit_sums(unit_of(choice, width), size)
                assert size_after == size
            macs, params = macs + counts[0], params + counts[1]
        c_in = width
    macs += size**2 * c_in * HEAD + HEAD * 1000
    params += c_in * HEAD + 2 * HEAD + HEAD * 1000
    assert round(macs / 1e6) == 323
    assert int(params / 1e5) == 35, "3.5 M, as they print it: 3.56"


class Block(nn.Module):
    """Their Xception block of stride 1 for `width` channels, from the paper's figure: torch's own modules alone."""

    def __init__(self, width: int) -> None:
        super().__init__()
        c, layers = width // 2, []
        for _ in range(3):
            layers += [nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False), nn.BatchNorm2d(c)]
            layers += [nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU()]
        self.main = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half of the channels as they are, then those of the main branch."""
        passed, worked = x.chunk(2, dim=1)
        return torch.cat((passed, self.main(worked)), dim=1)


def test_an_xception_unit_computes_what_their_block_does_but_for_the_shuffle_at_its_end() -> None:
    """Theirs splits by even and odd channels as it begins, ours shuffles as it ends: the same row of blocks."""
    theirs = Block(48).double().eval()
    ours = UnitModule(unit_of(XCEPTION, 48)).double().eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    ours.branches[1].load_state_dict(theirs.main.state_dict())
    x = torch.randn(2, 48, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(ours(x), nn.ChannelShuffle(2)(theirs(x)))
