"""ONNX files in OpenVINO, on the CPU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from proxies.latency.protocol import core_timed
from proxies.latency.runtimes.loaded import Loaded, Shape

SETTINGS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,  # the measuring process has chosen its core
    "CPU_DENORMALS_OPTIMIZATION": True,
}


def load_f32(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in OpenVINO, in float32; OpenVINO's own choice is bfloat16 wherever a processor has it."""
    return _load(file, example, "f32")


def load_bf16(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in OpenVINO, in bfloat16.

    Raises:
        RuntimeError: the processor does not compute in bfloat16.
    """
    return _load(file, example, "bf16")


def _load(file: Path, example: Any, precision: str) -> Loaded:
    wanted = {**SETTINGS, "INFERENCE_PRECISION_HINT": precision}
    compiled = _openvino().Core().compile_model(str(file), "CPU", wanted)
    taken = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if taken != precision:
        raise RuntimeError(f"this processor must compute in {precision}; OpenVINO takes {taken}: measure in that")
    request = compiled.create_infer_request()

    def run() -> Any:
        return request.infer({0: example}, share_inputs=True, share_outputs=True)

    return Loaded(core_timed(run), lambda: run().to_tuple())


def _openvino() -> Any:
    # On import OpenVINO reports its use to its makers through this package, and writes to the home directory; where
    # the package cannot be imported, it does neither. There is no other switch for one process.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
