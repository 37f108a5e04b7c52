"""Networks compiled ahead of time by torch's Inductor: once for all the processes that measure them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxies.runtimes.loaded import Loaded, Shape
from proxies.runtimes.torch_eager import loaded
from search_space.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn


def write_package(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Nothing; the file then holds the network, compiled for the device and for one thread of a CPU.

    Raises:
        InputError: there is no compiler that works.
    """
    import torch
    from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

    placed = copy.deepcopy(network).to(device)
    try:
        _compile(placed, _laid_out(torch.zeros(shape), device), file)
    except (InvalidCxxCompiler, CppCompileError, OSError) as error:
        what = "a C++ compiler" if device == "cpu" else "a C++ compiler and the CUDA toolkit (CUDA_HOME)"
        raise InputError(f"the runtime torch-compiled needs {what}, and none works here: install g++") from error


def load_package(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network as it was compiled; on a GPU its kernels are replayed as one graph."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.allow_tf32 = False  # as in torch_eager
    # Without the events that keep threads apart, which no capture allows.
    network = torch._inductor.aoti_load_package(str(file), run_single_threaded=True)
    x = _laid_out(torch.from_numpy(example), device)

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            output: torch.Tensor = network(x)
        return output

    return loaded(forward, device)


def _laid_out(x: torch.Tensor, device: str) -> torch.Tensor:
    import torch

    # On the CPU, Inductor itself brings what is frozen into the order that it likes best.
    order = torch.contiguous_format if device == "cpu" else torch.channels_last
    return x.to(device, memory_format=order)


def _compile(network: nn.Module, x: torch.Tensor, file: Path) -> None:
    import torch
    from torch._inductor import aoti_compile_and_package, config

    # Frozen weights let batch norms be folded into convolutions.
    with _one_thread(), torch.no_grad(), config.patch(freezing=x.device.type == "cpu"):
        aoti_compile_and_package(torch.export.export(network, (x,)), package_path=str(file.absolute()))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Nothing; what is compiled inside has loops for one thread, whatever this process else uses."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
