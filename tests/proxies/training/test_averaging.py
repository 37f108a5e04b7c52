"""The moving average against its recurrence in float64, tensor by tensor, and against PyTorch's own average."""

import io
import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from proxies.network import build
from proxies.training.averaging import Averaged
from search_space import Architecture, Stage

HALF = Fraction(1, 2)
SMALL = Architecture("v2", 8, 0, (Stage(1, 16, split=HALF), Stage(1, 32, split=HALF), Stage(1, 64, split=HALF)))


def network(seed: int = 0) -> nn.Module:
    return build(SMALL, 4, 3, 1, seed=seed).train()


def move(net: nn.Module, seed: int) -> None:
    """Gives every weight noise, and the batch norms other statistics."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for each in net.parameters():
            each += torch.randn(each.shape, generator=generator)
        net(torch.randn(4, 3, 16, 16, generator=generator))


def values(net: nn.Module) -> dict[str, Tensor]:
    return {name: each.double().clone() for name, each in net.state_dict().items()}


def test_the_average_follows_the_recurrence_with_its_warm_up() -> None:
    net = network()
    averaged, expected = Averaged(net, 0.25), values(net)
    for step, decay in enumerate([1 / 10, 2 / 11, 0.25, 0.25]):
        move(net, step)
        averaged.update(net)
        expected = {name: decay * expected[name] + (1 - decay) * new for name, new in values(net).items()}
    compared = 0
    for name, each in averaged.network.state_dict().items():
        if each.is_floating_point():
            assert torch.allclose(each.double(), expected[name], atol=1e-5), name
            compared += 1
    assert compared == sum(each.is_floating_point() for each in net.state_dict().values())


def test_from_then_on_it_is_pytorchs_average() -> None:
    net, decay = network(), 0.9
    averaged = Averaged(net, decay)
    averaged.updates = 1000
    theirs = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    theirs.update_parameters(net)
    for step in range(5):
        move(net, step)
        averaged.update(net)
        theirs.update_parameters(net)
    for ours, other in zip(averaged.network.parameters(), theirs.module.parameters(), strict=True):
        assert torch.allclose(ours, other, rtol=1e-6, atol=1e-6)


def test_running_statistics_are_averaged_and_counts_copied() -> None:
    net = nn.BatchNorm1d(1).train()
    averaged = Averaged(net, 0.999)
    with torch.no_grad():
        net.running_mean.fill_(10.0)
        net.num_batches_tracked.fill_(7)
    averaged.update(net)
    assert averaged.network.running_mean.item() == pytest.approx(9.0)
    assert averaged.network.num_batches_tracked.item() == 7


def test_a_long_average_forgets_its_start() -> None:
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1e6)
    averaged = Averaged(net, 0.999)
    nn.init.constant_(net.weight, 1.0)
    for _ in range(20):
        averaged.update(net)
    # What is left of the start is the product of (1 + t) / (10 + t), t from 0 to 19; with 0.999 it would be 0.98 of it.
    assert averaged.network.weight.item() == pytest.approx(1 + 1e6 / math.comb(29, 9), rel=1e-3)


def test_the_network_itself_is_left_alone() -> None:
    net = network()
    averaged = Averaged(net, 0.5)
    assert net.training
    assert all(each.requires_grad for each in net.parameters())
    assert not averaged.network.training
    assert not any(each.requires_grad for each in averaged.network.parameters())
    move(net, 0)
    before = values(net)
    averaged.update(net)
    assert all(torch.equal(each, before[name]) for name, each in values(net).items())
    shared = {each.data_ptr() for each in net.parameters()} & {
        each.data_ptr() for each in averaged.network.parameters()
    }
    assert not shared


def test_it_goes_on_from_a_checkpoint_to_the_bit() -> None:
    net = network()
    straight = Averaged(net, 0.9)
    move(net, 0)
    straight.update(net)
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed = Averaged(network(seed=1), 0.9)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    move(net, 1)
    for each in (straight, resumed):
        each.update(net)
    assert resumed.updates == 2
    for name, each in values(straight.network).items():
        assert torch.equal(each, values(resumed.network)[name])
