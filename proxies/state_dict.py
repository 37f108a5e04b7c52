"""Weights by name: what others wrap, prefix or call otherwise is brought to the names of our networks, and copied.

Nothing is matched by its place: a state dict keeps whatever order its writer had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from search_space.errors import InputError

WRAPPERS = ("state_dict", "model", "model_state_dict", "network", "net", "model_ema", "state_dict_ema", "ema")
"""What a checkpoint's state dict is called; of several the first: an average's comes where there is no other."""
HEAD, CLASSIFIER = "head.", "classifier."
"""What the names of the parts begin with that a start with other classes, or a backbone, goes without."""
_ROOTS = ("stem", "stage2", "stage3", "stage4", "head", "classifier", "conv1", "conv5", "fc")
"""What names begin with in our networks and in torchvision's; what stands before it was put there by a wrapper."""
_WRAPPED = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile and FSDP put into names, wherever the module that they wrap stands."""
_COUNTS = ("n_averaged",)
"""What an average (`torch.optim.swa_utils`) keeps beside the weights."""
_NORM_COUNT = ".num_batches_tracked"
"""Of no use to a network that is run or trained here, and missing in old files."""
_THEIRS = (
    (re.compile(r"^conv1\."), "stem.branches.0."),
    (re.compile(r"^(stage\d+\.\d+)\.branch1\."), r"\1.branches.0."),
    (re.compile(r"^(stage\d+\.\d+)\.branch2\."), r"\1.branches.1."),
    (re.compile(r"^conv5\."), "head.branches.0."),
    (re.compile(r"^fc\."), "classifier.branches.0.1."),
)
"""torchvision's names of a ShuffleNetV2's parts, and ours."""


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """Tensors by our names; `called` are the names that they had, and `place` where in the file they stood."""

    tensors: Mapping[str, Tensor]
    called: Mapping[str, str]
    place: str = ""

    @property
    def num_classes(self) -> int | None:
        """For how many classes the classifier is; None where there is none."""
        sizes = {len(value) for name, value in self.tensors.items() if name.startswith(CLASSIFIER) and value.ndim}
        return sizes.pop() if len(sizes) == 1 else None


def weights_in(content: Any, source: str) -> Weights:
    """The weights in a state dict, ours or torchvision's, or in a checkpoint that holds one.

    `source` says in messages what it came from.

    Raises:
        InputError: there are no tensors by name, or several sets of them.
    """
    tensors, place = _opened(content, source)
    called = _plain_names(tensors)
    if len(called) < len(tensors) - sum(name in _COUNTS for name in tensors):
        raise InputError(f"weights must have a name each, and in {source} two are of one name but for their wrappers")
    return Weights({ours: tensors[theirs] for ours, theirs in called.items()}, called, place)


def load_by_name(network: nn.Module, weights: Weights, *, without: tuple[str, ...] = ()) -> None:
    """Copies the weights into the network, but for those whose names begin with one of `without`.

    Numbers of 16 or 64 bits become the network's own 32. Nothing is copied where anything is wrong.

    Raises:
        InputError: they are those of another architecture, or no numbers that a network can have.
    """
    ours = network.state_dict()
    names = [name for name in ours if not name.startswith(without)]
    _check_names(names, {name: each for name, each in weights.called.items() if not name.startswith(without)})
    for name in names:
        if name in weights.tensors:
            _check(name, ours[name], weights)
            ours[name] = weights.tensors[name]
    network.load_state_dict(ours)


def _opened(content: Any, source: str) -> tuple[Mapping[str, Tensor], str]:
    """The tensors by name, and the name of the entry that holds them ("" for the whole)."""
    if _holds_tensors(content):
        return content, ""
    inner = (
        {name: each for name, each in content.items() if _holds_tensors(each)} if isinstance(content, Mapping) else {}
    )
    chosen = [name for name in WRAPPERS if name in inner] or list(inner)
    if len(chosen) > 1 and chosen[0] not in WRAPPERS:
        listed = ", ".join(map(str, chosen))
        raise InputError(f"weights must be one state dict, and {source} holds several: {listed}; save one by itself")
    if not chosen:
        held = ", ".join(str(name) for name in list(content)[:5]) if isinstance(content, Mapping) else ""
        named = f" ({held})" if held else ""
        raise InputError(
            f"weights must be a state dict, tensors by name, and {source} holds something else{named}: "
            f"write it with torch.save(network.state_dict(), FILE)"
        )
    return inner[chosen[0]], chosen[0]


def _holds_tensors(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(name, str) and isinstance(each, Tensor) for name, each in content.items())
    )


def _plain_names(names: Iterable[str]) -> dict[str, str]:
    """Our names of tensors -> the names that they have in the file."""
    plain = {_WRAPPED.sub("", name): name for name in names if name not in _COUNTS}
    while len(roots := {name.partition(".")[0] for name in plain}) == 1 and not roots & set(_ROOTS):
        if not all("." in name for name in plain):
            break
        plain = {name.partition(".")[2]: theirs for name, theirs in plain.items()}
    return {_our_name(name): theirs for name, theirs in plain.items()}


def _our_name(name: str) -> str:
    for theirs, ours in _THEIRS:
        name = theirs.sub(ours, name)
    return name


def _check_names(names: list[str], called: Mapping[str, str]) -> None:
    lacking = [name for name in names if name not in called and not name.endswith(_NORM_COUNT)]
    others = [theirs for name, theirs in called.items() if name not in names]
    lone = [f"only {where} has {_counted(found)}" for where, found in (("it", lacking), ("the file", others)) if found]
    if lone:
        raise InputError(f"weights must be those of this architecture: {', '.join(lone)}")


def _counted(names: list[str]) -> str:
    more = len(names) - 1
    return names[0] + (f" and {more} more" if more else "")


def _check(name: str, ours: Tensor, weights: Weights) -> None:
    """Refuses a tensor that cannot take the place of ours."""
    theirs, called = weights.tensors[name], weights.called[name]
    if ours.shape != theirs.shape:
        shapes = f"{name} is {tuple(ours.shape)}, {_in_file(name, called)} {tuple(theirs.shape)}"
        raise InputError(f"weights must be those of this architecture: {shapes}")
    is_plain = theirs.layout == torch.strided and not theirs.is_complex() and not theirs.is_meta
    if not is_plain or (ours.is_floating_point() and not theirs.is_floating_point()):
        raise InputError(f"weights must be floating-point numbers, and {called} holds {theirs.dtype}")
    values = theirs.to(ours.dtype)
    if not torch.isfinite(values).all():
        raise InputError(f"weights must be finite numbers, and {called} holds some that are not")
    if name.endswith(".running_var") and (values < 0).any():
        raise InputError(f"variances must be 0 or more, and {called} holds one of {values.min().item():.3g}")


def _in_file(name: str, called: str) -> str:
    return "in the file" if name == called else f"in the file {called}"
