"""Architectures as feature extractors: the maps are torchvision's own, and detectors on them learn."""

import pytest
import torch
import torchvision
from builders.canvases import CANVAS, canvases, noise
from builders.wide_space import drawn_wide
from torch import nn

from proxies.backbone import STRIDES, Backbone, backbone_of, detector
from search_space import PRESETS, Budget, InputError, SearchSpace
from search_space.choosers import RandomChooser

SPACE = SearchSpace.default(Budget.parse("20mflops"))
STEPS = 80


def test_maps_have_the_stated_channels_and_strides_at_any_size() -> None:
    drawn = (*(SPACE.suggest(RandomChooser(seed)) for seed in range(4)), *drawn_wide(3))
    for architecture in (*drawn, PRESETS["v2-star-0.5x"]):
        backbone = backbone_of(architecture).eval()
        for height, width in ((64, 64), (97, 130), (33, 65)):
            with torch.inference_mode():
                maps = backbone(noise(1, 3, height, width))
            assert list(maps) == ["stage2", "stage3", "stage4"]
            for features, channels, stride in zip(maps.values(), backbone.channels, STRIDES, strict=True):
                assert features.shape == (1, channels, -(-height // stride), -(-width // stride))


def test_pretrained_maps_are_those_of_torchvisions_own_stages() -> None:
    theirs = torchvision.models.shufflenet_v2_x0_5(weights=None, num_classes=7).eval()
    ours = backbone_of(PRESETS["v2-0.5x"], pretrained=theirs.state_dict()).eval()
    image = noise(1, 3, 96, 128)
    with torch.inference_mode():
        x = theirs.maxpool(theirs.conv1(image))
        for name, features in ours(image).items():
            x = getattr(theirs, name)(x)
            assert torch.equal(features, x)


def test_weights_of_another_network_are_refused() -> None:
    theirs = torchvision.models.shufflenet_v2_x0_5(weights=None).state_dict()
    with pytest.raises(InputError, match="must be those of this architecture"):
        backbone_of(PRESETS["v2-1.0x"], pretrained=theirs)


def test_a_detector_must_be_one_there_is() -> None:
    with pytest.raises(InputError, match="retinanet, fcos"):
        detector("yolo", Backbone(PRESETS["v2-0.5x"]), 2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["retinanet", "fcos"])
def test_a_detector_on_a_backbone_learns_to_find_things(kind: str) -> None:
    """It is shown a few real images, with their boxes, again and again, and then finds them."""
    images, targets = canvases(6)
    network = detector(kind, backbone_of(PRESETS["v2-star-0.5x"]), 3, min_size=CANVAS, max_size=CANVAS).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1, (step + 1) / 5, 3 * (1 - step / STEPS)))
    losses = []
    for _ in range(STEPS):
        loss = sum(network(images, targets).values())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        rates.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    with torch.inference_mode():
        found = network.eval()(images)
    for one, target in zip(found, targets, strict=True):
        assert torchvision.ops.box_iou(one["boxes"][:1], target["boxes"]).item() > 0.5
        assert one["labels"][0] == target["labels"][0]
