"""Any architecture as a feature extractor for detection and segmentation, and torchvision's detectors on top of it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from proxies.network import build
from proxies.pretrained import weights_of
from proxies.state_dict import CLASSIFIER, HEAD, load_by_name
from search_space.architecture import NUM_STAGES, Architecture
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER, Plan, plan_of

STEM_STRIDE = 4
STAGES = tuple(f"stage{number}" for number in range(2, 2 + NUM_STAGES))
STRIDES = tuple(STEM_STRIDE * 2**number for number in range(1, 1 + NUM_STAGES))
PYRAMID_CHANNELS = 96
"""Of every level of the pyramid: what small detectors use; RetinaNet's own 256 would cost more than the backbone."""
ANCHOR_SCALES = tuple(2 ** (third / 3) for third in range(3))
"""Within an octave, as in Lin et al. 2017, sec. 4."""


class Backbone(nn.Module):
    """The features of an architecture's stages: (n, c, h, w) to three maps, by stage, at strides 8, 16 and 32.

    `channels` are those of the maps. Their heights and widths are those of the image divided by the stride and rounded
    up. Modules bear the names that they have in the classifier, so that its weights fit but for head and classifier.
    """

    def __init__(self, architecture: Architecture, in_channels: int = 3, *, seed: int = 0) -> None:
        super().__init__()
        for name, module in build(architecture, NO_CLASSIFIER, in_channels, STEM_STRIDE, seed=seed).named_children():
            self.add_module(name, module)
        self.channels = tuple(stage.width for stage in architecture.stages)
        self.strides = STRIDES

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The maps by stage, the finest first."""
        x = self.get_submodule("stem")(images)
        features: dict[str, Tensor] = OrderedDict()
        for name in STAGES:
            x = features[name] = self.get_submodule(name)(x)
        return features


def backbone_of(
    architecture: Architecture,
    in_channels: int = 3,
    *,
    seed: int = 0,
    pretrained: Mapping[str, Tensor] | Path | str | None = None,
) -> Backbone:
    """The architecture's backbone, with random weights or with those of a trained classifier.

    `pretrained` is as `proxies.network.build` takes it; head and classifier are left out, whatever its classes.

    Raises:
        InputError: the weights cannot be read, or are those of another network.
    """
    backbone = Backbone(architecture, in_channels, seed=seed)
    if pretrained is not None:
        load_by_name(backbone, weights_of(pretrained), without=(HEAD, CLASSIFIER))
    return backbone


class FeatureMaps(nn.Module):
    """A backbone's maps as a tuple, the finest first: what is written to files, timed and counted.

    `plan` is the backbone's, where it is known.
    """

    plan: Plan | None = None

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps at strides 8, 16 and 32."""
        return tuple(self.backbone(images).values())


def deployed(
    architecture: Architecture, num_classes: int = 1000, in_channels: int = 3, stem_stride: int = STEM_STRIDE
) -> nn.Module:
    """The network that a task deploys, with random weights: a classifier, or `FeatureMaps` for `NO_CLASSIFIER`.

    A backbone's stem is the published one.
    """
    if num_classes == NO_CLASSIFIER:
        maps = FeatureMaps(Backbone(architecture, in_channels))
        maps.plan = plan_of(architecture, NO_CLASSIFIER, in_channels, STEM_STRIDE)
        return maps
    return build(architecture, num_classes, in_channels, stem_stride)


class Pyramid(nn.Module):
    """A backbone with a feature pyramid (Lin et al. 2017): five maps of `out_channels`, at strides 8 to 128."""

    def __init__(self, backbone: Backbone, out_channels: int = PYRAMID_CHANNELS) -> None:
        super().__init__()
        self.body, self.out_channels = backbone, out_channels
        extra = LastLevelP6P7(out_channels, out_channels)
        self.fpn = FeaturePyramidNetwork(list(backbone.channels), out_channels, extra)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The maps by level, the finest first."""
        levels: dict[str, Tensor] = self.fpn(self.body(images))
        return levels


def _retinanet(pyramid: Pyramid, num_classes: int, options: Mapping[str, Any]) -> nn.Module:
    sizes = tuple(tuple(round(4 * stride * scale) for scale in ANCHOR_SCALES) for stride in _level_strides())
    anchors = AnchorGenerator(sizes, len(sizes) * ((0.5, 1.0, 2.0),))
    network: nn.Module = RetinaNet(pyramid, num_classes, anchor_generator=anchors, **options)
    return network


def _fcos(pyramid: Pyramid, num_classes: int, options: Mapping[str, Any]) -> nn.Module:
    sizes = tuple((stride,) for stride in _level_strides())
    anchors = AnchorGenerator(sizes, len(sizes) * ((1.0,),))
    network: nn.Module = FCOS(pyramid, num_classes, anchor_generator=anchors, **options)
    return network


def _level_strides() -> tuple[int, ...]:
    return (*STRIDES, 2 * STRIDES[-1], 4 * STRIDES[-1])


DETECTORS: dict[str, Callable[[Pyramid, int, Mapping[str, Any]], nn.Module]] = {
    "retinanet": _retinanet,
    "fcos": _fcos,
}
"""torchvision's one-stage detectors by name."""


def detector(
    kind: str,
    backbone: Backbone,
    num_classes: int,
    *,
    out_channels: int = PYRAMID_CHANNELS,
    seed: int = 0,
    **options: Any,
) -> nn.Module:
    """A detector of torchvision's on the backbone, to be trained: images and targets to losses, or images to boxes.

    `num_classes` counts the background, which torchvision numbers 0. `options` go to torchvision's class, such as
    `min_size` and `max_size`, to which it resizes images.

    Raises:
        InputError: there is no detector of that name.
    """
    if kind not in DETECTORS:
        raise InputError(f"a detector must be one of {', '.join(DETECTORS)}, got {kind!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DETECTORS[kind](Pyramid(backbone, out_channels), num_classes, options)
