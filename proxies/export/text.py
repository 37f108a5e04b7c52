"""Formats that say how a network is made, and hold no weights."""

from __future__ import annotations

from pathlib import Path

from proxies.export.network import ExportedNetwork, Options
from proxies.export.python_source import source_of
from search_space import files


def write_json(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes the architecture as JSON of schema 1."""
    files.write_json(file, network.about.architecture.to_dict())


def write_py(network: ExportedNetwork, file: Path, options: Options) -> None:
    """Writes a Python module that needs torch alone, whose `build()` takes the weights."""
    about = network.about
    source = source_of(about.architecture, about.image_size, len(about.classes), about.channels, about.stem_stride)
    files.write_text(file, source)
