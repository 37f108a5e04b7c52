"""Hand-designed networks on small images: one rule, which leaves the rest as published, and plain torch's training."""

import copy

import pytest
import torch
from torch import Tensor, nn

from proxies.counting import count
from proxies.network import build
from proxies.references.names import MOBILENET_V1_WIDTHS, MOBILENET_V2_WIDTHS, TORCHVISION_NETWORKS
from proxies.references.networks import build_reference
from proxies.references.small_images import fit_to, without_dropout
from proxies.training.cpu import layers as fast_ops
from search_space import PRESETS, InputError

OTHERS = (*MOBILENET_V1_WIDTHS, *MOBILENET_V2_WIDTHS, *TORCHVISION_NETWORKS)
SHRINKS_LESS = {4: 1, 2: 2, 1: 4}
"""Stem stride -> how many times as high the maps are."""
UNTRAINABLE = {"alexnet"}
"""Its pools leave nothing of 16 pixels."""


def on_meta(name: str, *task: int) -> nn.Module:
    with torch.device("meta"):
        return build_reference(name, *task)


def params_of(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def last_map(network: nn.Module, shape: tuple[int, ...]) -> int:
    """How high the last map is that is higher than a pixel."""
    heights: list[int] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.Identity):
            module.register_forward_hook(lambda layer, given, output: heights.append(output.shape[-1]))
    with torch.inference_mode():
        network(torch.zeros(shape, device="meta"))
    return [height for height in heights if height > 1][-1]


@pytest.mark.parametrize("stem_stride", [2, 1])
@pytest.mark.parametrize("name", ["v1-0.5x-g3", "v2-0.5x"])
def test_the_rule_is_shufflenets_own(name: str, stem_stride: int) -> None:
    changed = fit_to(build(PRESETS[name], 10), 1, stem_stride)
    ours = build(PRESETS[name], 10, 1, stem_stride)
    assert count(changed, (1, 1, 32, 32)) == count(ours, (1, 1, 32, 32))
    weights = zip(changed.parameters(), ours.parameters(), strict=True)
    assert all(theirs.shape == mine.shape for theirs, mine in weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_a_stem_shrinks_less_by_what_is_asked_for_and_nothing_else_changes(name: str) -> None:
    published = on_meta(name)
    heights = {}
    for stride in SHRINKS_LESS:
        network = on_meta(name, 1000, 3, stride)
        assert params_of(network) == params_of(published)
        heights[stride] = last_map(network, (1, 3, 224, 224))
    for stride, times in SHRINKS_LESS.items():
        # Layers without padding cost a pixel here and there.
        assert heights[stride] == pytest.approx(times * heights[4], abs=times + 2)


@pytest.mark.parametrize("name", ["mobilenet-v2", "squeezenet-1.1", "resnet-18"])
def test_fewer_channels_take_away_those_weights_of_the_first_convolution_alone(name: str) -> None:
    colour, grey = (list(build_reference(name, 10, channels, 1).parameters()) for channels in (3, 1))
    assert torch.equal(grey[0], colour[0][:, :1])
    assert all(torch.equal(one, other) for one, other in zip(grey[1:], colour[1:], strict=True))


def test_images_that_no_network_can_take_are_refused() -> None:
    with pytest.raises(InputError, match=r"stem_stride must be one of \(4, 2, 1\), got 3"):
        build_reference("mobilenet-v2", 10, 3, 3)
    with pytest.raises(InputError, match="at most 3 channels for this network, got 4"):
        build_reference("mobilenet-v2", 10, 4, 4)


def test_nothing_is_dropped_in_training() -> None:
    network = build_reference("efficientnet-b0", 10, 3, 1).train()
    dropping = [module.p for module in network.modules() if hasattr(module, "p")]
    assert len(dropping) > 1
    assert not any(dropping)
    assert without_dropout(network) is network


def outcome(network: nn.Module) -> tuple[Tensor, list[Tensor]]:
    """The output of a training step on random images, and the gradients."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, 1, 16, 16, generator=generator, dtype=torch.float64)
    output = network(images.contiguous(memory_format=torch.channels_last))
    weights = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    (output * weights).sum().backward()
    return output.detach(), [each.grad for each in network.parameters() if each.grad is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(name for name in OTHERS if name not in UNTRAINABLE), "resnext-like@13mflops"])
def test_fast_layers_train_other_networks_as_plain_ones(name: str) -> None:
    plain = build_reference(name, 5, 1, 1).to(torch.float64, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    fast = copy.deepcopy(plain)
    fast_ops.use_fast_layers(fast)
    (expected, wanted), (found, got) = outcome(plain), outcome(fast)
    assert torch.allclose(found, expected, rtol=1e-8, atol=1e-8)
    assert len(got) == len(wanted) > 4
    for one, other in zip(got, wanted, strict=True):
        assert float((one - other).norm()) <= 1e-8 * (float(other.norm()) + 1)
