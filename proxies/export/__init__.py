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

__all__ = ["FORMATS", "Format", "check_formats"]


@dataclass(frozen=True)
class Format:
    """How one format takes a network.

    The functions stand in a module of this package and are named `module:function`, so that nothing is imported before
    it is used: `write(network, file, options)` writes the file, and `load(file, network)` gives what runs it: a call
    from images (n, c, h, w), float32 and normalised, to logits, both numpy arrays. A format without a loader holds no
    weights. `is_exact` says whether its outputs are the network's but for rounding in float32. `needs` is a package,
    and `extra` this project's extra that installs it ("" where the project itself does).
    """

    suffix: str
    writer: str
    loader: str = ""
    is_exact: bool = True
    needs: str = ""
    extra: str = ""

    @property
    def holds_weights(self) -> bool:
        """Whether there must be weights to write."""
        return bool(self.loader)

    def write(self, network: ExportedNetwork, file: Path, options: Options) -> None:
        """Writes the network to the file."""
        _function(self.writer)(network, file, options)

    def load(self, file: Path, network: ExportedNetwork) -> Callable[..., object]:
        """What runs the file's network: normalised images (n, c, h, w) to logits."""
        return cast("Callable[..., object]", _function(self.loader)(file, network))


FORMATS: dict[str, Format] = {
    "json": Format(".json", "text:write_json"),
    "py": Format(".py", "text:write_py"),
    "safetensors": Format(".safetensors", "tensors:write_safetensors", "tensors:load_safetensors"),
    "onnx": Format(".onnx", "onnx_file:write_onnx", "onnx_file:load_onnx"),
    "onnx-int8": Format(".int8.onnx", "onnx_int8:write_int8", "onnx_file:load_onnx", is_exact=False),
    "torch": Format(".pt2", "program:write_program", "program:load_program"),
    "ultralytics": Format(".yaml", "ultralytics_yaml:write_yaml"),
    "executorch": Format(".pte", "pte:write_pte", "pte:load_pte", needs="executorch", extra="executorch"),
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


def _function(name: str) -> Callable[..., object]:
    module, _, function = name.partition(":")
    found: Callable[..., object] = getattr(import_module(f"proxies.export.{module}"), function)
    return found
