"""Any architecture as the backbone of an Ultralytics YOLO; `proxies.export.ultralytics_yaml` writes its YAML file.

Ultralytics is an extra (`.[ultralytics]`), and licensed under AGPL-3.0 where this project is MIT: know what that asks
of programs and services that use it before installing it. Tried with version 8.4.190.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from proxies.backbone import Backbone, FeatureMaps, backbone_of
from proxies.pretrained import trained_for_in
from search_space.architecture import Architecture
from search_space.errors import InputError

SHIPPED_YAML = Path(__file__).with_name("shufflenas.yaml")
"""A YOLO on V2* 1x, the unit for detection (Ma 2018, table 7)."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation that torchvision's weights were trained with, on a scale of 0 to 1."""
CONVOLUTION, RUNNING_MEAN = "stem.branches.0.0.weight", "stem.branches.0.1.running_mean"
"""What an image comes to first."""


class ShuffleNASBackbone(FeatureMaps):
    """What the YAML file names: images (n, in_channels, h, w), from 0 to 1, to maps at strides 8, 16 and 32.

    `architecture` is JSON of schema 1. The initial weights follow torch's generator, which YOLO's `seed` sets.

    Raises:
        InputError: there is no such architecture.
    """

    def __init__(self, architecture: Mapping[str, Any], in_channels: int = 3) -> None:
        seed = int(torch.randint(2**31, ()))
        super().__init__(Backbone(Architecture.from_dict(architecture), in_channels, seed=seed))
        self.architecture = Architecture.from_dict(architecture)
        for module in self.modules():
            if type(module) is nn.ChannelShuffle:
                module.__class__ = ReshapedShuffle


class ReshapedShuffle(nn.ChannelShuffle):
    """`nn.ChannelShuffle` for Ultralytics' exports: they trace, and ONNX files of a trace know no channel shuffle."""

    def forward(self, input: Tensor) -> Tensor:
        """The channels of `input`, shuffled."""
        n, channels, h, w = input.shape
        return input.reshape(n, self.groups, channels // self.groups, h, w).transpose(1, 2).reshape(n, channels, h, w)


def register() -> None:
    """Has Ultralytics, in this process, build and train what its YAML files call `ShuffleNASBackbone`.

    Its parser finds modules among its own globals and offers no other way. A trained checkpoint is loaded and predicts
    without it.

    Raises:
        InputError: Ultralytics is not installed.
    """
    if not find_spec("ultralytics"):
        cure = "python -m pip install -e '.[ultralytics]'"
        raise InputError(f"a YOLO needs the package ultralytics (AGPL-3.0), which is not installed: {cure}")
    setattr(import_module("ultralytics.nn.tasks"), ShuffleNASBackbone.__name__, ShuffleNASBackbone)


def start_from(yolo: Any, weights: Path | str) -> Any:
    """`yolo`, an `ultralytics.YOLO`, whose backbone has a classifier's weights now; its `train` starts from them.

    `weights` are a file of `nas.train`, or of a state dict of torchvision's (.pth), which are for ImageNet. Ultralytics
    sets every batch norm's eps to 0.001, torch's is 0.00001: maps differ from the classifier's until they are trained.

    Raises:
        InputError: the YOLO has another backbone, or the weights cannot be read or are of another network.
    """
    maps = yolo.model.model[0]
    if not isinstance(maps, ShuffleNASBackbone):
        raise InputError(f"a YOLO to start must have a ShuffleNASBackbone first, got {type(maps).__name__}")
    maps.backbone.load_state_dict(_weights(maps, Path(weights)))
    return yolo.load(yolo.model)  # from itself: `train` builds anew from the YAML file unless something was loaded


def _weights(maps: ShuffleNASBackbone, file: Path) -> dict[str, Tensor]:
    """The classifier's weights for images from 0 to 1, which Ultralytics does not normalise: the stem does it.

    Exact but for the border: the padding was the mean colour and is black. Grey is the mean of colours.
    """
    about = trained_for_in(file)
    mean, std = (torch.tensor(each) for each in ((about.mean, about.std) if about else IMAGENET))
    state = backbone_of(maps.architecture, len(mean), pretrained=file).state_dict()
    kernel = state[CONVOLUTION] / std[:, None, None]
    state[RUNNING_MEAN] = state[RUNNING_MEAN] + (kernel * mean[:, None, None]).sum(dim=(1, 2, 3))
    channels = maps.backbone.state_dict()[CONVOLUTION].shape[1]
    if len(mean) not in (1, channels):
        raise InputError(f"weights must take images of {channels} channels, or of 1; {str(file)!r} take {len(mean)}")
    state[CONVOLUTION] = kernel if len(mean) == channels else kernel.expand(-1, channels, -1, -1) / channels
    return state
