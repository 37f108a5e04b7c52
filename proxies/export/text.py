"""Formats that say how a network is made, and hold no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from proxies.export.network import ExportedNetwork, Options, check_said
from proxies.export.python_source import source_of
from search_space import files
from search_space.architecture import Architecture
from search_space.reading import read_json


def write_json(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes the architecture as JSON of schema 1."""
    files.write_json(file, network.about.architecture.to_dict())


def write_py(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes a Python module that needs torch alone, whose `build()` takes the weights."""
    files.write_text(file, source_for(network))


def check_json(file: Path, network: ExportedNetwork, options: Options) -> None:
    """Compares the architecture in the file with the network's.

    Raises:
        WrongExport: it is another one.
    """
    said = Architecture.from_dict(read_json(file, "an architecture is a JSON file"))
    check_said({"architecture": said}, {"architecture": network.about.architecture})


def check_py(file: Path, network: ExportedNetwork, options: Options) -> None:
    """Compares the tensors of the network that the file builds with the network's.

    Raises:
        WrongExport: they are others.
    """
    networks = built_by(file.read_text(encoding="utf-8"), file), network.module
    said, asked = ({name: tuple(each.shape) for name, each in one.state_dict().items()} for one in networks)
    check_said({"tensors": said}, {"tensors": asked})


def source_for(network: ExportedNetwork) -> str:
    """The text of a Python file that builds the network."""
    about = network.about
    return source_of(about.architecture, about.image_size, len(about.classes), about.channels, about.stem_stride)


def built_by(source: str, file: Path) -> nn.Module:
    """The network that the Python file's text builds, with random weights."""
    module: dict[str, Any] = {"__name__": file.stem}
    exec(compile(source, str(file), "exec"), module)
    built: nn.Module = module["build"]()
    return built
