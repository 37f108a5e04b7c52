"""Files that are there whole or not at all, however their writer ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write, which is `path` at the end, on disk; until then what was there before stays."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere no folder can be opened
        _sync(path.parent)


def write_whole(path: Path, content: bytes) -> Path:
    """`path`, which holds `content` now."""
    with replacing(path) as partial:
        partial.write_bytes(content)
    return path


def write_json(path: Path, content: Any, *, allow_nan: bool = True) -> Path:
    """`path`, which holds the content as JSON now."""
    return write_whole(path, (json.dumps(content, indent=1, allow_nan=allow_nan) + "\n").encode())


def _sync(path: Path) -> None:
    """Brings the file, or the folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
