"""Prints the seconds that our writer and torch's exporter take for an ONNX file, and the ratio of their latencies.

`python tests/benchmarks/onnx_writing.py [rounds]`: ONNX Runtime, one thread; writers and files take turns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles

from torch import nn

from proxies.latency.output_check import example
from proxies.latency.runtimes import RUNTIMES, Shape
from proxies.latency.runtimes.onnx_file import export_onnx, write_onnx
from proxies.network import build
from search_space import PRESETS, Architecture

SHAPE: Shape = (1, 3, 224, 224)
RUNS = 40
"""Of each file with one pair of sessions, whose memory lies where it happens to lie."""


def architectures() -> dict[str, Architecture]:
    """Four published ones, and V2 0.5x with squeeze-and-excitation and hard swish."""
    named = {name: PRESETS[name] for name in ("v2-0.5x", "v2-1.0x", "v1-1.0x-g3", "v1-1.0x-g8")}
    plain = named["v2-0.5x"]
    stages = tuple(replace(stage, se=True) for stage in plain.stages)
    return {**named, "v2-0.5x, SE, hardswish": replace(plain, stages=stages, activation="hardswish")}


def with_biases(network: nn.Module) -> nn.Module:
    """The network, its norms' biases drawn: the exporter leaves out those that are zero, which training makes none."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.bias, std=0.1)
    return network


def seconds(write: Callable[..., None], network: nn.Module, file: Path) -> float:
    """What the writer takes."""
    started = time.perf_counter()
    write(network, file, SHAPE, "cpu")
    return time.perf_counter() - started


def ratio(file: Path, other: Path) -> float:
    """The first file's latency over the other's: the 10th percentile of the time on the core, in turn."""
    pair = [RUNTIMES["onnxruntime"].load(each, SHAPE, "cpu", example(SHAPE, 0)) for each in (file, other)]
    times = [[loaded.timed()[0] for loaded in pair] for _ in range(RUNS)][RUNS // 4 :]
    ours, theirs = (quantiles(column, n=10)[0] for column in zip(*times, strict=True))
    return ours / theirs


def row(architecture: Architecture, folder: Path, rounds: int) -> str:
    """Seconds of both writers, and the ratio of the latencies: median and quartiles."""
    network = with_biases(build(architecture).eval())
    files = folder / "ours.onnx", folder / "exported.onnx"
    taken = [[seconds(write, network, file) for write, file in zip(WRITERS, files, strict=True)] for _ in range(2)]
    ours, theirs = map(median, zip(*taken, strict=True))
    # Who comes first takes turns too.
    ratios = [ratio(*files) if number % 2 else 1 / ratio(*files[::-1]) for number in range(rounds)]
    low, middle, high = quantiles(ratios, n=4)
    return f"{ours:10.2f} {theirs:10.2f}   {middle:.3f} ({low:.3f}-{high:.3f})"


WRITERS = (write_onnx, export_onnx)


def main(rounds: int = 10) -> None:
    """Prints the table."""
    print(f"{'':24}{'ours, s':>10} {'torch, s':>10}   latency of ours / torch's: median (quartiles)")
    with tempfile.TemporaryDirectory() as folder:
        for name, architecture in architectures().items():
            print(f"{name:24}{row(architecture, Path(folder), rounds)}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
