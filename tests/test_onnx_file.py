"""The ONNX file computes what torch computes; a file that does not is refused."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

from proxies.onnx_file import check_file, export
from proxies.runtimes import onnx_session

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


def with_statistics_of_noise(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics become those of the one batch, as trained ones are of the images
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 64, 64))
    return network.eval()


def tamper(file: Path) -> None:
    """The first convolution's weights, a tenth larger."""
    model = onnx.load(file)
    first = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == first)
    values = numpy_helper.to_array(weight) * 1.1
    weight.CopyFrom(numpy_helper.from_array(values.astype("float32"), weight.name))
    onnx.save(model, file)


@pytest.mark.parametrize("name", SHUFFLES)
def test_the_file_gives_torchs_outputs(name: str, tmp_path: Path) -> None:
    network, file = grouped_network(SHUFFLES[name]), tmp_path / "network.onnx"
    export(network, file, SHAPE)
    example = torch.randn(SHAPE)
    session = onnx_session(file)
    (output,) = session.run(None, {session.get_inputs()[0].name: example.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(output), network(example), rtol=1e-4, atol=1e-5)
    check_file(file, network, SHAPE, seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("prepared", [with_statistics_of_noise, nn.Module.eval], ids=["normalised", "untrained"])
def test_a_whole_shufflenet_passes_the_check_until_its_file_is_tampered_with(
    prepared: Callable[[nn.Module], nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network, shape, file = prepared(shufflenet_v2_x0_5(weights=None)), (1, 3, 64, 64), tmp_path / "network.onnx"
    export(network, file, shape)
    check_file(file, network, shape, seed=0)
    tamper(file)
    with pytest.raises(RuntimeError, match="one differs by"):
        check_file(file, network, shape, seed=0)


def test_a_tampered_file_is_refused_with_the_largest_difference(tmp_path: Path) -> None:
    network, file = grouped_network(nn.ChannelShuffle(3)), tmp_path / "network.onnx"
    export(network, file, SHAPE)
    tamper(file)
    with pytest.raises(RuntimeError, match=r"one differs by \d"):
        check_file(file, network, SHAPE, seed=0)


def test_a_file_that_gives_nan_is_refused(tmp_path: Path) -> None:
    network, file = grouped_network(nn.ChannelShuffle(3)), tmp_path / "network.onnx"
    export(network, file, SHAPE)
    broken = grouped_network(nn.ChannelShuffle(3))
    nn.init.constant_(broken[-1].bias, float("nan"))
    with pytest.raises(RuntimeError, match="differs by nan"):
        check_file(file, broken, SHAPE, seed=0)


def test_the_shape_is_static_and_the_file_is_one(tmp_path: Path) -> None:
    export(grouped_network(nn.ChannelShuffle(3)), tmp_path / "network.onnx", SHAPE)
    assert onnx_session(tmp_path / "network.onnx").get_inputs()[0].shape == list(SHAPE)
    assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]


def test_exporting_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export(grouped_network(nn.ChannelShuffle(3)), tmp_path / "network.onnx", SHAPE)
    assert capfd.readouterr() == ("", "")
