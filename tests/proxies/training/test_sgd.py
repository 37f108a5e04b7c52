"""SGD by hand against torch.optim.SGD, on a small ShuffleNet and on numbers."""

import copy
import io
from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from proxies.network import build
from proxies.training.sgd import Sgd, split_decay
from search_space import Architecture, Stage

HALF = Fraction(1, 2)
SMALL = Architecture("v2", 8, 0, (Stage(1, 16, split=HALF), Stage(1, 32, split=HALF), Stage(1, 64, split=HALF)))
MOMENTUM, DECAY = 0.9, 5e-2
RATES = (0.1, 0.4, 0.2, 0.05, 0.3)
NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def network(seed: int = 0) -> nn.Module:
    return build(SMALL, 4, 3, 1, seed=seed).train()


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(7)
    for _ in RATES:
        yield torch.randn(8, 3, 16, 16, generator=generator), torch.randint(4, (8,), generator=generator)


def sgd(of: nn.Module, decay_norms: bool = False, rate: float = 0.0, decay: float = DECAY) -> Sgd:
    return Sgd(of, momentum=MOMENTUM, weight_decay=decay, decay_norms=decay_norms, learning_rate=rate)


def oracle(of: nn.Module, decay_norms: bool, decay: float = DECAY) -> torch.optim.SGD:
    """PyTorch's, with groups told by the module that owns a parameter."""
    exempt = {id(p) for m in of.modules() for n, p in m.named_parameters(recurse=False) if n == "bias"}
    exempt |= {id(p) for m in of.modules() if isinstance(m, NORMS) for p in m.parameters()}
    rest = [p for p in of.parameters() if id(p) not in exempt]
    groups = [
        {"params": rest, "weight_decay": decay},
        {"params": [p for p in of.parameters() if id(p) in exempt], "weight_decay": decay if decay_norms else 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.1, momentum=MOMENTUM, nesterov=True, foreach=False)


def backward(of: nn.Module, images: Tensor, labels: Tensor) -> None:
    nn.functional.cross_entropy(of(images), labels).backward()


@pytest.mark.parametrize("decay_norms", [False, True])
@pytest.mark.parametrize("decay", [DECAY, 0.0])
def test_steps_are_those_of_torch_optim_sgd_to_the_bit(decay_norms: bool, decay: float) -> None:
    ours, theirs = network(), network()
    by_hand, reference = sgd(ours, decay_norms, decay=decay), oracle(theirs, decay_norms, decay)
    for rate, (images, labels) in zip(RATES, batches(), strict=True):
        by_hand.learning_rate.fill_(rate)
        for group in reference.param_groups:
            group["lr"] = rate
        for net, optimizer in ((ours, by_hand), (theirs, reference)):
            optimizer.zero_grad()
            backward(net, images, labels)
            optimizer.step()
    assert not torch.equal(next(ours.parameters()), next(network().parameters()))
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_two_steps_by_hand() -> None:
    net = nn.Linear(1, 1)
    nn.init.constant_(net.weight, 2.0)
    nn.init.constant_(net.bias, 2.0)
    optimizer = Sgd(net, momentum=0.5, weight_decay=0.25, decay_norms=False, learning_rate=0.5)
    for _ in range(2):
        net.weight.grad, net.bias.grad = torch.ones(1, 1), torch.ones(1)
        optimizer.step()
    # Bias: gradients 1 and 1, velocities 1 and 1.5, updates 1 + 0.5 and 1 + 0.75.
    assert net.bias.item() == 2 - 0.5 * (1.5 + 1.75)
    # Weight: gradient 1 + 0.25 * 2, update 2.25, weight 0.875; then 1.21875, velocity 1.96875, update 2.203125.
    assert net.weight.item() == 0.875 - 0.5 * 2.203125
    assert net.weight.grad is not None
    assert net.weight.grad.item() == 1.0


def test_norms_and_biases_are_not_decayed_and_nothing_is_left_out() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1, bias=False), nn.Linear(8, 4))
    net[2].weight.requires_grad_(False)
    decayed, rest = split_decay(net)
    assert list(decayed) == ["0.weight", "3.weight"]
    assert list(rest) == ["0.bias", "1.weight", "1.bias", "3.bias"]
    assert decayed["3.weight"] is net[3].weight


def test_a_parameter_without_a_gradient_stays_as_it_is() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    before = copy.deepcopy(net)
    optimizer = sgd(net, rate=0.1)
    optimizer.step()
    backward(net[0], torch.ones(1, 2), torch.tensor([0]))
    optimizer.step()
    assert torch.equal(net[1].weight, before[1].weight)
    assert not torch.equal(net[0].weight, before[0].weight)
    optimizer.zero_grad()
    assert all(each.grad is None for each in net.parameters())


def test_a_training_goes_on_from_a_checkpoint_to_the_bit() -> None:
    straight = network()
    optimizer = sgd(straight, rate=0.1)
    parts = list(batches())
    for images, labels in parts[:3]:
        optimizer.zero_grad()
        backward(straight, images, labels)
        optimizer.step()
    file = io.BytesIO()
    torch.save({"network": straight.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = network(seed=1)
    resumed.load_state_dict(saved["network"])
    fresh = sgd(resumed)
    fresh.load_state_dict(saved["optimizer"])
    for images, labels in parts[3:]:
        for net, each in ((straight, optimizer), (resumed, fresh)):
            each.zero_grad()
            backward(net, images, labels)
            each.step()
    for one, other in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("other", [nn.Linear(3, 3), nn.Linear(2, 3, bias=False), nn.Conv2d(2, 3, 1)])
def test_a_checkpoint_of_another_network_is_refused(other: nn.Module) -> None:
    with pytest.raises(ValueError, match="names or shapes differ"):
        sgd(nn.Linear(2, 3)).load_state_dict(sgd(other).state_dict())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_captured_step_follows_the_learning_rate_tensor() -> None:
    eager, captured = nn.Linear(8, 8).cuda(), nn.Linear(8, 8).cuda()
    captured.load_state_dict(eager.state_dict())
    one, other = sgd(eager), sgd(captured)
    for net in (eager, captured):
        for each in net.parameters():
            each.grad = torch.ones_like(each)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        other.step()
    for rate in RATES:
        one.learning_rate.fill_(rate)
        other.learning_rate.fill_(rate)
        one.step()
        graph.replay()
    for ours, theirs in zip(eager.parameters(), captured.parameters(), strict=True):
        assert torch.equal(ours, theirs)
