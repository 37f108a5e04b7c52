"""Weights as safetensors, for `proxies.weights` and for the stand-alone Python file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from proxies.export.network import ExportedNetwork, Options, check_said
from proxies.export.text import built_by, source_for
from proxies.pretrained import read_trained_for
from proxies.weights import write_weights


def write_safetensors(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes weights and batch-norm statistics by name, and what they are for."""
    write_weights(file, network.module, network.about)


def load_safetensors(file: Path, network: ExportedNetwork) -> Callable[[Any], Any]:
    """The stand-alone Python file's network with the file's weights: so both are checked."""
    built = built_by(source_for(network), file)
    built.load_state_dict(load_file(file))
    built.eval()

    @torch.inference_mode()
    def run(images: Any) -> Any:
        return built(torch.from_numpy(images)).numpy()

    return run


def check_safetensors(file: Path, network: ExportedNetwork, options: Options) -> None:
    """Compares what the file says of itself with what was asked.

    Raises:
        WrongExport: it says something else, or holds other tensors.
    """
    said: dict[str, object] = {"what the weights are for": read_trained_for(file)}
    asked: dict[str, object] = {"what the weights are for": network.about}
    for tensors, values in ((load_file(file), said), (network.module.state_dict(), asked)):
        values["tensors"] = {name: (tuple(each.shape), each.dtype) for name, each in tensors.items()}
    check_said(said, asked)
