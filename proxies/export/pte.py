"""Networks as ExecuTorch programs, for phones and boards, through XNNPACK."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from proxies.export.network import ExportedNetwork, Options
from proxies.latency.runtimes import executorch_runtime


def write_pte(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes the network for one image at a time, whatever the options say."""
    about = network.about
    shape = (1, about.channels, about.image_size, about.image_size)
    executorch_runtime.write_pte(network.module, file, shape, "cpu")


def load_pte(file: Path, network: ExportedNetwork) -> Callable[[Any], Any]:
    """The file's network in ExecuTorch, one image after the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from executorch.extension.pybindings import portable_lib

    module = portable_lib._load_for_executorch(str(file))
    return lambda images: torch.cat([module.forward((one[None],))[0] for one in torch.from_numpy(images)]).numpy()
