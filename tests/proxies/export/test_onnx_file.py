"""The ONNX file: it computes what torch computes, its shape is static, and writing it says nothing."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

from proxies.latency.measure import expected_of, prepare
from proxies.latency.onnx_session import session_of
from proxies.latency.output_check import WrongOutput, example
from proxies.latency.runtimes import RUNTIMES
from proxies.latency.runtimes.onnx_file import write_onnx

SHAPE = (1, 12, 16, 16)


class ViewShuffle(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        return x.view(n, 3, c // 3, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class ReshapeShuffle(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        return x.reshape(n, 3, c // 3, h, w).permute(0, 2, 1, 3, 4).reshape(n, c, h, w)


class SplitAndJoin(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, dim=1)
        return torch.cat((right, left.relu()), dim=1)


SHUFFLES = {"view": ViewShuffle(), "reshape": ReshapeShuffle(), "module": nn.ChannelShuffle(3)}


def grouped_network(shuffle: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(12, 24, 1, groups=3, bias=False),
        nn.BatchNorm2d(24),
        shuffle,
        nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24),
        nn.BatchNorm2d(24),
        SplitAndJoin(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 10),
    )
    return with_random_statistics(network)


def with_random_statistics(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def tamper(file: Path) -> None:
    """The first convolution's weights, a tenth larger."""
    model = onnx.load(file)
    first = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == first)
    values = numpy_helper.to_array(weight) * 1.1
    weight.CopyFrom(numpy_helper.from_array(values.astype("float32"), weight.name))
    onnx.save(model, file)


def computed(file: Path, shape: tuple[int, int, int, int], seed: int = 0) -> Any:
    return RUNTIMES["onnxruntime"].load(file, shape, "cpu", example(shape, seed)).outputs()


@pytest.mark.parametrize("name", SHUFFLES)
def test_the_file_gives_torchs_outputs(name: str, tmp_path: Path) -> None:
    network, file = grouped_network(SHUFFLES[name]), tmp_path / "network.onnx"
    write_onnx(network, file, SHAPE, "cpu")
    with torch.no_grad():
        torch.testing.assert_close(
            torch.from_numpy(computed(file, SHAPE)[0]),
            network(torch.from_numpy(example(SHAPE, 0))),
            rtol=1e-4,
            atol=1e-5,
        )
    expected_of(network, SHAPE, "float32", seed=3).check(computed(file, SHAPE, seed=3))


@pytest.mark.slow
def test_a_whole_untrained_shufflenet_passes_the_check_until_its_file_is_tampered_with(tmp_path: Path) -> None:
    torch.manual_seed(0)
    prepared = prepare(shufflenet_v2_x0_5(weights=None), tmp_path / "network", resolution=64)
    prepared.expected.check(computed(Path(prepared.file), prepared.shape))
    tamper(Path(prepared.file))
    with pytest.raises(WrongOutput, match="one differs by"):
        prepared.expected.check(computed(Path(prepared.file), prepared.shape))


def test_a_tampered_file_is_refused_with_the_largest_difference(tmp_path: Path) -> None:
    network, file = grouped_network(nn.ChannelShuffle(3)), tmp_path / "network.onnx"
    write_onnx(network, file, SHAPE, "cpu")
    tamper(file)
    with pytest.raises(WrongOutput, match=r"one differs by \d"):
        expected_of(network, SHAPE, "float32", seed=0).check(computed(file, SHAPE))


def test_the_shape_is_static_and_the_file_is_one(tmp_path: Path) -> None:
    write_onnx(grouped_network(nn.ChannelShuffle(3)), tmp_path / "network.onnx", SHAPE, "cpu")
    assert session_of(tmp_path / "network.onnx").get_inputs()[0].shape == list(SHAPE)
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]


def test_exporting_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_onnx(grouped_network(nn.ChannelShuffle(3)), tmp_path / "network.onnx", SHAPE, "cpu")
    assert capfd.readouterr() == ("", "")
