"""Networks in ExecuTorch, on the CPU through XNNPACK."""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxies.latency.protocol import core_timed
from proxies.latency.runtimes.loaded import Loaded, Shape
from search_space.files import write_whole

if TYPE_CHECKING:
    from torch import nn


def write_pte(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Writes the network for inputs of exactly this shape `(n, c, h, w)`."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what ExecuTorch itself calls: no concern of the caller
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(with_pools_unpadded(network), (torch.zeros(shape),))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()]).to_executorch()
    content = io.BytesIO()
    lowered.write_to_file(content)
    write_whole(file, content.getvalue())


def load_pte(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in ExecuTorch.

    Raises:
        RuntimeError: ExecuTorch does not keep to one thread.
    """
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this part of it may change
        from executorch.extension.pybindings import portable_lib

    portable_lib._unsafe_reset_threadpool(1)  # before the first load, or XNNPACK keeps the pool it then has
    threads = portable_lib._threadpool_get_thread_count()
    if threads != 1:
        raise RuntimeError(f"ExecuTorch must run on 1 thread; it takes {threads}: report this version")
    module = portable_lib._load_for_executorch(str(file))
    inputs = (torch.from_numpy(example),)

    def run() -> list[torch.Tensor]:
        outputs: list[torch.Tensor] = module.forward(inputs)
        return outputs

    return Loaded(core_timed(run), lambda: [output.numpy() for output in run()])


def with_pools_unpadded(network: nn.Module) -> nn.Module:
    """A copy of the network that computes the same, with the padding of average pools as layers of their own.

    XNNPACK has no average pool that counts the padding, as a v1 unit's does; left as it is, the pool runs in
    ExecuTorch's portable kernels, which are slow.
    """
    from torch import nn

    changed = copy.deepcopy(network)
    for parent in list(changed.modules()):
        for name, pool in list(parent.named_children()):
            if isinstance(pool, nn.AvgPool2d) and pool.padding and pool.count_include_pad and not pool.ceil_mode:
                pad = nn.ZeroPad2d(_all_sides(pool.padding))
                parent.add_module(name, nn.Sequential(pad, nn.AvgPool2d(pool.kernel_size, pool.stride)))
    return changed


def _all_sides(padding: int | tuple[int, int]) -> tuple[int, int, int, int]:
    height, width = (padding, padding) if isinstance(padding, int) else padding
    return width, width, height, height
