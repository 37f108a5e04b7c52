"""The units of Zhang 2017, table 4: the widths that the paper prints, counts by other programs, names."""

import pytest
import torch
from builders.layer_counts import fvcore_macs
from torch import nn
from torchvision.models.resnet import Bottleneck

from proxies.counting import count
from proxies.network import UnitModule
from proxies.references.networks import build_reference
from search_space import InputError
from search_space.baseline_units import OTHER_UNITS, macs_of, other_plan, unit_and_macs, width_for

IMAGE = (1, 3, 224, 224)
M = 10**6


@pytest.mark.parametrize(("unit", "width"), [("vgg-like", 50), ("resnet-like", 192), ("resnext-like", 192)])
def test_widths_at_38_mflops_are_those_the_paper_prints(unit: str, width: int) -> None:
    assert width_for(unit, 38 * M) == width  # Zhang 2017, sec. 4.2


@pytest.mark.parametrize("mflops", [13, 38, 140])
@pytest.mark.parametrize("unit", OTHER_UNITS)
def test_a_network_costs_what_fvcore_counts_and_nearly_what_was_asked_for(unit: str, mflops: int) -> None:
    network = build_reference(f"{unit}@{mflops}mflops")
    macs = macs_of(other_plan(unit, mflops * M), 224)
    assert macs == fvcore_macs(network, torch.zeros(IMAGE)) == count(network, IMAGE)[0]
    assert macs / M == pytest.approx(mflops, rel=0.17)


def test_no_width_comes_nearer() -> None:
    for unit, row in OTHER_UNITS.items():
        width = width_for(unit, 38 * M)
        off = abs(macs_of(other_plan(unit, 38 * M), 224) - 38 * M)
        for near in (width - row.step, width + row.step):
            macs = macs_of(other_plan(unit, _macs_at(unit, near)), 224)
            assert abs(macs - 38 * M) >= off


def _macs_at(unit: str, width: int) -> int:
    """The multiply-adds for which that width is found."""
    return next(macs for macs in range(20 * M, 60 * M, M // 4) if width_for(unit, macs) == width)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_resnet_like_unit_computes_what_torchvisions_bottleneck_does(stride: int) -> None:
    c_in, c_out = (64, 64) if stride == 1 else (32, 64)
    shortcut = (
        nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)) if stride == 2 else None
    )
    theirs = Bottleneck(c_in, c_out // 4, stride, shortcut).eval()
    ours = UnitModule(OTHER_UNITS["resnet-like"].units(c_in, c_out, stride)).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    images = torch.randn(2, c_in, 14, 14, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_a_name_says_unit_and_flops() -> None:
    assert unit_and_macs("vgg-like@38mflops") == ("vgg-like", 38 * M)
    for name in ("vgg@38mflops", "vgg-like", "vgg-like@"):
        with pytest.raises(InputError, match="at its FLOPs, as vgg-like@38mflops"):
            unit_and_macs(name)
    with pytest.raises(InputError, match="follows from FLOPs"):
        unit_and_macs("vgg-like@5ms")
    with pytest.raises(InputError, match=r"networks of 0\.1 MFLOPs must exist"):
        width_for("vgg-like", M // 10)
