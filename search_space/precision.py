"""The number formats that memory is counted in, and networks run in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from search_space.errors import InputError
from search_space.reading import shown

RAM_IS = (
    "RAM is the most bytes of activations that live at once when units run in order, branches one after the other and "
    "element-wise layers in place"
)
FLASH_IS = (
    "flash is the weights with batch norms folded in: at fp32 4 bytes a weight and a bias; at int8 1 byte a weight, "
    "and 4 of bias and 4 of scale for each output channel"
)
FP32, INT8 = "fp32", "int8"
PRECISIONS = (FP32, INT8)
_IN_LATENCIES: Mapping[str, str] = MappingProxyType({FP32: "float32", "bf16": "bfloat16", INT8: INT8})
"""What kept latencies call what they were computed in."""
BYTES_PER_ELEMENT: Mapping[str, int] = MappingProxyType({FP32: 4, INT8: 1})
"""Of activations and weights."""
_BYTES_PER_CHANNEL: Mapping[str, int] = MappingProxyType({FP32: 4, INT8: 4 + 4})
"""Of what stands beside the weights for each output channel: its bias, and at int8 the scale of its weights."""


def kib(count: int, *, up: bool = True) -> str:
    """So many bytes to a tenth of a KiB, or of a MiB where they are many: "441 KiB", "17.3 MiB"."""
    size, unit = (2**10, "KiB") if count < 10 * 2**20 else (2**20, "MiB")
    tenths = -(-count * 10 // size) if up else count * 10 // size
    return f"{tenths / 10:,.1f}".removesuffix(".0") + f" {unit}"


def check_precision(name: str, value: Any) -> None:
    """Refuses what is no precision; `name` says in the message what it is.

    Raises:
        InputError: `value` is none of `PRECISIONS`.
    """
    if value not in PRECISIONS:
        raise InputError(f"{name} must be {' or '.join(PRECISIONS)}, got {shown(value)}")


def kept_precision(name: str) -> str:
    """What kept latencies call what users call "fp32", "bf16" or "int8"."""
    return _IN_LATENCIES.get(name, name)


def precision_named(kept: str) -> str:
    """What users call a precision of kept latencies."""
    return next((name for name, each in _IN_LATENCIES.items() if each == kept), kept)


def bytes_of_weights(weights: int, channels: int, precision: str) -> int:
    """The bytes of so many weights with a bias for each of so many output channels.

    At int8 a weight has one byte; a bias keeps four, as in TFLite and ONNX files, and so has the channel's scale.
    """
    return BYTES_PER_ELEMENT[precision] * weights + _BYTES_PER_CHANNEL[precision] * channels
