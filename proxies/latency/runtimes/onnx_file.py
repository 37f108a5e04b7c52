"""ONNX files in ONNX Runtime, on the CPU, CUDA and TensorRT."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from proxies.latency.onnx_session import bound_run, cpu_run, session_of
from proxies.latency.protocol import core_timed, wall_timed
from proxies.latency.runtimes.loaded import Loaded, Shape

if TYPE_CHECKING:
    import torch
    from torch import nn

    from search_space.plan import Plan


def write_onnx(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Writes the network, in float32, for inputs of exactly this shape `(n, c, h, w)`.

    The network must be on the CPU and in evaluation mode. One that is built from a plan is written from it, which takes
    a tenth of a second or two; any other by torch's exporter, which takes a hundred times as long.
    """
    planned = _plan_and_layers(network)
    if planned is None:
        export_onnx(network, file, shape, device)
    else:
        import onnx

        from proxies.onnx_graph import model_of

        onnx.save(model_of(*planned, shape), file)


def _plan_and_layers(network: nn.Module) -> tuple[Plan, Mapping[str, nn.Module]] | None:
    """The plan that the network was built from, and its layers by the plan's names; None where it is no such network,
    or its layers have been changed since."""
    import torch

    from proxies.backbone import FeatureMaps
    from proxies.network import PlannedNetwork, network_of

    if not isinstance(network, PlannedNetwork | FeatureMaps) or network.plan is None:
        return None
    layers = dict((network.backbone if isinstance(network, FeatureMaps) else network).named_modules())
    with torch.device("meta"):  # no weights, which would take as long as all the rest
        planned = dict(network_of(network.plan).named_modules())
    kinds, planned_kinds = ({name: type(one) for name, one in all_.items() if name} for all_ in (layers, planned))
    return (network.plan, layers) if kinds == planned_kinds else None


def export_onnx(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
    """Writes the same by torch's exporter, whatever network it is."""
    import torch

    with warnings.catch_warnings():
        # The exporter of some torch releases uses a class that they themselves deprecate: no concern of the caller.
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
        # verbose=False: the exporter else prints its steps on stdout.
        program = torch.onnx.export(network, (torch.zeros(shape),), dynamo=True, verbose=False)
    cast("torch.onnx.ONNXProgram", program).save(file)


def load_onnx(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in ONNX Runtime."""
    if device == "cuda":
        return _on_gpu(file, "cuda", example)
    run = cpu_run(session_of(file), example)
    return Loaded(core_timed(run), run)


def load_tensorrt(file: Path, shape: Shape, device: str, example: Any) -> Loaded:
    """The file's network in ONNX Runtime's TensorRT provider."""
    return _on_gpu(file, "tensorrt", example)


def _on_gpu(file: Path, provider: str, example: Any) -> Loaded:
    run = bound_run(session_of(file, provider), example)
    return Loaded(wall_timed(run), lambda: run().copy_outputs_to_cpu())
