"""Trained weights as a safetensors file that says which network they are for, and weights to start a training from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save
from torch import nn

from proxies.network import build
from proxies.pretrained import KEY, TrainedFor, read_trained_for, trained_for_in, weights_of
from proxies.state_dict import CLASSIFIER, Weights, load_by_name
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
        InputError: the file cannot be read, `write_weights` has not written it, or it is damaged.
    """
    about = read_trained_for(path)
    network = build(about.architecture, len(about.classes), about.channels, about.stem_stride)
    try:
        load_by_name(network, weights_of(path))
    except InputError as error:
        raise InputError(f"{str(path)!r} does not hold the network that it says it does: {error}") from error
    return network.eval()


def start_from(network: nn.Module, path: Path, classes: Sequence[str] = ()) -> str:
    """What was taken, in one line: the weights in the file are the network's now.

    The file is one of `write_weights`, or a state dict of one of torchvision's ShuffleNetV2. Where it names its classes
    and `classes` are the network's, each class takes the classifier's row of its own name, and one that is new keeps
    its own start. Else a classifier of as many classes is taken as it is, and any other left out.

    Raises:
        InputError: the file cannot be read, or its weights are those of another architecture.
    """
    weights, about = weights_of(path), trained_for_in(path)
    text = f"starts from {path}" + (f", its {weights.place!r}" if weights.place else "")
    here, there = _outputs(network), weights.num_classes
    known = about.classes if about and classes else ()
    rows = {row: known.index(name) for row, name in enumerate(classes) if name in known}
    is_left_out = not rows if known else there != here
    try:
        chosen = _with_rows(network, weights, rows) if rows else weights
        load_by_name(network, chosen, without=(CLASSIFIER,) if is_left_out else ())
    except InputError as error:
        raise InputError(f"{str(path)!r} cannot be started from: {error}") from error
    if there is None:
        return f"{text}, but it holds no classifier: the one here, for {here} classes, starts anew"
    if is_left_out and known:
        return f"{text}, but its classifier is for other classes and the one here starts anew"
    if is_left_out:
        return f"{text}, but its classifier is for {there} classes and the one here, for {here}, starts anew"
    if known and len(rows) < here:
        return (
            f"{text}, its classifier's rows by the names of {len(rows)} classes; {here - len(rows)} new ones start anew"
        )
    return text


def _outputs(network: nn.Module) -> int:
    return next(len(value) for name, value in network.state_dict().items() if name.startswith(CLASSIFIER))


def _with_rows(network: nn.Module, weights: Weights, rows: Mapping[int, int]) -> Weights:
    """The weights, but of the classifier the network's own rows, into which `rows` (here, there) are copied."""
    tensors = dict(weights.tensors)
    here, there = list(rows), list(rows.values())
    for name, ours in network.state_dict().items():
        theirs = tensors.get(name)
        if name.startswith(CLASSIFIER) and theirs is not None and theirs.shape[1:] == ours.shape[1:]:
            tensors[name] = ours.clone()
            tensors[name][here] = theirs[there].to(ours)
    return replace(weights, tensors=tensors)
