"""NASWOT against codes that are compared one by one."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from builders.scored import ARCHITECTURES, batch, double, network_of, tiny, tiny_batch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from proxies.zero_cost.rows import ZERO_COST, ZeroCostError
from search_space import PRESETS

# --- NASWOT


def brute_force_naswot(codes: list[list[bool]]) -> float:
    """log |K_H| from codes, one for each image, by counting the places where two agree."""
    kernel = [[sum(a == b for a, b in zip(ours, theirs, strict=True)) for theirs in codes] for ours in codes]
    sign, logarithm = np.linalg.slogdet(np.array(kernel, dtype=float))
    assert sign == 1
    return float(logarithm)


@pytest.mark.parametrize("activation", [nn.ReLU, lambda: nn.ReLU(inplace=True), nn.Hardswish])
def test_naswot_is_the_determinant_of_agreeing_codes_counted_one_by_one(activation: Callable[[], nn.Module]) -> None:
    network, (images, labels) = tiny(activation=activation), tiny_batch()
    conv, norm, _, second, *_ = network
    convolved = F.conv2d(images, conv.weight, padding=1)
    mean = convolved.mean(dim=(0, 2, 3), keepdim=True)
    variance = convolved.var(dim=(0, 2, 3), correction=0, keepdim=True)
    weight, bias = norm.weight.view(1, -1, 1, 1), norm.bias.view(1, -1, 1, 1)
    normed = (convolved - mean) / (variance + norm.eps).sqrt() * weight + bias
    act = F.hardswish if activation is nn.Hardswish else F.relu
    then = F.conv2d(act(normed), second.weight, groups=2)
    codes = [(normed[i] > 0).flatten().tolist() + (then[i] > 0).flatten().tolist() for i in range(len(images))]
    assert ZERO_COST["naswot"].score(network, images, labels) == pytest.approx(brute_force_naswot(codes), rel=1e-9)


def test_the_gate_of_squeeze_and_excitation_gives_no_codes() -> None:
    network, (images, labels) = tiny(), tiny_batch()
    gated = nn.Sequential(*network[:5], double(SqueezeExcitation(4, 2)), *network[5:])
    # The gate stands after the last code, so it could only add codes of its own.
    score = ZERO_COST["naswot"].score
    assert score(gated, images, labels) == score(network, images, labels)


def test_naswot_is_the_same_after_a_permutation_of_channels() -> None:
    images, labels = tiny_batch()
    network = nn.Sequential(*list(tiny())[:3])
    order = torch.tensor([2, 0, 3, 1])
    permuted = copy.deepcopy(network)
    with torch.no_grad():
        for tensor in (permuted[0].weight, permuted[1].weight, permuted[1].bias):
            tensor.copy_(tensor[order])
    shuffled = nn.Sequential(*list(network)[:2], nn.ChannelShuffle(2), network[2])
    score = ZERO_COST["naswot"].score
    assert score(permuted, images, labels) == score(network, images, labels)
    assert score(shuffled, images, labels) == score(network, images, labels)


def test_every_activation_of_a_network_gives_its_code() -> None:
    """Of two images, |K_H| = N^2 - a^2, where a of the N codes agree: a whole number only if N is right."""
    architecture = PRESETS["v2-0.5x"]
    images, labels = batch(count=2)
    score = ZERO_COST["naswot"].score(network_of(architecture), images, labels)
    # Stem 24 at 16x16; main branches (2 activations each, the first of a stage's before the stride); shortcuts; head.
    count = 24 * 16**2 + 1024 * 2**2
    for depth, width, size in ((4, 48, 8), (8, 96, 4), (4, 192, 2)):
        half = width // 2
        count += half * ((2 * size) ** 2 + 2 * size**2) + (depth - 1) * 2 * half * size**2
    agreeing = math.sqrt(count**2 - math.exp(score))
    assert agreeing == pytest.approx(round(agreeing), abs=1e-3)
    assert 0 < agreeing < count


def test_images_of_the_same_code_have_no_naswot() -> None:
    images, labels = batch()
    images[3] = images[5]
    with pytest.raises(ZeroCostError, match="naswot must be a finite number, got log 0"):
        ZERO_COST["naswot"].score(network_of(ARCHITECTURES["v2"]), images, labels)


def test_a_network_without_activations_or_with_idle_ones_has_no_naswot() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.ReLU(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.used(x))

    for network, message in ((nn.Flatten(), "got 0 of which 0 did not run"), (Idle(), "got 2 of which 1 did not run")):
        with pytest.raises(ZeroCostError, match=message):
            ZERO_COST["naswot"].score(network, *tiny_batch())
