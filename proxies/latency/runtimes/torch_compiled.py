"""Networks compiled ahead of time by torch's Inductor: once for all the processes that measure them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxies.latency.runtimes.loaded import Loaded, Shape
from proxies.latency.runtimes.own_files import check_own_file
from proxies.latency.runtimes.torch_eager import loaded
from search_space.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from proxies.latency.runtimes.torch_eager import Output


def write_package(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Writes the network, compiled for the device and for one thread of a CPU.

    Raises:
        InputError: there is no compiler that works, or on a GPU no CUDA toolkit.
    """
    import torch
    from torch._inductor import aoti_compile_and_package, config

    _check_compiler(device)
    x = _laid_out(torch.zeros(shape), device)
    # Frozen weights let batch norms be folded into convolutions.
    with _one_thread(), torch.no_grad(), config.patch(freezing=device == "cpu"):
        program = torch.export.export(copy.deepcopy(network).to(device), (x,))
        aoti_compile_and_package(program, package_path=str(file.absolute()))


def load_package(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network as it was compiled; on a GPU its kernels are replayed as one graph."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.allow_tf32 = False  # as in torch_eager
    check_own_file(file)  # for it holds a library, which is loaded
    # Without the events that keep threads apart, which no capture allows.
    network = torch._inductor.aoti_load_package(str(file), run_single_threaded=True)
    x = _laid_out(torch.from_numpy(example), device)

    def forward() -> Output:
        with torch.inference_mode():
            output: Output = network(x)
        return output

    return loaded(forward, device)


def _laid_out(x: torch.Tensor, device: str) -> torch.Tensor:
    import torch

    # On the CPU, Inductor itself brings what is frozen into the order that it likes best.
    order = torch.contiguous_format if device == "cpu" else torch.channels_last
    return x.to(device, memory_format=order)


def _check_compiler(device: str) -> None:
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler
    from torch.utils.cpp_extension import CUDA_HOME

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise InputError(
            "the runtime torch-compiled needs a C++ compiler, and none works here: install g++, or set CXX to yours"
        ) from error
    if device == "cuda" and CUDA_HOME is None:
        raise InputError(
            "the runtime torch-compiled needs the CUDA toolkit for device 'cuda', and CUDA_HOME names none here: "
            "install it, or use the runtime torch"
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Has what is compiled inside loop in one thread, whatever this process else uses."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
