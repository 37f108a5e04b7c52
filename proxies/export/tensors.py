"""Weights as safetensors, for `proxies.weights` and for the stand-alone Python file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from proxies.export.network import ExportedNetwork, Options
from proxies.export.python_source import source_of
from proxies.weights import write_weights


def write_safetensors(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes weights and batch-norm statistics by name, and what they are for."""
    write_weights(file, network.module, network.about)


def load_safetensors(file: Path, network: ExportedNetwork) -> Callable[[Any], Any]:
    """The stand-alone Python file's network with the file's weights: so both are checked."""
    about = network.about
    source = source_of(about.architecture, about.image_size, len(about.classes), about.channels, about.stem_stride)
    module: dict[str, Any] = {"__name__": file.stem}
    exec(compile(source, str(file), "exec"), module)
    built = module["build"]()
    built.load_state_dict(load_file(file))
    built.eval()

    @torch.inference_mode()
    def run(images: Any) -> Any:
        return built(torch.from_numpy(images)).numpy()

    return run
