"""Weights from files, our own and torchvision's: read, and copied into a network that fits them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.reading import Fields, parse_json, shown

SUFFIX = ".safetensors"
KEY = "shufflenet_nas"
"""The one key of the file's metadata: of several the order in the file would change from time to time."""
SCHEMA = 1
MOST_CLASSES, MOST_CHANNELS, MOST_STRIDE, LARGEST_SIDE = 10**6, 1000, 4, 10**5
CLASSIFIER_TENSORS = 2
"""Weight and bias, the last ones of a network."""


@dataclass(frozen=True, slots=True)
class TrainedFor:
    """What trained weights are for: all that is needed to build their network and to prepare an image for it.

    `classes` are the names in the order of the outputs. Images of `channels` channels are `image_size` pixels wide and
    high; `mean` and `std` of each channel, on a scale of 0 to 1, become 0 and 1.
    """

    architecture: Architecture
    classes: tuple[str, ...]
    channels: int
    stem_stride: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        fields = {name: value for name, value in asdict(self).items() if name != "architecture"}
        return {"schema": SCHEMA, "architecture": self.architecture.to_dict(), **fields}

    @classmethod
    def read(cls, data: Fields) -> TrainedFor:
        """What `to_dict` gave.

        Raises:
            InputError: a field is missing, or is none that it gives.
        """
        classes, mean, std = data.rows("classes", MOST_CLASSES), data.rows("mean"), data.rows("std")
        channels = data.whole("channels", 1, MOST_CHANNELS)
        if not all(isinstance(name, str) for name in classes):
            raise InputError(f"'classes' in {data.where} must be names, got {shown(classes)}")
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != channels or not all(type(value) in (int, float) for value in values):
                raise InputError(f"{name!r} in {data.where} must be a number for each channel, got {shown(values)}")
        return cls(
            architecture=Architecture.from_dict(data.value("architecture")),
            classes=tuple(classes),
            channels=channels,
            stem_stride=data.whole("stem_stride", 1, MOST_STRIDE),
            image_size=data.whole("image_size", 1, LARGEST_SIDE),
            mean=tuple(mean),
            std=tuple(std),
        )


def read_trained_for(path: Path) -> TrainedFor:
    """What the weights in the file are for.

    Raises:
        InputError: the file cannot be read, or `write_weights` has not written it.
    """
    rule = "weights must be a file that nas.train has written"
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[KEY]
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"{rule}, and {str(path)!r} is not") from error
    where = f"what {str(path)!r} says of itself"
    data = Fields(parse_json(text, rule, where), where)
    if data.value("schema") != SCHEMA:
        raise InputError(f"weights must be of schema {SCHEMA}, got {shown(data.value('schema'))} in {str(path)!r}")
    return TrainedFor.read(data)


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The tensors by name in a file of `write_weights`, or in the file of a state dict of torchvision's (.pth).

    Raises:
        InputError: the file cannot be read.
    """
    if path.suffix != SUFFIX:
        return _torch_tensors(path)
    read_trained_for(path)
    return dict(load_file(path))


def load_by_name(network: nn.Module, theirs: Mapping[str, Tensor], *, classifier: bool) -> None:
    """Copies weights of our own into the network, but its classifier's where `classifier` is False.

    Raises:
        InputError: they are those of another architecture.
    """
    ours = network.state_dict()
    names = list(ours) if classifier else list(ours)[:-CLASSIFIER_TENSORS]
    left_out = set(ours).difference(names)
    if lone := sorted((set(names) ^ set(theirs)) - left_out):
        where = "it" if lone[0] in ours else "the file"
        raise InputError(f"weights must be those of this architecture: only {where} has {lone[0]}")
    for name in names:
        if ours[name].shape != theirs[name].shape:
            shapes = f"{name} is {tuple(ours[name].shape)}, in the file {tuple(theirs[name].shape)}"
            raise InputError(f"weights must be those of this architecture: {shapes}")
        ours[name] = theirs[name]
    network.load_state_dict(ours)


def _torch_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save`."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling what was never pickled may raise any
        raise InputError(
            f"weights must be a file of nas.train ({SUFFIX}) or a state dict of torchvision's (.pth), "
            f"and {str(path)!r} cannot be read as one"
        ) from error
    if not isinstance(content, dict) or not content or not all(isinstance(each, Tensor) for each in content.values()):
        raise InputError(f"weights must be a state dict, tensors by name, and {str(path)!r} holds something else")
    return content


def load_torchvision_weights(network: nn.Module, state_dict: Mapping[str, Tensor], *, classifier: bool = True) -> None:
    """Copies the weights of one of torchvision's ShuffleNetV2 into our network of the same preset.

    Our layers stand in the order of theirs, so weights are matched by position and checked by shape. With
    `classifier=False` the last linear layer keeps its own weights: for a start from pretrained weights with other
    classes.

    Raises:
        InputError: weights of another architecture.
    """
    ours = network.state_dict()
    theirs = list(state_dict.items())
    names = list(ours)
    if not classifier:
        names, theirs = names[:-2], theirs[:-2]
    if len(names) != len(theirs):
        raise InputError(f"weights must be those of this architecture: it has {len(names)} tensors, got {len(theirs)}")
    for name, (their_name, value) in zip(names, theirs, strict=True):
        if ours[name].shape != value.shape:
            raise InputError(
                f"weights must be those of this architecture: {name} is {tuple(ours[name].shape)}, "
                f"{their_name} {tuple(value.shape)}"
            )
        ours[name] = value
    network.load_state_dict(ours)
