"""Prints milliseconds an image, forward and backward, of plain modules and of the fast path: one thread, in turn.

`python tests/benchmarks/network_speed.py [batch] [rounds]`
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from statistics import quantiles

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from proxies import fast_ops
from proxies.network import build
from search_space import PRESETS, Architecture, Budget, SearchSpace
from search_space.choosers import RandomChooser

NAMES = ("v2-0.5x", "v2-1.0x", "v1-1.0x-g3", "v1-1.0x-g8")
TASKS = ((16, 1), (32, 2), (28, 2))
"""Image size and stem stride."""


def architectures() -> Iterator[tuple[str, Architecture]]:
    """Names and architectures: four published ones, six drawn."""
    yield from ((name, PRESETS[name]) for name in NAMES)
    space = SearchSpace.default(budget=Budget.parse("140mflops"))
    for seed in range(6):
        yield f"drawn {seed}", space.suggest(RandomChooser(seed=seed))


def seconds(network: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The seconds of one forward and backward pass."""
    started = time.perf_counter()
    network.zero_grad()
    F.cross_entropy(network(x), labels).backward()
    return time.perf_counter() - started


def row(architecture: Architecture, size: int, stem_stride: int, batch: int, rounds: int) -> str:
    """The quartiles of plain and fast milliseconds an image, and the median of their ratio."""
    plain, fast = (
        build(architecture, 10, 3, stem_stride).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        for _ in range(2)
    )
    fast_ops.use_fast_layers(fast)
    x = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))
    pairs = []
    for _ in range(rounds + 1):
        pairs.append((seconds(plain, x, labels), seconds(fast, x, labels)))
    pairs = pairs[1:]  # the first one sets everything up
    columns = [
        "  ".join(f"{1e3 * q / batch:5.2f}" for q in quantiles(column, n=4)) for column in zip(*pairs, strict=True)
    ]
    low, ratio, high = quantiles([after / before for before, after in pairs], n=4)
    return f"{columns[0]}   {columns[1]}   {ratio:.3f} ({low:.3f}-{high:.3f})"


def main(batch: int = 64, rounds: int = 15) -> None:
    """Nothing: prints the table."""
    torch.set_num_threads(1)
    print(f"{'':12}{'image':>6}   plain: quartiles      fast: quartiles       ratio (quartiles)")
    for size, stem_stride in TASKS:
        for name, architecture in architectures():
            print(f"{name:12}{size:6}   {row(architecture, size, stem_stride, batch, rounds)}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
