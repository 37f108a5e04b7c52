import copy
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from builders.scored import ARCHITECTURES, batch, double, network_of, seeded, tiny, tiny_batch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from proxies.network import build
from proxies.zero_cost.rows import MIN_IMAGES, ZERO_COST, ZeroCostError, zero_cost_scores
from proxies.zero_cost.scores import JITTER, PARTS, Score
from search_space import PRESETS, Architecture, InputError
from search_space.widths import scaled


def weights_of(network: nn.Module) -> list[Tensor]:
    return [parameter for name, parameter in network.named_parameters() if parameter.ndim in (2, 4)]


def gradients_by_hand(network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """The gradient of the mean of -log softmax at every convolution's and linear layer's weight, in training mode."""
    network = copy.deepcopy(network).train()
    outputs = network(images)
    chosen = outputs[torch.arange(len(labels)), labels]
    (outputs.exp().sum(dim=1).log() - chosen).mean().backward()
    return [weight.grad for weight in weights_of(network) if weight.grad is not None]


# --- what holds for every row


def state_of(network: nn.Module) -> dict[str, Any]:
    """All that a score could change."""
    modules = dict(network.named_modules())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "types": {name: type(module) for name, module in modules.items()},
        "training": {name: module.training for name, module in modules.items()},
        "hooks": {name: [len(getattr(module, kind)) for kind in hooks] for name, module in modules.items()},
        "tensors": {
            name: (value.data_ptr(), value.dtype, value.clone()) for name, value in network.state_dict().items()
        },
        "parameters": {
            name: (id(value), value.requires_grad, value.stride(), None if value.grad is None else value.grad.clone())
            for name, value in network.named_parameters()
        },
        "random": torch.get_rng_state(),
    }


def assert_same(before: Any, after: Any) -> None:
    if isinstance(before, Tensor):
        assert torch.allclose(before, after, rtol=0, atol=0, equal_nan=True)
    elif isinstance(before, dict):
        assert before.keys() == after.keys()
        for key, value in before.items():
            assert_same(value, after[key])
    elif isinstance(before, tuple):
        for ours, theirs in zip(before, after, strict=True):
            assert_same(ours, theirs)
    else:
        assert before == after


def used_network(architecture: Architecture) -> nn.Module:
    """A network as training leaves one: modes mixed, some weights frozen, some with gradients, statistics moved."""
    network = network_of(architecture).train()
    network(batch()[0]).sum().backward()
    network.get_submodule("stage3").eval()
    for number, parameter in enumerate(network.parameters()):
        if number % 3 == 0:
            parameter.requires_grad_(False)
        if number % 2 == 0:
            parameter.grad = None
    return network


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.parametrize("name", ZERO_COST)
def test_a_score_leaves_network_and_batch_as_they_were_and_is_the_same_again(
    name: str, architecture: Architecture
) -> None:
    network = used_network(architecture)
    images, labels = batch()
    before, batch_before = state_of(network), (images.clone(), labels.clone())
    first = ZERO_COST[name].score(network, images, labels)
    assert_same(before, state_of(network))
    assert_same(batch_before, (images, labels))
    assert not images.requires_grad
    assert images.grad is None
    assert ZERO_COST[name].score(network, images, labels) == first


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
@pytest.mark.parametrize("name", ZERO_COST)
def test_a_score_that_is_not_finite_is_an_error_and_leaves_the_network_as_it_was(
    name: str, architecture: Architecture
) -> None:
    network = used_network(architecture)
    with torch.no_grad():
        next(network.parameters()).fill_(math.nan)
    before = state_of(network)
    with pytest.raises(ZeroCostError, match=f"^{name} must "):
        ZERO_COST[name].score(network, *batch())
    assert_same(before, state_of(network))


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_all_rows_are_plain_numbers_whatever_mode_the_caller_is_in(architecture: Architecture) -> None:
    images, labels = batch()
    expected = zero_cost_scores(network_of(architecture).train(), images, labels)
    with torch.inference_mode():
        found = zero_cost_scores(network_of(architecture).eval(), images.clone(), labels.clone())
    assert found.scores == expected.scores
    assert list(found.scores) == list(found.seconds) == list(ZERO_COST)
    assert all(type(value) is float for value in (*found.scores.values(), *found.seconds.values()))
    assert json.loads(json.dumps(found.to_dict())) == {"scores": found.scores, "seconds": found.seconds}


