"""Weights from files, our own and others': what is in them, and what they are for."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from proxies.state_dict import CLASSIFIER, Weights, load_by_name, weights_in
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.plan import STEM_STRIDES
from search_space.reading import Fields, check_unpacked, parse_json, shown

SUFFIX = ".safetensors"
KEY = "shufflenet_nas"
"""The one key of the file's metadata: of several the order in the file would change from time to time."""
SCHEMA = 1
MOST_CLASSES, MOST_CHANNELS, LARGEST_SIDE = 10**6, 1000, 10**5


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
        if not classes or not all(isinstance(name, str) for name in classes):
            raise InputError(f"'classes' in {data.where} must be names, got {shown(classes)}")
        for name, values in (("mean", mean), ("std", std)):
            if len(values) != channels or not all(type(value) in (int, float) for value in values):
                raise InputError(f"{name!r} in {data.where} must be a number for each channel, got {shown(values)}")
        if min(std) < 0:
            raise InputError(f"'std' in {data.where} must be 0 or more, got {shown(std)}")
        stem_stride = data.whole("stem_stride", min(STEM_STRIDES), max(STEM_STRIDES))
        if stem_stride not in STEM_STRIDES:
            raise InputError(f"'stem_stride' in {data.where} must be one of {STEM_STRIDES}, got {stem_stride}")
        try:
            architecture = Architecture.from_dict(data.value("architecture"))
        except InputError as error:
            raise InputError(f"'architecture' in {data.where}: {error}") from error
        return cls(
            architecture=architecture,
            classes=tuple(classes),
            channels=channels,
            stem_stride=stem_stride,
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


def trained_for_in(path: Path) -> TrainedFor | None:
    """What the weights in the file are for, where it says so; None for those of other programs.

    Raises:
        InputError: `write_weights` has written the file, and it is damaged.
    """
    if not _is_safetensors(path) or KEY not in _metadata(path):
        return None
    return read_trained_for(path)


def weights_of(given: Mapping[str, Any] | Path | str) -> Weights:
    """The weights in a state dict, or in a file: of `write_weights`, other safetensors, or torch's own (.pth, .pt).

    Raises:
        InputError: the file cannot be read, or there are no weights.
    """
    if isinstance(given, Mapping):
        return weights_in(given, "this state dict")
    path = Path(given)
    if not _is_safetensors(path):
        return weights_in(_unpickled(path), repr(str(path)))
    _metadata(path)
    return weights_in(load_file(path), repr(str(path)))


def load_torchvision_weights(network: nn.Module, state_dict: Mapping[str, Any], *, classifier: bool = True) -> None:
    """Copies the weights of one of torchvision's ShuffleNetV2 into our network of the same preset.

    They are found by their names, in whatever order they come, and checked by shape. With `classifier=False` the last
    linear layer keeps its own weights: for a start from pretrained weights with other classes.

    Raises:
        InputError: weights of another architecture.
    """
    load_by_name(network, weights_of(state_dict), without=() if classifier else (CLASSIFIER,))


def _is_safetensors(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX


def _metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise InputError(f"weights must be in a safetensors file that can be read, and {str(path)!r} cannot") from error


def _unpickled(path: Path) -> Any:
    """What is in a file of `torch.save`: tensors and plain values alone, never code."""
    check_unpacked(path, "weights must be a file as torch.save writes it")
    try:
        with torch.serialization.safe_globals([Namespace]):  # the flags, in checkpoints of torchvision's own script
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling what was never pickled may raise any
        raise InputError(
            f"weights must be a file of nas.train ({SUFFIX}) or a state dict of torchvision's (.pth), "
            f"and {str(path)!r} cannot be read as one: write it with torch.save(network.state_dict(), FILE)"
        ) from error
