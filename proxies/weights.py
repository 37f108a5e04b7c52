"""Trained weights as a safetensors file that says which network they are for, and weights to start a training from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from proxies.network import build, load_torchvision_weights
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.files import write_whole

SUFFIX = ".safetensors"
KEY = "shufflenet_nas"
"""The one key of the file's metadata: of several the order in the file would change from time to time."""
SCHEMA = 1
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
    def from_dict(cls, data: Mapping[str, Any]) -> TrainedFor:
        """What `to_dict` gave."""
        return cls(
            architecture=Architecture.from_dict(data["architecture"]),
            classes=tuple(data["classes"]),
            channels=data["channels"],
            stem_stride=data["stem_stride"],
            image_size=data["image_size"],
            mean=tuple(data["mean"]),
            std=tuple(data["std"]),
        )


def write_weights(path: Path, network: nn.Module, trained_for: TrainedFor) -> Path:
    """`path`, which holds the network's weights and statistics now; same network, same bytes."""
    # Neither values in channels_last order nor those on a GPU can be written.
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return write_whole(path, save(tensors, {KEY: json.dumps(trained_for.to_dict(), sort_keys=True)}))


def read_trained_for(path: Path) -> TrainedFor:
    """What the weights in the file are for.

    Raises:
        InputError: the file cannot be read, or `write_weights` has not written it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            data = json.loads((file.metadata() or {})[KEY])
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(f"weights must be a file that nas.train has written, and {str(path)!r} is not") from error
    if data["schema"] != SCHEMA:
        raise InputError(f"weights must be of schema {SCHEMA}, got {data['schema']!r} in {str(path)!r}")
    return TrainedFor.from_dict(data)


def network_from(path: Path) -> nn.Module:
    """The trained network in the file, on the CPU and in eval mode: (n, channels, h, w) to (n, classes).

    Raises:
        InputError: the file cannot be read, or `write_weights` has not written it.
    """
    about = read_trained_for(path)
    network = build(about.architecture, len(about.classes), about.channels, about.stem_stride)
    network.load_state_dict(load_file(path))
    return network.eval()


def start_from(network: nn.Module, path: Path) -> str:
    """What was taken, in one line: the weights in the file are the network's now.

    The file is one of `write_weights`, or the state dict of one of torchvision's ShuffleNetV2 (.pth). A classifier for
    another number of classes is left out: the network's keeps its own initialisation.

    Raises:
        InputError: the file cannot be read, or its weights are those of another architecture.
    """
    load: Callable[..., None]
    theirs = tensors_of(path)
    if path.suffix == SUFFIX:
        there, load = len(read_trained_for(path).classes), load_by_name
    else:
        there, load = list(theirs.values())[-1].numel(), load_torchvision_weights
    here = list(network.state_dict().values())[-1].numel()
    try:
        load(network, theirs, classifier=there == here)
    except InputError as error:
        raise InputError(f"{str(path)!r} cannot be started from: {error}") from error
    if there == here:
        return f"starts from {path}"
    return f"starts from {path}, but its classifier is for {there} classes and the one here, for {here}, starts anew"


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
