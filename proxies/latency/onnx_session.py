"""An ONNX file in ONNX Runtime, ready to be timed. Needs onnxruntime alone: bundles carry this file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as `proxies` says it, where there is but this file
PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
"""What an ONNX Runtime session is made of, the wanted provider first; those after it take what it cannot do."""
NOTHING_BUT_CRASHES = 4
"""ONNX Runtime's highest level of what it logs."""


def session_of(
    file: Path | str,
    provider: str = "cpu",
    *,
    is_plain: bool = False,
    graph: Path | None = None,
    profile: Path | None = None,
) -> Any:
    """An ONNX Runtime session of the file, on one thread of the CPU; a plain one runs the graph as it was written.

    Into `graph` goes the network as it is rewritten for this machine, into a file that begins with `profile` the times
    of all runs, node by node, once `end_profiling` is called.

    Raises:
        ValueError: the installed ONNX Runtime does not have the provider.
    """
    import onnxruntime

    check_provider(provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    if is_plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = NOTHING_BUT_CRASHES  # what is wrong is raised as well
    if graph is not None:
        options.optimized_model_filepath = str(graph)
        options.log_severity_level = NOTHING_BUT_CRASHES  # that such a file is of use on this machine alone
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    # Untrained weights can shrink activations to denormal numbers, which a CPU computes many times slower than others.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(str(file), options, providers=list(PROVIDERS[provider]))


def check_provider(provider: str) -> None:
    """Refuses a provider that the installed ONNX Runtime lacks.

    Raises:
        ValueError: it has not.
    """
    import onnxruntime

    name = PROVIDERS[provider][0]
    if name not in onnxruntime.get_available_providers():
        raise ValueError(f"this ONNX Runtime has no {name}: install onnxruntime-gpu, or measure in another runtime")


def cpu_run(session: Any, example: Any) -> Callable[[], Any]:
    """A call that runs the session once on the example and gives its outputs."""
    inputs = {session.get_inputs()[0].name: example}
    return lambda: session.run(None, inputs)


def bound_run(session: Any, example: Any) -> Callable[[], Any]:
    """The same for a session on a GPU: input and outputs stay there, and the call ends when the GPU is done."""
    import onnxruntime

    binding = session.io_binding()
    value = onnxruntime.OrtValue.ortvalue_from_numpy(example, "cuda", 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cuda")

    def run() -> Any:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding

    return run
