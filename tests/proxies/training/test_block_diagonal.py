import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from proxies.network import build
from proxies.training.block_diagonal import BlockDiagonalConv, dense_weight, undo_block_diagonal, use_block_diagonal
from search_space import PRESETS, Architecture

CHANNELS = [(2, 6, 10), (3, 12, 6), (4, 8, 20), (8, 16, 32), (8, 32, 8)]
"""Groups, channels in, channels out."""


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def channels_last(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return noise(*shape, seed=seed, dtype=dtype).contiguous(memory_format=torch.channels_last)


def pair(groups: int, c_in: int, c_out: int, bias: bool = False) -> tuple[nn.Conv2d, BlockDiagonalConv]:
    theirs = nn.Conv2d(c_in, c_out, 1, groups=groups, bias=bias).double()
    ours = BlockDiagonalConv(c_in, c_out, groups=groups, bias=bias).double()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def with_groups(name: str, *groups: int) -> Architecture:
    stages = zip(PRESETS[name].stages, groups, strict=True)
    return replace(PRESETS[name], stages=tuple(replace(stage, groups=count) for stage, count in stages))


# the weight


def test_the_dense_weight_of_two_groups_is_this_matrix() -> None:
    weight = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0], [11.0, 12.0]])
    expected = torch.tensor(
        [
            [1.0, 2.0, 0.0, 0.0],
            [3.0, 4.0, 0.0, 0.0],
            [5.0, 6.0, 0.0, 0.0],
            [0.0, 0.0, 7.0, 8.0],
            [0.0, 0.0, 9.0, 10.0],
            [0.0, 0.0, 11.0, 12.0],
        ]
    )
    assert torch.equal(dense_weight(weight.view(6, 2, 1, 1), 2), expected)


@pytest.mark.parametrize(("groups", "c_in", "c_out"), CHANNELS)
def test_the_dense_weight_is_torchs_block_diag_of_the_groups(groups: int, c_in: int, c_out: int) -> None:
    weight = noise(c_out, c_in // groups, 1, 1)
    blocks = weight.view(c_out, -1).chunk(groups)
    assert torch.equal(dense_weight(weight, groups), torch.block_diag(*blocks))


def test_the_gradient_of_the_weight_is_that_of_its_block_only() -> None:
    weight = torch.zeros(4, 1, 1, 1, requires_grad=True)
    dense_weight(weight, 2).backward(torch.tensor([[1.0, 50.0], [2.0, 60.0], [70.0, 3.0], [80.0, 4.0]]))
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == [1, 2, 3, 4]


def test_a_broken_group_leaves_the_others_whole() -> None:
    weight = torch.ones(4, 1, 1, 1)
    weight[0] = torch.nan
    assert dense_weight(weight, 2).isnan().sum() == 1


# one convolution


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("groups", "c_in", "c_out"), CHANNELS)
def test_outputs_and_gradients_are_those_of_torchs_convolution(groups: int, c_in: int, c_out: int, bias: bool) -> None:
    theirs, ours = pair(groups, c_in, c_out, bias)
    gradient = channels_last(3, c_out, 5, 4, seed=1)
    inputs = [channels_last(3, c_in, 5, 4).requires_grad_() for _ in range(2)]
    expected, found = theirs(inputs[0]), ours(inputs[1])
    torch.testing.assert_close(found, expected)
    expected.backward(gradient)
    found.backward(gradient)
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)


def test_channels_last_stays_channels_last_in_both_directions() -> None:
    _, ours = pair(2, 6, 10)
    images = channels_last(3, 6, 5, 4).requires_grad_()
    output = ours(images)
    assert output.is_contiguous(memory_format=torch.channels_last)
    output.backward(channels_last(3, 10, 5, 4))
    assert images.grad is not None
    assert images.grad.is_contiguous(memory_format=torch.channels_last)


def test_an_input_in_torchs_usual_order_gives_an_output_in_that_order() -> None:
    theirs, ours = pair(2, 6, 10)
    images = noise(3, 6, 5, 4)
    assert ours(images).is_contiguous()
    torch.testing.assert_close(ours(images), theirs(images))


def test_a_slice_of_channels_is_read_where_it_lies() -> None:
    theirs, ours = pair(2, 6, 10)
    part = channels_last(3, 11, 5, 4)[:, 5:]
    rows = part.permute(0, 2, 3, 1).reshape(-1, 6)
    assert rows.data_ptr() == part.data_ptr()
    torch.testing.assert_close(ours(part), theirs(part))


def test_the_initial_weights_and_their_names_are_those_of_torchs_convolution() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = nn.Conv2d(12, 6, 1, groups=3, bias=True).state_dict()
        torch.manual_seed(3)
        ours = BlockDiagonalConv(12, 6, groups=3, bias=True).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


# whole networks

GROUPED = {
    "v1 of 3 groups": PRESETS["v1-0.5x-g3"],
    "v1 of 8 groups": PRESETS["v1-0.5x-g8"],
    "v1 of 3 groups, 1x": PRESETS["v1-1.0x-g3"],
    "v1 of 8 groups, 1x": PRESETS["v1-1.0x-g8"],
    "v2 of 2, 4 and 3 groups": with_groups("v2-0.5x", 2, 4, 3),
}


