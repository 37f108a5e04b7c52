"""Architectures as a command line names them: presets and JSON files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.presets import PRESETS


def named_architectures(texts: Iterable[str]) -> Iterator[tuple[str, Architecture]]:
    """Each preset or file with its name: the preset's own, or the file's without its ending.

    Raises:
        InputError: as `read_architecture`.
    """
    for text in texts:
        yield (text if text in PRESETS else Path(text).stem), read_architecture(text)


def read_architecture(text: str) -> Architecture:
    """The preset of that name, or the architecture in that JSON file.

    Raises:
        InputError: it is neither, or the file holds no architecture that can be built.
    """
    if text in PRESETS:
        return PRESETS[text]
    try:
        data = json.loads(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"an architecture is a JSON file or a preset, and {text!r} is neither: {error.strerror}"
        ) from error
    except ValueError as error:
        raise InputError(f"an architecture is a JSON file, and {text!r} is not JSON: {error}") from error
    return Architecture.from_dict(data)
