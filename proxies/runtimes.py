"""The runtimes that latency is measured in, one row each; torch and ONNX Runtime are imported only where they run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_space.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

Shape = tuple[int, int, int, int]
Run = Callable[[], object]


@dataclass(frozen=True)
class Runtime:
    """How one runtime takes a network: `write` puts it in a file, `load` makes of the file a call that times a run.

    `write(network, file, shape, seed)` is called in the caller's process; `load(file, shape, device, seed)` in the
    measuring process: each call of what it returns runs the network once and returns the milliseconds that it took.
    `package` is the module that knows the version.
    """

    package: str
    suffix: str
    devices: tuple[str, ...]
    write: Callable[[nn.Module, Path, Shape, int], None]
    load: Callable[[Path, Shape, str, int], Callable[[], float]]

    def version(self) -> str:
        """The installed version of the runtime's package, which is imported for it."""
        return str(import_module(self.package).__version__)


def check_runtime(name: str, device: str) -> None:
    """Nothing, if networks can be measured in this runtime on this device.

    Raises:
        InputError: the runtime is unknown, does not run on the device, or the device is not there.
    """
    if name not in RUNTIMES:
        raise InputError(f"the runtime must be one of {', '.join(RUNTIMES)}; {name!r} came: name one of these")
    devices = RUNTIMES[name].devices
    if device not in devices:
        able = [row for row, runtime in RUNTIMES.items() if device in runtime.devices]
        cure = f"use the runtime {able[0]}" if able else f"name one of {', '.join(devices)}"
        raise InputError(f"the runtime {name} runs on {', '.join(devices)}; device {device!r} came: {cure}")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("device 'cuda' needs a GPU that torch sees; it sees none here: use device 'cpu'")


def onnx_session(file: Path) -> Any:
    """An ONNX Runtime session of the file, on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # Untrained weights can shrink activations to denormal numbers, which a CPU computes many times slower than others.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def core_clock() -> Callable[[], int]:
    """The clock of this process's time on its core, in nanoseconds; wall time where that clock is too coarse (Windows).

    For one thread both agree, except that wall time also counts what other processes take of the core: their share
    lengthens nearly every run of more than a time slice, a percentile does not remove it.
    """
    return time.process_time_ns if time.get_clock_info("process_time").resolution <= 1e-6 else time.perf_counter_ns


def cpu_ms(clock_ns: Callable[[], int], run: Run) -> float:
    """The time of one call by the clock, in milliseconds."""
    start_ns = clock_ns()
    run()
    return (clock_ns() - start_ns) / 1e6


def cuda_ms(run: Run) -> float:
    """The GPU's time for what one call puts on the current stream, in milliseconds."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))


def torch_run(file: Path, shape: Shape, device: str, seed: int) -> Callable[[], torch.Tensor]:
    """A call that runs the pickled network once, without gradients, on one random channels-last input."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.allow_tf32 = False  # a GPU would else round the convolutions' inputs, and call it float32
    network = torch.load(file, map_location=device, weights_only=False).to(memory_format=torch.channels_last)
    example = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    example = example.to(device, memory_format=torch.channels_last)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            output: torch.Tensor = network(example)
        return output

    return run


def _captured(run: Run) -> Run:
    """The replay of a CUDA graph of the call: at batch 1, launching kernel by kernel would time Python, not the GPU."""
    import torch

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # the libraries set themselves up on the first calls, which no capture allows
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def _write_torch(network: nn.Module, file: Path, shape: Shape, seed: int) -> None:
    import torch

    torch.save(network, file)


def _load_torch(file: Path, shape: Shape, device: str, seed: int) -> Callable[[], float]:
    run = torch_run(file, shape, device, seed)
    return partial(cuda_ms, _captured(run)) if device == "cuda" else partial(cpu_ms, core_clock(), run)


def _write_onnx(network: nn.Module, file: Path, shape: Shape, seed: int) -> None:
    from proxies.onnx_file import check_file, export

    export(network, file, shape)
    check_file(file, network, shape, seed)


def _load_onnx(file: Path, shape: Shape, device: str, seed: int) -> Callable[[], float]:
    import numpy

    session = onnx_session(file)
    example = numpy.random.default_rng(seed).standard_normal(shape, dtype=numpy.float32)
    run = partial(session.run, None, {session.get_inputs()[0].name: example})
    return partial(cpu_ms, core_clock(), run)


RUNTIMES = {
    "onnxruntime": Runtime("onnxruntime", ".onnx", ("cpu",), _write_onnx, _load_onnx),
    "torch": Runtime("torch", ".pt", ("cpu", "cuda"), _write_torch, _load_torch),
}
