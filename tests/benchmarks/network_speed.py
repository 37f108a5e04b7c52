"""Prints what training costs on a CPU: milliseconds an image, forward and backward, on one thread.

`python tests/benchmarks/network_speed.py [batch] [rounds]`

Every round takes each network once of plain modules and once by the fast path, in turn, so that a busy machine is busy
for all of them alike. Times are the process's own on the core; each ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median, quantiles
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from proxies.network import build
from proxies.training.cpu import layers as fast_ops
from search_space import PRESETS, Architecture, Budget, SearchSpace
from search_space.choosers import RandomChooser

NAMES = ("v2-1.0x", "v2-0.5x", "v1-1.0x-g1", "v1-1.0x-g3", "v1-1.0x-g8")
"""The first is what the others are held against."""

TASKS = ((16, 1), (32, 2), (28, 2))
"""Image size and stem stride."""


def architectures() -> Iterator[tuple[str, Architecture]]:
    """Names and architectures: five published ones, three of one option, three drawn."""
    yield from ((name, PRESETS[name]) for name in NAMES)
    yield "v2 g2", _v2(groups=2)
    yield "v2 SE", _v2(se=True)
    yield "v2 5x5", _v2(kernel=5)
    space = SearchSpace.default(budget=Budget.parse("140mflops"))
    for seed in range(3):
        yield f"drawn {seed}", space.suggest(RandomChooser(seed=seed))


def step(architecture: Architecture, size: int, stem_stride: int, batch: int, *, is_fast: bool) -> Callable[[], float]:
    """What makes one forward and backward pass and returns its milliseconds an image."""
    network: nn.Module = build(architecture, 10, 3, stem_stride)
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    if is_fast:
        fast_ops.use_fast_layers(network)
    images = torch.randn(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))
    return lambda: _milliseconds(network, images, labels) / batch


def table(size: int, stem_stride: int, batch: int, rounds: int) -> Iterator[str]:
    """A line a network: quartiles of plain and fast milliseconds an image, their ratio, and that to the first's."""
    steps = {
        (name, is_fast): step(architecture, size, stem_stride, batch, is_fast=is_fast)
        for name, architecture in architectures()
        for is_fast in (False, True)
    }
    for each in steps.values():
        each()  # the first pass sets everything up
    found: dict[tuple[str, bool], list[float]] = {key: [] for key in steps}
    for _ in range(rounds):
        for key, each in steps.items():
            found[key].append(each())
    for name, is_fast in steps:
        if is_fast:
            plain, fast, first = found[name, False], found[name, True], found[NAMES[0], True]
            ratios = f"{_ratio(fast, plain)}{_ratio(fast, first)}"
            yield f"{name:12}{size:6}   {_quartiles(plain)}   {_quartiles(fast)}{ratios}"


def main(batch: int = 64, rounds: int = 15) -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    print(f"{'':12}{'image':>6}   plain: quartiles      fast: quartiles       fast/plain  to {NAMES[0]}")
    for size, stem_stride in TASKS:
        for line in table(size, stem_stride, batch, rounds):
            print(line, flush=True)


def _milliseconds(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    started = time.process_time()
    network.zero_grad()
    F.cross_entropy(network(images), labels).backward()
    return 1e3 * (time.process_time() - started)


def _quartiles(values: list[float]) -> str:
    return "  ".join(f"{value:5.2f}" for value in quantiles(values, n=4))


def _ratio(values: list[float], others: list[float]) -> str:
    return f"{median(value / other for value, other in zip(values, others, strict=True)):11.3f}"


def _v2(**options: Any) -> Architecture:
    whole = PRESETS["v2-1.0x"]
    return replace(whole, stages=tuple(replace(stage, **options) for stage in whole.stages))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