@pytest.fixture(params=list(GROUPED))
def grouped(request: pytest.FixtureRequest) -> nn.Module:
    network = build(GROUPED[request.param], num_classes=5, stem_stride=2, seed=1)
    return network.double().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def kinds(network: nn.Module) -> list[type[nn.Module]]:
    return [type(module) for module in network.modules()]


def test_a_networks_outputs_gradients_and_statistics_are_unchanged(grouped: nn.Module) -> None:
    changed = use_block_diagonal(copy.deepcopy(grouped))
    images = channels_last(4, 3, 16, 16)
    labels = torch.tensor([0, 1, 2, 3])
    outputs = []
    for network in (grouped, changed):
        outputs.append(network(images))
        assert torch.isfinite(outputs[-1]).all()
        nn.functional.cross_entropy(outputs[-1], labels).backward()
    torch.testing.assert_close(outputs[1], outputs[0])
    for (name, mine), other in zip(changed.named_parameters(), grouped.parameters(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert other.grad.any(), name
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-6, atol=1e-9, msg=lambda text, name=name: name + text)
    for mine, other in zip(changed.buffers(), grouped.buffers(), strict=True):
        torch.testing.assert_close(mine, other)


def test_every_grouped_1x1_is_changed_and_nothing_else(grouped: nn.Module) -> None:
    def is_grouped_1x1(module: nn.Module) -> bool:
        return isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups > 1

    before = list(grouped.modules())
    use_block_diagonal(grouped)
    expected = [BlockDiagonalConv if is_grouped_1x1(module) else type(module) for module in before]
    assert kinds(grouped) == expected
    assert BlockDiagonalConv in expected


def test_parameters_stay_the_same_objects_under_the_same_names_there_and_back(grouped: nn.Module) -> None:
    before, state = dict(grouped.named_parameters()), grouped.state_dict()
    modules = kinds(grouped)
    for change in (use_block_diagonal, undo_block_diagonal):
        assert change(grouped) is grouped
        after = dict(grouped.named_parameters())
        assert list(after) == list(before)
        assert all(after[name] is before[name] for name in before)
        assert list(grouped.state_dict()) == list(state)
    assert kinds(grouped) == modules
    assert not any(parameter.is_meta for parameter in grouped.parameters())


def test_undone_in_eval_mode_it_computes_what_it_did_before(grouped: nn.Module) -> None:
    images = channels_last(2, 3, 16, 16)
    with torch.inference_mode():
        expected = grouped.eval()(images)
        found = undo_block_diagonal(use_block_diagonal(grouped))(images)
    assert torch.equal(found, expected)


def test_changing_a_network_draws_no_random_numbers(grouped: nn.Module) -> None:
    before = torch.get_rng_state()
    undo_block_diagonal(use_block_diagonal(grouped))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_without_groups_is_left_as_it_is() -> None:
    network = build(PRESETS["v2-0.5x"], num_classes=5)
    before = list(network.modules())
    assert all(now is then for now, then in zip(use_block_diagonal(network).modules(), before, strict=True))


def test_under_autocast_outputs_are_bf16_and_gradients_float32_near_the_exact_ones() -> None:
    theirs, ours = pair(4, 32, 64)
    ours.float()
    images = channels_last(4, 32, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        output = ours(images.float())
    assert output.dtype == torch.bfloat16
    assert output.is_contiguous(memory_format=torch.channels_last)
    theirs(images).sum().backward()
    output.sum().backward()
    assert ours.weight.grad is not None
    assert ours.weight.grad.dtype == torch.float32
    # bf16 keeps 8 bits: each factor is off by up to 1 in 256.
    torch.testing.assert_close(output.double(), theirs(images), rtol=0.02, atol=0.02)
    torch.testing.assert_close(ours.weight.grad.double(), theirs.weight.grad, rtol=0.02, atol=0.3)


class Operations(TorchDispatchMode):
    """Notes the name of every operation that runs inside."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **kwargs or {})


def test_there_and_back_nothing_is_read_by_the_host_or_comes_from_it() -> None:
    _, ours = pair(2, 6, 10)
    images = channels_last(3, 6, 5, 4).requires_grad_()
    gradient = channels_last(3, 10, 5, 4)
    with Operations() as run:
        ours(images).backward(gradient)
    assert run.names.count("mm") == 3, "forward, and backward for images and weights"
    assert not {"_local_scalar_dense", "nonzero", "equal", "lift_fresh", "_to_copy"} & set(run.names)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(("groups", "c_in", "c_out"), CHANNELS)
def test_on_cuda_outputs_and_gradients_are_those_on_the_cpu(groups: int, c_in: int, c_out: int) -> None:
    theirs, ours = pair(groups, c_in, c_out)
    ours.cuda()
    images = channels_last(3, c_in, 5, 4)
    expected, found = theirs(images), ours(images.cuda())
    torch.testing.assert_close(found.cpu(), expected)
    expected.square().sum().backward()
    found.square().sum().backward()
    assert ours.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad.cpu(), theirs.weight.grad)
