"""Checkpoints of a training: a reader finds the last one whole, whenever the writer was killed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from search_space.errors import InputError
from search_space.files import write_whole
from search_space.reading import check_unpacked

SCHEMA = 1
_CURE = "remove it, or name another folder"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training as it stood after an epoch.

    `identity` is what must be the same for it to go on exactly, as plain JSON values; `trainer` is
    `Trainer.state_dict()`; `result` is what the finished training came to, as plain JSON values, and None before that.
    """

    identity: dict[str, Any]
    trainer: dict[str, Any]
    result: dict[str, Any] | None = None


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> Path:
    """`path`, which holds the checkpoint now; a process killed meanwhile leaves the one before."""
    buffer = io.BytesIO()
    fields = {"identity": checkpoint.identity, "trainer": checkpoint.trainer, "result": checkpoint.result}
    torch.save({"schema": SCHEMA, **fields}, buffer)
    return write_whole(path, buffer.getvalue())


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in the file, its tensors on the CPU.

    Raises:
        InputError: the file cannot be read, or is no checkpoint of this version.
    """
    check_unpacked(path, "a checkpoint must be a file as torch.save writes it")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling what was never pickled may raise any
        raise InputError(f"a checkpoint must be readable, and {str(path)!r} is not: {_CURE}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"a checkpoint must be of this version, schema {SCHEMA}, and {str(path)!r} is not: {_CURE}")
    identity, trainer, result = (content.get(name) for name in ("identity", "trainer", "result"))
    if not isinstance(identity, dict) or not isinstance(trainer, dict):
        raise damaged(path, "it has no identity or no state")
    if not isinstance(result, dict | None):
        raise damaged(path, "its result is none")
    return Checkpoint(identity, trainer, result)


def damaged(path: Path, reason: object) -> InputError:
    """What is said of a checkpoint that holds something else than was written."""
    return InputError(f"a checkpoint must be as nas.train wrote it, and {str(path)!r} is not ({reason}): {_CURE}")
