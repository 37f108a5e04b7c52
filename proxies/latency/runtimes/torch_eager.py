"""Networks in torch, as the module itself: eager, and on a GPU as the replay of a captured graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxies.latency.protocol import Timed, core_timed
from proxies.latency.runtimes.loaded import Loaded, Shape
from proxies.latency.runtimes.own_files import check_own_file

if TYPE_CHECKING:
    import torch
    from torch import nn

    Output = torch.Tensor | tuple[torch.Tensor, ...]
    Forward = Callable[[], Output]


def write_pickled(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Writes the pickled network."""
    import torch

    torch.save(network, file)


def load_eager(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network as torch runs it; on a GPU its kernels are replayed as one graph."""
    return loaded(forward_of(file, device, example), device)


def loaded(forward: Forward, device: str) -> Loaded:
    """The forward pass, ready to be timed where it runs."""
    if device == "cuda":
        return Loaded(gpu_timed(captured(forward)), lambda: [each.cpu().numpy() for each in outputs_of(forward())])
    return Loaded(core_timed(forward), lambda: [each.numpy() for each in outputs_of(forward())])


def outputs_of(output: Output) -> tuple[torch.Tensor, ...]:
    """What a network gave, as a tuple also where it is a single tensor."""
    return tuple(output) if isinstance(output, tuple | list) else (output,)


def forward_of(file: Path, device: str, example: Any) -> Forward:
    """A call that runs the pickled network once, without gradients, on the example in channels-last order."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.allow_tf32 = False  # a GPU would else round the convolutions' inputs, and call it float32
    check_own_file(file)  # for a pickle is a program
    network = torch.load(file, map_location=device, weights_only=False).to(memory_format=torch.channels_last)
    x = torch.from_numpy(example).to(device, memory_format=torch.channels_last)

    def forward() -> Output:
        with torch.inference_mode():
            output: Output = network(x)
        return output

    return forward


def gpu_timed(run: Callable[[], object]) -> Timed:
    """The run, timed by the GPU's own events for what one call puts on the current stream."""
    import time

    import torch

    def timed() -> tuple[float, float]:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        wall_start_ns = time.perf_counter_ns()
        start.record()
        run()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)), (time.perf_counter_ns() - wall_start_ns) / 1e6

    return timed


def captured(forward: Forward) -> Callable[[], object]:
    """The replay of a CUDA graph of the call: at batch 1, launching kernel by kernel would time Python, not the GPU."""
    import torch

    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # the libraries set themselves up on the first calls, which no capture allows
        for _ in range(3):
            forward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        forward()
    return graph.replay
