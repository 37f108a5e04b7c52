"""Networks in ncnn, on the CPU. ncnn reads two files: `file` is the .param one, the weights lie beside it as .bin."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxies.latency.protocol import core_timed
from proxies.latency.runtimes.loaded import Loaded, Shape
from search_space.errors import InputError
from search_space.scratch import Scratch

if TYPE_CHECKING:
    import torch
    from torch import nn


def write_ncnn(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Writes the network to two files, in float32, for inputs of exactly this shape `(1, c, h, w)`.

    Raises:
        InputError: more than one image is to run at once.
        RuntimeError: pnnx, which converts the network, failed.
    """
    import pnnx
    import torch

    if shape[0] != 1:
        raise InputError(f"the runtime ncnn runs 1 image at once; batch size {shape[0]} came: use 1 or another runtime")
    with Scratch() as folder:  # pnnx leaves half a dozen more files
        _traced(network, torch.zeros(shape)).save(f"{folder}/network.pt")
        size = ",".join(map(str, shape))
        command = [str(Path(pnnx.__file__).with_name("pnnx")), "network.pt", f"inputshape=[{size}]", "fp16=0"]
        parts = [f"ncnnparam={file.absolute()}", f"ncnnbin={_weights_of(file).absolute()}"]
        finished = subprocess.run([*command, *parts], cwd=folder, capture_output=True, encoding="utf-8", check=False)
    if finished.returncode or not file.exists():
        raise RuntimeError(f"pnnx could not convert the network: {finished.stderr.strip()[-200:]}")


def load_ncnn(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in ncnn, in float32."""
    import ncnn
    import numpy as np

    net = _read(file)
    given, names = net.input_names()[0], net.output_names()
    image = ncnn.Mat(example[0]).clone()  # ncnn has no batch axis, and does not keep numpy's memory alive

    def run() -> Any:
        extractor = net.create_extractor()  # one that has run keeps its results
        extractor.input(given, image)
        return [extractor.extract(name)[1] for name in names]

    return Loaded(core_timed(run), lambda: list(map(np.array, run())))


def _read(file: Path) -> Any:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in ("vulkan_compute", "fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)  # all of them before the network is read
    if net.load_param(str(file)) or net.load_model(str(_weights_of(file))):
        raise RuntimeError(f"ncnn cannot read {file}: write it anew")
    return net


def _weights_of(file: Path) -> Path:
    return file.with_suffix(".bin")


def _traced(network: nn.Module, x: torch.Tensor) -> torch.jit.ScriptModule:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer torch wants export in tracing's place; pnnx reads what was traced
        traced = torch.jit.trace(network, x)  # type: ignore[no-untyped-call]
    assert isinstance(traced, torch.jit.ScriptModule)
    return traced
