"""Networks as programs of `torch.export`: graph and weights in one file, for a torch without their source."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from proxies.export.network import ExportedNetwork, Options, check_said
from search_space.files import write_whole


def write_program(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes the network as a `torch.export` program."""
    about = network.about
    example = torch.zeros(options.batch or 2, about.channels, about.image_size, about.image_size)
    shapes = None if options.batch else ({0: torch.export.Dim("n")},)
    program = torch.export.export(network.module, (example,), dynamic_shapes=shapes)
    content = io.BytesIO()
    torch.export.save(program, content, extra_files=network.metadata())
    write_whole(file, content.getvalue())


def load_program(file: Path, network: ExportedNetwork) -> Callable[[Any], Any]:
    """The file's network in torch."""
    module = torch.export.load(file).module()

    @torch.inference_mode()
    def run(images: Any) -> Any:
        return module(torch.from_numpy(images)).numpy()

    return run


def check_program(file: Path, network: ExportedNetwork, options: Options) -> None:
    """Compares what the file says of itself with what was asked.

    Raises:
        WrongExport: it says something else.
    """
    about, metadata = network.about, dict.fromkeys(network.metadata(), "")
    program = torch.export.load(file, extra_files=metadata)
    (name,) = program.graph_signature.user_inputs
    (given,) = (node.meta["val"] for node in program.graph.nodes if node.name == name)
    batch = given.shape[0]
    said = {"images at once": batch if isinstance(batch, int) else None, "image": tuple(given.shape[1:])}
    asked = {"images at once": options.batch, "image": (about.channels, about.image_size, about.image_size)}
    check_said({**said, "type": given.dtype, **metadata}, {**asked, "type": torch.float32, **network.metadata()})
