"""How good an architecture is: everything for which the network must exist. torch is imported only when it is used.

- `backbone`: any architecture as a feature extractor, and torchvision's detectors on it
- `batches`: so many images at once
- `counting`: multiply-adds and parameters of any network, counted as it runs
- `data`: images, loaded and named
- `export`: a network in the formats that programs take
- `latency`: latency measured in processes of its own
- `network`: a plan as a torch module
- `onnx_graph`: a plan as an ONNX model
- `pretrained`: weights from files, and what they are for
- `quantization`: networks in 8 bits
- `references`: hand-designed networks to compare with
- `state_dict`: weights by name, into a network
- `training`: the one training loop and what it is made of
- `ultralytics_backbone`: any architecture as a YOLO's backbone
- `weights`: trained weights as a safetensors file
- `zero_cost`: scores of a network that was not trained
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxies.network import build
    from proxies.pretrained import load_torchvision_weights

# ONNX Runtime would report its use to its makers, and keep a number for that in the home folder.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["build", "load_torchvision_weights"]


def __getattr__(name: str) -> Any:
    # Names of data sets, recipes and runtimes are checked by commands that must not wait for torch.
    if name in __all__:
        from proxies import network, pretrained

        return getattr(network if name == "build" else pretrained, name)
    raise AttributeError(f"module 'proxies' has no attribute {name!r}")