@pytest.mark.parametrize("row", ZERO_COST.values(), ids=ZERO_COST)
def test_every_row_says_whose_it_is_and_what_it_makes_of_our_layers(row: Any) -> None:
    assert ZERO_COST[row.name] is row
    assert re.search(r"\b20[12]\d\b", row.paper)
    assert "arXiv" in row.paper
    assert "sec." in row.paper
    for word in ("batch norm", "hardswish", "se", "shuffle"):
        assert re.search(rf"\b{word}\b", row.treats.lower()), word


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(MIN_IMAGES - 1, 3, 8, 8), torch.zeros(MIN_IMAGES - 1).long(), "images must be at least 8"),
        (torch.zeros(8, 3, 8, 8, dtype=torch.uint8), torch.zeros(8).long(), "images must be .* torch.uint8"),
        (torch.zeros(8, 3, 8), torch.zeros(8).long(), "images must be"),
        (torch.zeros(8, 3, 8, 8), torch.zeros(8), "labels must be int64"),
        (torch.zeros(8, 3, 8, 8), torch.zeros(9).long(), "labels must be int64, one for each of 8 images"),
    ],
)
def test_a_batch_that_cannot_be_scored_is_told(images: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        zero_cost_scores(tiny(), images, labels)


# --- synflow


def test_synflow_of_linear_layers_is_their_number_times_the_sum_over_all_paths() -> None:
    network = double(nn.Sequential(nn.Flatten(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)))
    first, second = network[1], network[3]
    with torch.no_grad():
        first.bias.zero_()
    paths = sum(
        abs(second.weight[k, j].item()) * abs(first.weight[j, i].item())
        for k in range(3)
        for j in range(5)
        for i in range(4)
    )
    found = ZERO_COST["synflow"].score(network, *batch(channels=1, size=2, classes=3))
    assert found == pytest.approx(math.log(2 * paths), rel=1e-12)


@pytest.mark.parametrize("between", [nn.ReLU, nn.Hardswish, lambda: nn.BatchNorm2d(4), lambda: SqueezeExcitation(4, 2)])
def test_synflow_of_pointwise_convolutions_sees_nothing_between_them(between: Callable[[], nn.Module]) -> None:
    convs = [nn.Conv2d(a, b, 1, bias=False) for a, b in pairwise((3, 4, 4, 2))]
    layers = [layer for conv in convs for layer in (conv, between())][:-1]
    network = double(nn.Sequential(*layers))
    product = np.ones(3)
    for conv in convs:
        product = np.abs(conv.weight.detach().numpy()[:, :, 0, 0]) @ product
    found = ZERO_COST["synflow"].score(network, *batch(size=5))
    assert found == pytest.approx(math.log(3 * product.sum() * 5 * 5), rel=1e-12)


@pytest.mark.parametrize("name", ["v1-0.25x-g3", "v2-0.5x"])
def test_a_wider_network_has_a_higher_synflow(name: str) -> None:
    wider = {"v1-0.25x-g3": "v1-0.5x-g3", "v2-0.5x": "v2-1.0x"}[name]
    narrow, wide = (ZERO_COST["synflow"].score(network_of(PRESETS[each]), *batch()) for each in (name, wider))
    narrower = scaled(PRESETS[name], 0.5)
    assert ZERO_COST["synflow"].score(network_of(narrower), *batch()) < narrow < wide


def test_synflow_does_not_change_with_batch_norms_state_nor_the_activation() -> None:
    architecture = PRESETS["v2-0.5x"]
    network = network_of(architecture)
    expected = ZERO_COST["synflow"].score(network, *batch())
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    assert tensor is not None
                    tensor.uniform_(1, 2, generator=seeded())
    assert ZERO_COST["synflow"].score(network, *batch()) == expected
    hardswish = network_of(replace(architecture, activation="hardswish"))
    assert ZERO_COST["synflow"].score(hardswish, *batch()) == expected


def test_a_network_without_any_path_has_no_synflow() -> None:
    network = tiny()
    with torch.no_grad():
        network[3].weight.zero_()
    with pytest.raises(ZeroCostError, match="synflow must be a finite number, got -inf"):
        ZERO_COST["synflow"].score(network, *tiny_batch())


# --- the scores from the loss's gradient


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Hardswish])
def test_gradnorm_sums_the_norms_of_each_layers_gradient(activation: Callable[[], nn.Module]) -> None:
    network, (images, labels) = tiny(activation=activation), tiny_batch()
    expected = sum(
        math.sqrt(sum(value**2 for value in gradient.flatten().tolist()))
        for gradient in gradients_by_hand(network, images, labels)
    )
    assert ZERO_COST["gradnorm"].score(network, images, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Hardswish])
