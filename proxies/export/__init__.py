"""The formats that a network is exported in, one row each. None is imported before it is used.

- `network`: a network as it is exported
- `onnx_file`: ONNX
- `onnx_int8`: ONNX in 8 bits
- `program`: a program of `torch.export`
- `pte`: an ExecuTorch program
- `python_source`: an architecture as a Python module of its own
- `tensors`: weights as safetensors
- `text`: formats without weights
- `ultralytics_yaml`: a YOLO's YAML file
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from search_space.errors import InputError

DYNAMIC = "dynamic"
"""In place of a batch: any number of images."""

if TYPE_CHECKING:
    from proxies.export.network import ExportedNetwork, Options

__all__ = ["FORMATS", "Format", "check_formats", "check_options"]


@dataclass(frozen=True)
class Format:
    """How one format takes a network.

    The functions stand in a module of this package and are named `module:function`, so that nothing is imported before
    it is used: `write(network, file, options)` writes the file, and `load(file, network)` gives what runs it: a call
    from images (n, c, h, w), float32 and normalised, to logits, both numpy arrays. A format without a loader holds no
    weights. `check(file, network, options)` reads what the file says of itself. `is_exact` says whether its outputs are
    the network's but for rounding in float32; one that rounds more needs training images for that. `opsets` are the
    first and the last of ONNX's operator sets that it is written in, `takes_one` says that it takes one image at a time
    alone. `needs` is a package, and `extra` this project's extra that installs it ("" where the project itself does).
    """

    suffix: str
    writer: str
    loader: str = ""
    checker: str = ""
    is_exact: bool = True
    opsets: tuple[int, int] | None = None
    takes_one: bool = False
    needs: str = ""
    extra: str = ""

    @property
    def holds_weights(self) -> bool:
        """Whether there must be weights to write."""
        return bool(self.loader)

    def write(self, network: ExportedNetwork, file: Path, options: Options) -> None:
        """Writes the network to the file."""
        _function(self.writer)(network, file, options)

    def check(self, file: Path, network: ExportedNetwork, options: Options) -> None:
        """Compares what the file says of itself with what was asked.

        Raises:
            WrongExport: it says something else.
        """
        if self.checker:
            _function(self.checker)(file, network, options)

    def load(self, file: Path, network: ExportedNetwork) -> Callable[..., object]:
        """What runs the file's network: normalised images (n, c, h, w) to logits."""
        return cast("Callable[..., object]", _function(self.loader)(file, network))


FORMATS: dict[str, Format] = {
    "json": Format(".json", "text:write_json", checker="text:check_json"),
    "py": Format(".py", "text:write_py", checker="text:check_py"),
    "safetensors": Format(
        ".safetensors", "tensors:write_safetensors", "tensors:load_safetensors", "tensors:check_safetensors"
    ),
    "onnx": Format(".onnx", "onnx_file:write_onnx", "onnx_file:load_onnx", "onnx_file:check_onnx", opsets=(11, 23)),
    "onnx-int8": Format(
        ".int8.onnx",
        "onnx_int8:write_int8",
        "onnx_file:load_onnx",
        "onnx_int8:check_int8",
        is_exact=False,
        opsets=(13, 23),  # from 13 on there are scales by channel
    ),
    "torch": Format(".pt2", "program:write_program", "program:load_program", "program:check_program"),
    "ultralytics": Format(".yaml", "ultralytics_yaml:write_yaml"),
    "executorch": Format(
        ".pte", "pte:write_pte", "pte:load_pte", takes_one=True, needs="executorch", extra="executorch"
    ),
}
"""Name -> how it is written, and read back to be compared."""


def check_formats(text: str) -> list[str]:
    """The formats that a text such as "onnx,py" names; "all" names those that are installed.

    Raises:
        InputError: a name is unknown, or what it needs is not installed.
    """
    if text == "all":
        return [name for name, row in FORMATS.items() if not row.needs or find_spec(row.needs)]
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise InputError(f"--format must be all, or some of {', '.join(FORMATS)}, joined by commas; got {text!r}")
        row = FORMATS[name]
        if row.needs and not find_spec(row.needs):
            cure = f"python -m pip install -e '.[{row.extra}]'"
            raise InputError(f"format {name!r} needs the package {row.needs}, which is not installed: {cure}")
    return list(dict.fromkeys(names))


def check_options(text: str, batch: int | None, opset: int | None) -> None:
    """Refuses what a format of those that the text names cannot be written with.

    `batch` is the number of images at once (None: any), `opset` ONNX's operator set (None: the usual one).

    Raises:
        InputError: it cannot.
    """
    rows = {name: FORMATS[name] for name in check_formats(text)}
    if opset is not None:
        bounds = {name: row.opsets for name, row in rows.items() if row.opsets}
        if not bounds:
            raise InputError(f"--opset is for ONNX files, and --format {text} writes none: leave it out")
        for name, (first, last) in bounds.items():
            if not first <= opset <= last:
                raise InputError(f"--opset must be {first} to {last} for the format {name}, got {opset}")
    for name, row in rows.items():
        if row.takes_one and batch != 1 and text != "all":
            raise InputError(f"the format {name} takes one image at a time: leave --batch out, or the format")


def _function(name: str) -> Callable[..., object]:
    module, _, function = name.partition(":")
    found: Callable[..., object] = getattr(import_module(f"proxies.export.{module}"), function)
    return found
