"""Names the hand-designed networks that can be timed beside one another, and their families; needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from search_space.presets import PRESETS

SHUFFLENET_V1, SHUFFLENET_V2, MOBILENET, OTHER = "ShuffleNet V1", "ShuffleNet V2", "MobileNet", "other"
FAMILIES = (SHUFFLENET_V1, SHUFFLENET_V2, MOBILENET, OTHER)


@dataclass(frozen=True)
class TorchvisionNetwork:
    """A function of `torchvision.models`, called without weights; `options` go to it beside the number of classes."""

    function: str
    family: str = OTHER
    options: Mapping[str, object] = field(default_factory=dict)


_NO_AUXILIARY_HEADS = MappingProxyType({"aux_logits": False, "init_weights": False})
TORCHVISION_NETWORKS: Mapping[str, TorchvisionNetwork] = MappingProxyType(
    {
        "mobilenet-v2": TorchvisionNetwork("mobilenet_v2", MOBILENET),
        "mobilenet-v3-small": TorchvisionNetwork("mobilenet_v3_small", MOBILENET),
        "mobilenet-v3-large": TorchvisionNetwork("mobilenet_v3_large", MOBILENET),
        "mnasnet-0.5": TorchvisionNetwork("mnasnet0_5"),
        "mnasnet-1.0": TorchvisionNetwork("mnasnet1_0"),
        "squeezenet-1.0": TorchvisionNetwork("squeezenet1_0"),
        "squeezenet-1.1": TorchvisionNetwork("squeezenet1_1"),
        "efficientnet-b0": TorchvisionNetwork("efficientnet_b0"),
        "resnet-18": TorchvisionNetwork("resnet18"),
        "resnet-50": TorchvisionNetwork("resnet50"),
        "googlenet": TorchvisionNetwork("googlenet", options=_NO_AUXILIARY_HEADS),
        "alexnet": TorchvisionNetwork("alexnet"),
        "densenet-121": TorchvisionNetwork("densenet121"),
    }
)

MOBILENET_V1_WIDTHS: Mapping[str, float] = MappingProxyType(
    {f"mobilenet-v1-{width}": width for width in (1.0, 0.75, 0.5, 0.25)}
)
"""Name -> the multiplier of all widths, the paper's alpha (Howard 2017, table 6)."""

MOBILENET_V2_WIDTHS: Mapping[str, TorchvisionNetwork] = MappingProxyType(
    {
        f"mobilenet-v2-{width}": TorchvisionNetwork("mobilenet_v2", MOBILENET, {"width_mult": width})
        for width in (0.15, 0.4, 0.6, 0.75, 1.4)
    }
)
"""MobileNetV2 at the widths of Ma 2018, table 8, to be compared; what is timed by default has it at 1.0 alone."""

REFERENCE_FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        **{name: {"v1": SHUFFLENET_V1, "v2": SHUFFLENET_V2}[preset.unit] for name, preset in PRESETS.items()},
        **dict.fromkeys(MOBILENET_V1_WIDTHS, MOBILENET),
        **{name: network.family for name, network in TORCHVISION_NETWORKS.items()},
    }
)
"""Name -> family, one of `FAMILIES`."""

REFERENCE_NAMES: tuple[str, ...] = tuple(REFERENCE_FAMILIES)