def test_snip_sums_the_size_of_weight_times_gradient(activation: Callable[[], nn.Module]) -> None:
    network, (images, labels) = tiny(activation=activation), tiny_batch()
    gradients = gradients_by_hand(network, images, labels)
    expected = sum(
        abs(w * g)
        for weight, gradient in zip(weights_of(network), gradients, strict=True)
        for w, g in zip(weight.flatten().tolist(), gradient.flatten().tolist(), strict=True)
    )
    assert ZERO_COST["snip"].score(network, images, labels) == pytest.approx(expected, rel=1e-9)


def zico_by_hand(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    size = len(images) // PARTS
    parts = [slice(start, start + size) for start in range(0, len(images), size)]
    samples = [gradients_by_hand(network, images[part], labels[part]) for part in parts]
    score = 0.0
    for layer in zip(*samples, strict=True):
        values = np.stack([gradient.flatten().numpy() for gradient in layer])
        ratios = [np.abs(of_weight).mean() / of_weight.std() for of_weight in values.T if of_weight.std() > 0]
        score += math.log(sum(ratios)) if ratios else 0
    return score


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Hardswish])
def test_zico_sums_the_logarithms_of_each_layers_inverse_variation(activation: Callable[[], nn.Module]) -> None:
    network, (images, labels) = tiny(activation=activation), tiny_batch()
    expected = zico_by_hand(network, images, labels)
    assert ZERO_COST["zico"].score(network, images, labels) == pytest.approx(expected, rel=1e-9)


def test_a_layer_without_gradient_adds_nothing_to_zico() -> None:
    network, (images, labels) = tiny(), tiny_batch()
    with torch.no_grad():
        network[3].weight.copy_(-network[3].weight.abs())
    gradients = gradients_by_hand(network, images, labels)
    # The last ReLU is shut: of the weights, the linear layer's included, none has a gradient.
    assert not any(gradient.any() for gradient in gradients)
    assert ZERO_COST["zico"].score(network, images, labels) == 0.0


# --- jacob_cov


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Hardswish])
def test_jacob_cov_is_that_of_the_whole_jacobian(activation: Callable[[], nn.Module]) -> None:
    network, (images, labels) = tiny(activation=activation), tiny_batch()
    jacobian = torch.autograd.functional.jacobian(copy.deepcopy(network).train(), images)
    assert isinstance(jacobian, Tensor)
    rows = jacobian.sum(dim=(0, 1)).flatten(1).numpy()
    eigenvalues = np.linalg.eigvals(np.corrcoef(rows)).real
    expected = -np.sum(np.log(eigenvalues + JITTER) + 1 / (eigenvalues + JITTER))
    # A gradient of the one sum through batch norm nearly cancels, so less of it is exact.
    assert ZERO_COST["jacob_cov"].score(network, images, labels) == pytest.approx(expected, rel=1e-6)


def test_images_whose_gradients_do_not_vary_have_no_jacob_cov() -> None:
    network = double(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3)))
    images, labels = batch(channels=1, size=4, classes=3)
    with pytest.raises(ZeroCostError, match="jacob_cov must have gradients that vary"):
        ZERO_COST["jacob_cov"].score(network, images.double(), labels)


def test_scores_do_not_depend_on_the_memory_format() -> None:
    images, labels = batch()
    channels_last = images.contiguous(memory_format=torch.channels_last)
    rows: list[Score] = [row.score for row in ZERO_COST.values()]
    for score in rows:
        plain = score(build(ARCHITECTURES["v2"], 10, 3, 1), images, labels)
        assert score(network_of(ARCHITECTURES["v2"]), channels_last, labels) == pytest.approx(plain, rel=1e-2)
