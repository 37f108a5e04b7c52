"""ONNX files that hold a whole network and nothing else: the only ones that an agent runs for others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search_space.errors import InputError

STANDARD_DOMAINS = ("", "ai.onnx")
"""Where ONNX's own operators stand. Those of other domains may load libraries, or read files that a node names."""
SETTINGS_IN_MODEL = "ort_config"
"""The metadata in which a file may bring settings of its own for ONNX Runtime."""


def check_plain_onnx(content: bytes) -> None:
    """Refuses an ONNX file that refers to anything outside of itself.

    Raises:
        InputError: it is no ONNX file, has weights in other files, operators that are not ONNX's own, or settings for
            the runtime; or the package `onnx`, which reads it, is not installed.
    """
    onnx = onnx_package()
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf has a class of its own for each of its implementations
        raise InputError(f"a network must be an ONNX file, and what came is none: {type(error).__name__}") from error
    if not model.HasField("graph"):
        raise InputError("a network must be an ONNX file, and what came holds no graph")
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto" and (message.external_data or message.data_location == onnx.TensorProto.EXTERNAL):
            raise InputError("a network must hold its weights itself, and this one's lie in another file")
        if kind == "NodeProto" and message.domain not in STANDARD_DOMAINS:
            raise InputError(f"a network's operators must be ONNX's own; one is of {message.domain[:60]!r}")
    if any(entry.key == SETTINGS_IN_MODEL for entry in model.metadata_props):
        raise InputError(f"a network must leave the runtime's settings alone, and this one has {SETTINGS_IN_MODEL!r}")


def onnx_package() -> Any:
    """The package `onnx`.

    Raises:
        InputError: it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError(
            "networks of others are looked into before they are run, by the package onnx, which is not installed here: "
            "python -m pip install onnx"
        ) from error
    return onnx


def _messages(message: Any) -> Iterator[Any]:
    """The protobuf message and all that lie in it, however deep."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _messages(inner)
