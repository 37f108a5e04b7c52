"""Trained weights as a safetensors file that says which network they are for, and weights to start a training from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save
from torch import nn

from proxies.network import build
from proxies.pretrained import (
    KEY,
    SUFFIX,
    TrainedFor,
    load_by_name,
    load_torchvision_weights,
    read_trained_for,
    tensors_of,
)
from search_space.errors import InputError
from search_space.files import write_whole


def write_weights(path: Path, network: nn.Module, trained_for: TrainedFor) -> Path:
    """`path`, which holds the network's weights and statistics now; same network, same bytes."""
    # Neither values in channels_last order nor those on a GPU can be written.
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return write_whole(path, save(tensors, {KEY: json.dumps(trained_for.to_dict(), sort_keys=True)}))


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
