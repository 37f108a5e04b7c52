"""Counting a network's layers: by hand, by fvcore, and against the stored facts."""

import warnings
from typing import Any

import pytest
import torch
from builders.places import FACTS, needs_facts, read_json
from torch import Tensor, nn

from proxies.counting import count
from proxies.references.networks import build_reference
from search_space import PRESETS, cost_of

with warnings.catch_warnings():
    # fvcore compiles a loss of its own with torch.jit.script when it is imported; torch deprecates that.
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
    from fvcore.nn import FlopCountAnalysis, parameter_count

IN_FACTS = {
    "torchvision/squeezenet1_0": "squeezenet-1.0",
    "torchvision/squeezenet1_1": "squeezenet-1.1",
    "torchvision/mobilenet_v2": "mobilenet-v2",
    "torchvision/mobilenet_v3_small": "mobilenet-v3-small",
    "torchvision/mobilenet_v3_large": "mobilenet-v3-large",
    "torchvision/resnet50": "resnet-50",
    "torchvision/alexnet": "alexnet",
    "torchvision/googlenet": "googlenet",
    "torchvision/mnasnet1_0": "mnasnet-1.0",
    "pytorchcv/mobilenet_w1": "mobilenet-v1-1.0",
    "torchvision/shufflenet_v2_x0_5": "v2-0.5x",
    "torchvision/shufflenet_v2_x1_0@96px_1000cls": "v2-1.0x",
    "pytorchcv/shufflenet_g3_w1": "v1-1.0x-g3",
    "pytorchcv/shufflenet_g8_w1": "v1-1.0x-g8",
}


class Twice(nn.Module):
    """One layer, run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output for its own output."""
        twice: Tensor = self.layer(self.layer(x))
        return twice


def test_layers_count_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 8 channels of 4 x 4, each a sum over 3 x 3 x 3; 8 biases
        nn.BatchNorm2d(8),  # 16 parameters, no multiply-add
        nn.ReLU(),
        nn.Conv2d(8, 6, (1, 5), padding=(0, 2), groups=2, bias=False),  # 6 of 4 x 4, each over 4 x 1 x 5
        nn.Flatten(),
        nn.Linear(96, 10),
    )
    macs = 8 * 16 * 27 + 6 * 16 * 20 + 960
    params = 8 * 27 + 8 + 16 + 6 * 20 + 960 + 10
    assert count(network, (1, 3, 8, 8)) == (macs, params)
    assert count(network, (2, 3, 8, 8)) == (2 * macs, params)


def test_a_depthwise_convolution_sums_over_its_window_alone() -> None:
    assert count(nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), (1, 32, 7, 7)) == (32 * 49 * 9, 288)


def test_a_layer_that_runs_twice_counts_twice() -> None:
    assert count(Twice(), (1, 4, 5, 5)) == (2 * 16 * 25, 20)


def test_a_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.ReLU()).eval())
    before = [tensor.clone() for tensor in network.state_dict().values()]
    count(network, (1, 3, 4, 4))
    assert [module.training for module in network] == [True, True, False]
    assert all(map(torch.equal, network.state_dict().values(), before))
    assert not network[0]._forward_hooks


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet-v3-small", "squeezenet-1.1"])
def test_fvcore_counts_the_same(name: str) -> None:
    network = build_reference(name, 10)
    analysis = FlopCountAnalysis(network, torch.zeros(1, 3, 64, 64))
    counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    expected = int(counts["conv"] + counts["linear"]), parameter_count(network)[""]
    assert count(network, (1, 3, 64, 64)) == expected


@pytest.mark.parametrize("name", ["v2-star-0.5x", "v2-se-1.0x", "v1-0.5x-g1"])
def test_the_plan_counts_the_same(name: str) -> None:
    cost = cost_of(PRESETS[name], 96, 10)
    assert count(build_reference(name, 10), (1, 3, 96, 96)) == (cost.macs, cost.params)


@pytest.mark.slow
@needs_facts
def test_the_stored_facts_are_met() -> None:
    rows: dict[str, Any] = {row["name"]: row for row in read_json(FACTS / "reference_models.json")}
    found, expected = {}, {}
    for fact, name in IN_FACTS.items():
        size = rows[fact]["resolution"]
        expected[name] = rows[fact]["macs"], rows[fact]["params"]
        with torch.device("meta"):  # weights take longer to draw than layers to count
            network = build_reference(name)
        found[name] = count(network, (1, 3, size, size))
    assert found == expected
