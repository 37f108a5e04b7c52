"""The runtimes that latency is measured in, one row each. None is imported before it is used.

- `executorch_runtime`: ExecuTorch through XNNPACK
- `litert_runtime`: LiteRT through XNNPACK
- `loaded`: what a runtime makes of a network's file
- `ncnn_runtime`: ncnn
- `onnx_file`: ONNX Runtime
- `openvino_runtime`: OpenVINO
- `own_files`: files that only this user can have written
- `torch_compiled`: torch, compiled ahead of time
- `torch_eager`: torch as it is
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from proxies.latency.runtimes.loaded import Loaded, Shape
from search_space.errors import InputError
from search_space.precision import FP32, INT8

if TYPE_CHECKING:
    from torch import nn

__all__ = ["AGENT_RUNTIMES", "RUNTIMES", "Loaded", "Runtime", "Shape", "check_runtime"]


@dataclass(frozen=True)
class Runtime:
    """How one runtime takes a network: what it needs, the file it reads, and the module that writes and loads that.

    `distribution` is the package whose version counts, `needs` those that writing takes besides, `extra` this
    project's extra that installs them ("" where the project itself does). The functions stand in a module of this
    package and are named `module:function`, so that nothing is imported before it is used: `write(network, file,
    shape, device)` is called in the caller's process with a network on the CPU in evaluation mode,
    `load(file, shape, device, example)` in the measuring one, and gives a `Loaded`. `precision` is what a network in
    float32 is computed in, as latencies say it; `has_int8` says whether on the CPU it computes an ONNX file in 8 bits
    in 8 bits.
    """

    distribution: str
    suffix: str
    devices: tuple[str, ...]
    writer: str
    loader: str
    precision: str = "float32"
    has_int8: bool = False
    extra: str = ""
    needs: tuple[str, ...] = ()

    def write(self, network: nn.Module, file: Path, shape: Shape, device: str) -> None:
        """Writes the network in float32 for inputs of this shape `(n, c, h, w)`, to be run on the device."""
        self._function(self.writer)(network, file, shape, device)

    def computes_in(self, precision: str) -> str:
        """What a network of this row of `PRECISIONS` is computed in, as latencies say it."""
        return INT8 if precision == INT8 else self.precision

    def load(self, file: Path, shape: Shape, device: str, example: object) -> Loaded:
        """The file's network, ready to be timed on the example, a numpy array of this shape."""
        loaded = self._function(self.loader)(file, shape, device, example)
        assert isinstance(loaded, Loaded)
        return loaded

    def version(self) -> str:
        """The installed version of the runtime's package; "" where it is not installed."""
        names = (self.distribution, f"{self.distribution}-gpu")
        return next((text for text in map(_version_of, names) if text), "")

    def missing(self) -> list[str]:
        """The packages that networks cannot be measured without and that are not installed."""
        return [*([] if self.version() else [self.distribution]), *(one for one in self.needs if not _version_of(one))]

    @staticmethod
    def _function(name: str) -> Callable[..., object]:
        module, _, function = name.partition(":")
        found: Callable[..., object] = getattr(import_module(f"proxies.latency.runtimes.{module}"), function)
        return found


CPU, CPU_AND_GPU = ("cpu",), ("cpu", "cuda")
_ONNX = "onnx_file:write_onnx"

RUNTIMES: dict[str, Runtime] = {
    "onnxruntime": Runtime("onnxruntime", ".onnx", CPU_AND_GPU, _ONNX, "onnx_file:load_onnx", has_int8=True),
    "tensorrt": Runtime("onnxruntime", ".onnx", ("cuda",), _ONNX, "onnx_file:load_tensorrt"),
    "openvino": Runtime("openvino", ".onnx", CPU, _ONNX, "openvino_runtime:load_f32", has_int8=True, extra="openvino"),
    "openvino-bf16": Runtime(
        "openvino", ".onnx", CPU, _ONNX, "openvino_runtime:load_bf16", precision="bfloat16", extra="openvino"
    ),
    "torch": Runtime("torch", ".pt", CPU_AND_GPU, "torch_eager:write_pickled", "torch_eager:load_eager"),
    "torch-compiled": Runtime(
        "torch", ".pt2", CPU_AND_GPU, "torch_compiled:write_package", "torch_compiled:load_package"
    ),
    "executorch": Runtime(
        "executorch", ".pte", CPU, "executorch_runtime:write_pte", "executorch_runtime:load_pte", extra="executorch"
    ),
    "litert": Runtime(
        distribution="ai-edge-litert",
        needs=("litert-torch",),
        suffix=".tflite",
        devices=CPU,
        writer="litert_runtime:write_tflite",
        loader="litert_runtime:load_tflite",
        extra="litert",
    ),
    "ncnn": Runtime(
        "ncnn", ".param", CPU, "ncnn_runtime:write_ncnn", "ncnn_runtime:load_ncnn", extra="ncnn", needs=("pnnx",)
    ),
}
"""Name -> runtime. A name says what networks in float32 are computed in where it is not that."""
AGENT_RUNTIMES = ("onnxruntime", "openvino", "openvino-bf16")
"""In what an agent times networks that others send: what reads ONNX files, which hold numbers and no program. A file of
torch, of `torch.compile` or of ExecuTorch can run whatever its writer likes."""


def check_runtime(name: str, device: str, precision: str = FP32) -> None:
    """Refuses a runtime in which no network of this precision can be measured on this device.

    Raises:
        InputError: the runtime is unknown or not installed, does not run on the device, has not the precision there, or
            the device is not there.
    """
    if name not in RUNTIMES:
        raise InputError(f"the runtime must be one of {', '.join(RUNTIMES)}; {name!r} came: name one of these")
    runtime = RUNTIMES[name]
    if device not in runtime.devices:
        able = [row for row, other in RUNTIMES.items() if device in other.devices]
        cure = f"use the runtime {able[0]}" if able else f"name one of {', '.join(runtime.devices)}"
        raise InputError(f"the runtime {name} runs on {', '.join(runtime.devices)}; device {device!r} came: {cure}")
    if precision == INT8:
        _check_int8(name, device)
    if missing := " and ".join(runtime.missing()):
        line = f"python -m pip install -e '.[{runtime.extra}]'" if runtime.extra else "python -m pip install -e ."
        raise InputError(f"the runtime {name} needs {missing}, not installed here: {line}")
    if device == "cuda":
        _check_gpu(name)


def _check_int8(name: str, device: str) -> None:
    able = ", ".join(row for row, other in RUNTIMES.items() if other.has_int8)
    if not RUNTIMES[name].has_int8:
        raise InputError(f"int8 is computed by the runtimes {able}; got {name}: name one of these, or fp32")
    if device != "cpu":
        raise InputError(f"the runtimes {able} compute int8 on the cpu; device {device!r} came: use the cpu, or fp32")


def _check_gpu(name: str) -> None:
    import torch

    if not torch.cuda.is_available():
        raise InputError("device 'cuda' needs a GPU that torch sees; it sees none here: use device 'cpu'")
    if name in ("onnxruntime", "tensorrt"):
        from proxies.latency.onnx_session import check_provider

        try:
            check_provider("cuda" if name == "onnxruntime" else name)
        except ValueError as error:
            raise InputError(str(error)) from error


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
