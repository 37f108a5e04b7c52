import pickle
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from builders.wide_space import drawn_wide
from torch import Tensor, nn

from proxies.network import build
from proxies.training.cpu import layers as fast_ops
from proxies.training.cpu.depthwise import DepthwiseConv
from proxies.training.cpu.grouped import grouped_pointwise
from search_space import Architecture, Budget, SearchSpace, Stage
from search_space.choosers import RandomChooser

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}


def drawn(seed: int) -> Architecture:
    return SearchSpace.default(Budget.parse("20mflops")).suggest(RandomChooser(seed))


def small(unit: str, split: str = "1/2", groups: int = 1, **options: bool) -> Architecture:
    ratio = None if unit == "v1" else Fraction(split)
    stages = tuple(Stage(2, width, groups, ratio) for width in (48, 96, 144))
    return Architecture(unit, 24, 0, stages, **options)  # type: ignore[arg-type]


def images(count: int = 8, size: int = 12, dtype: torch.dtype = torch.float64) -> Tensor:
    values = torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1), dtype=dtype)
    return values.contiguous(memory_format=torch.channels_last)


def trained(architecture: Architecture, dtype: torch.dtype, *, fast: bool) -> tuple[nn.Module, Tensor, Tensor]:
    """A network after forward and backward passes, its output and the gradient at its input."""
    network = build(architecture, 5, 3, 1).to(dtype, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    if fast:
        fast_ops.use_fast_layers(network)
    x = images(dtype=dtype).requires_grad_()
    weights = torch.randn(8, 5, generator=torch.Generator().manual_seed(2), dtype=dtype)
    output = network(x)
    (output * weights).sum().backward()
    assert x.grad is not None
    return network, output.detach(), x.grad


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    # Of a layer whose channels' means a batch norm takes away the bias's gradient is 0 up to rounding: so the 1.
    difference = float((found - expected).double().norm())
    assert difference <= tolerance * (float(expected.double().norm()) + 1)


def assert_trains_as_plain(architecture: Architecture, dtype: torch.dtype) -> None:
    network, output, at_input = trained(architecture, dtype, fast=True)
    plain, expected, expected_at_input = trained(architecture, dtype, fast=False)
    tolerance = TOLERANCES[dtype]
    assert_near(output, expected, tolerance)
    assert_near(at_input, expected_at_input, tolerance)
    for found, wanted in zip(network.parameters(), plain.parameters(), strict=True):
        assert found.grad is not None
        assert wanted.grad is not None
        assert_near(found.grad, wanted.grad, tolerance)
    for found, wanted in zip(network.buffers(), plain.buffers(), strict=True):
        assert_near(found, wanted, tolerance)


@pytest.mark.parametrize("seed", range(8))
def test_a_drawn_network_trains_as_of_plain_modules(seed: int) -> None:
    assert_trains_as_plain(drawn(seed), torch.float64)


@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_network_of_a_space_with_every_choice_open_trains_as_of_plain_modules(seed: int) -> None:
    assert_trains_as_plain(drawn_wide(1, seed)[0], torch.float64)


@pytest.mark.parametrize("split", ["1/2", "1/3", "2/3", "1/4", "3/4"])
def test_every_split_trains_as_of_plain_modules(split: str) -> None:
    assert_trains_as_plain(small("v2", split), torch.float64)


@pytest.mark.parametrize("options", [{"residual": True, "pre_depthwise": True}, {"shuffle": False}], ids=str)
def test_every_option_trains_as_of_plain_modules(options: dict[str, bool]) -> None:
    assert_trains_as_plain(small("v2", **options), torch.float64)


@pytest.mark.parametrize("groups", [2, 3, 4])
@pytest.mark.parametrize("unit", ["v1", "v2"])
def test_groups_train_as_of_plain_modules(unit: str, groups: int) -> None:
    assert_trains_as_plain(small(unit, groups=groups), torch.float64)


def test_a_v1_network_without_shuffle_trains_as_of_plain_modules() -> None:
    assert_trains_as_plain(replace(small("v1", groups=2), shuffle=False), torch.float64)


@pytest.mark.parametrize("architecture", [small("v1", groups=3), small("v2")], ids=["v1", "v2"])
def test_in_single_precision_the_gradients_agree_to_rounding(architecture: Architecture) -> None:
    assert_trains_as_plain(architecture, torch.float32)


@pytest.mark.parametrize("widths", [(6, 6), (4, 8), (3, 6, 3)])
def test_interleaving_is_concatenation_and_shuffle(widths: tuple[int, ...]) -> None:
    parts = [torch.randn(2, width, 5, 4).to(memory_format=torch.channels_last) for width in widths]
    groups = 12 // min(widths) if min(widths) != 6 else 2
    expected = torch.channel_shuffle(torch.cat(parts, 1), groups)
    assert torch.equal(fast_ops.interleave(parts, groups), expected)


def test_the_gradients_of_a_join_lie_in_channels_last_order() -> None:
    for join in (fast_ops.concatenate, lambda parts: fast_ops.interleave(parts, 2)):
        parts = [torch.randn(2, 6, 5, 4).to(memory_format=torch.channels_last).requires_grad_() for _ in range(2)]
        joined = join(parts)
        assert joined.is_contiguous(memory_format=torch.channels_last)
        for gradient in torch.autograd.grad(joined, parts, torch.randn_like(joined)):
            assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_a_network_trains_fast_on_channels_last_float_images_alone() -> None:
    module = nn.Identity().train()
    image = images()
    assert fast_ops.applies(module, image)
    assert not fast_ops.applies(nn.Identity().eval(), image)
    assert not fast_ops.applies(module, image.contiguous())
    assert not fast_ops.applies(module, image.bfloat16())
    with torch.no_grad():
        assert not fast_ops.applies(module, image)
    with torch.autocast("cpu", torch.bfloat16):
        assert not fast_ops.applies(module, image)


def test_undone_a_network_is_of_plain_modules_again_with_the_same_parameters() -> None:
    network, plain = build(small("v2", groups=2), 5), build(small("v2", groups=2), 5)
    parameters = list(network.parameters())
    fast_ops.use_fast_layers(network)
    assert any(type(module) is fast_ops.FastUnit for module in network.modules())
    assert pickle.loads(pickle.dumps(network)).state_dict().keys() == plain.state_dict().keys()
    fast_ops.undo_fast_layers(network)
    assert [type(module) for module in network.modules()] == [type(module) for module in plain.modules()]
    assert all(one is other for one, other in zip(parameters, network.parameters(), strict=True))


@pytest.mark.parametrize(("kernel", "size"), [(5, 8), (7, 8), (5, 2), (7, 4), (5, 4), (3, 2), (3, 1)])
def test_a_depthwise_convolution_of_a_wide_kernel_has_the_gradients_of_a_plain_one(kernel: int, size: int) -> None:
    conv = nn.Conv2d(12, 12, kernel, padding=kernel // 2, groups=12, bias=False)
    x = torch.randn(4, 12, size, size).contiguous(memory_format=torch.channels_last).requires_grad_()
    upstream = torch.randn(4, 12, size, size)
    expected = torch.autograd.grad(conv(x), (x, conv.weight), upstream)
    fast_ops.use_fast_layers(conv)
    assert type(conv) is DepthwiseConv
    for found, wanted in zip(torch.autograd.grad(conv(x), (x, conv.weight), upstream), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("c_in", "c_out", "groups"), [(96, 24, 3), (72, 192, 3), (48, 48, 2), (256, 256, 4)])
def test_a_grouped_1x1_convolution_has_the_gradients_of_a_plain_one(c_in: int, c_out: int, groups: int) -> None:
    conv = nn.Conv2d(c_in, c_out, 1, groups=groups, bias=False).double()
    whole = torch.randn(4, c_in + 5, 3, 2, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    whole.requires_grad_()
    upstream = torch.randn(4, c_out, 3, 2, dtype=torch.float64)
    expected = torch.autograd.grad(conv(whole[:, 5:]), (whole, conv.weight), upstream)
    fast_ops.use_fast_layers(conv)
    assert type(conv) is fast_ops.GroupedConv
    output = conv(whole[:, 5:])
    assert output.is_contiguous(memory_format=torch.channels_last)
    for found, wanted in zip(torch.autograd.grad(output, (whole, conv.weight), upstream), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_gradients_of_a_grouped_1x1_convolution_are_those_of_small_steps() -> None:
    x, weight = torch.randn(2, 64, 2, 1).double(), torch.randn(64, 32, 1, 1).double()
    arguments = x.contiguous(memory_format=torch.channels_last).requires_grad_(), weight.requires_grad_(), 2
    assert torch.autograd.gradcheck(grouped_pointwise, arguments)
