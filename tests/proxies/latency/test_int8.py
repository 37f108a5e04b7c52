"""A network in int8: its file computes in 8 bits, near what the network computes, and another file is noticed."""

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from proxies.backbone import deployed
from proxies.latency.measure import Timing, compare, expected_in_int8, prepare
from proxies.latency.onnx_session import cpu_run, session_of
from proxies.latency.output_check import WrongOutput, example
from proxies.latency.plain_onnx import check_plain_onnx
from proxies.latency.process import Prepared
from proxies.latency.runtimes import RUNTIMES, Shape, check_runtime, onnx_file
from search_space import PRESETS, Architecture, Stage
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER

SHAPE = (1, 3, 64, 64)
NETWORKS = {
    "v2-0.5x": 100,
    "v1-0.5x-g3": 10,
    "v1 with hardswish": 100,
    "v2-0.5x as a backbone": NO_CLASSIFIER,
}
V1 = Architecture(
    unit="v1",
    stem=24,
    head=0,
    stages=tuple(Stage(2, 96 << n, (4, 8, 3)[n], kernel=3 + 2 * n, se=n == 1) for n in range(3)),
    activation="hardswish",
)
BOTH = [name for name, row in RUNTIMES.items() if row.has_int8]


def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return deployed(PRESETS.get(name.partition(" ")[0], V1), NETWORKS[name])


def written(folder: Path, network: nn.Module, runtime: str = "onnxruntime") -> Prepared:
    return prepare(network, folder / "network", resolution=64, runtime=runtime, precision="int8")


@pytest.fixture(scope="module", params=NETWORKS)
def ready(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return written(tmp_path_factory.mktemp("int8"), built(request.param))


def shuffles_of(network: nn.Module) -> list[tuple[nn.Module, str]]:
    return [
        (parent, name)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ChannelShuffle)
    ]


# The file


def test_every_layer_reads_weights_in_8_bits_with_a_scale_for_each_channel(ready: Prepared) -> None:
    model = onnx.load(ready.file)
    tensors = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    made_by = {output: node for node in model.graph.node for output in node.output}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) > 20
    for layer in layers:
        given, weights = (made_by[name] for name in layer.input[:2])
        assert (given.op_type, weights.op_type) == ("DequantizeLinear", "DequantizeLinear")
        values, scales = (tensors[name] for name in weights.input[:2])
        assert values.dtype == np.int8
        assert scales.shape == (values.shape[0],)
        # 2 * 255 * 64 is less than 2**15: pairs of products never overflow 16 bits.
        assert np.abs(values.astype(int)).max() in (63, 64)


def test_the_file_is_one_that_an_agent_runs(ready: Prepared) -> None:
    check_plain_onnx(Path(ready.file).read_bytes())
    assert [file.name for file in Path(ready.file).parent.iterdir()] == ["network.onnx"]


def test_outputs_differ_from_the_networks_by_less_than_another_image_changes_them(tmp_path: Path) -> None:
    network = built("v2-0.5x")
    exact = prepare(copy.deepcopy(network), tmp_path / "fp32", resolution=64)
    rounded = written(tmp_path, network)
    images = [example(SHAPE, seed) for seed in range(4)]
    ours, others = (
        np.stack([cpu_run(session_of(each.file), image)()[0] for image in images]) for each in (rounded, exact)
    )
    lost = np.sqrt(np.mean((ours - others) ** 2))
    assert 0 < lost < np.sqrt(np.mean((others[1:] - others[:-1]) ** 2))


# What is timed


@pytest.mark.parametrize("runtime", BOTH)
def test_the_runtime_computes_what_the_file_says_step_by_step(runtime: str, ready: Prepared) -> None:
    if RUNTIMES[runtime].missing():
        pytest.skip(f"python -m pip install -e '.[{RUNTIMES[runtime].extra}]'")
    loaded = RUNTIMES[runtime].load(Path(ready.file), SHAPE, "cpu", example(SHAPE, ready.expected.seed))
    ready.expected.check(loaded.outputs())


@pytest.mark.parametrize("runtime", BOTH)
def test_an_average_pool_pads_maps_below_0_with_what_stands_for_0(runtime: str, tmp_path: Path) -> None:
    if RUNTIMES[runtime].missing():
        pytest.skip(f"python -m pip install -e '.[{RUNTIMES[runtime].extra}]'")
    convolution = nn.Conv2d(3, 4, 1)
    nn.init.zeros_(convolution.weight)
    nn.init.constant_(convolution.bias, -1.5)  # of which hardswish makes -0.375, and the pool's corner 4 / 9 of that
    network = nn.Sequential(convolution, nn.Hardswish(), nn.AvgPool2d(3, 2, 1)).eval()
    rounded = written(tmp_path, network)
    (found,) = RUNTIMES[runtime].load(Path(rounded.file), SHAPE, "cpu", example(SHAPE, 0)).outputs()
    assert np.asarray(found)[0, :, 0, 0] == pytest.approx([-0.375 * 4 / 9] * 4, abs=0.01)
    assert np.asarray(found)[0, :, 1:, 1:] == pytest.approx(np.full((4, 31, 31), -0.375), abs=0.01)


@pytest.mark.parametrize("name", ["v2-0.5x", "v1-0.5x-g3"])
def test_a_file_without_shuffles_is_refused(name: str, tmp_path: Path) -> None:
    network = built(name)
    right = written(tmp_path, copy.deepcopy(network))
    for parent, shuffle in shuffles_of(network):
        setattr(parent, shuffle, nn.Identity())
    wrong = prepare(network, tmp_path / "wrong", resolution=64, precision="int8")
    outputs = RUNTIMES["onnxruntime"].load(Path(wrong.file), SHAPE, "cpu", example(SHAPE, 0)).outputs()
    with pytest.raises(WrongOutput):
        right.expected.check(outputs)


def test_one_that_was_written_without_one_shuffle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(network: nn.Module, file: Path, shape: Shape, device: str) -> None:
        other = copy.deepcopy(network)
        setattr(*shuffles_of(other)[8], nn.Identity())
        onnx_file.export_onnx(other, file, shape, device)

    monkeypatch.setattr(onnx_file, "write_onnx", write)
    with pytest.raises(WrongOutput):
        written(tmp_path, built("v2-0.5x"))


def test_a_file_whose_layers_are_not_in_8_bits_is_refused(tmp_path: Path) -> None:
    exact = prepare(built("v2-0.5x"), tmp_path / "fp32", resolution=64)
    with pytest.raises(RuntimeError, match="must be in 8 bits; 0 of 57 are"):
        expected_in_int8(Path(exact.file), SHAPE, 0)


@pytest.mark.slow
def test_the_latency_says_int8_beside_a_reference_of_either_precision(tmp_path: Path) -> None:
    timing = Timing(processes=2, max_processes=2, rounds=20, runs=5, seconds=4.0)
    rounded = written(tmp_path, built("v2-0.5x"))
    exact = prepare(built("v2-0.5x"), tmp_path / "fp32", resolution=64)
    assert compare(rounded, rounded, timing=timing).precision == "int8"
    both = [compare(*each, timing=timing) for each in ((rounded, exact), (exact, rounded))]
    assert [each.precision for each in both] == ["int8", "float32"]
    assert both[0].ratio * both[1].ratio == pytest.approx(1, abs=0.3)


# What is refused


def test_a_runtime_that_has_no_int8_names_those_that_have_it() -> None:
    with pytest.raises(
        InputError, match="by the runtimes onnxruntime, openvino; got torch: name one of these, or fp32"
    ):
        check_runtime("torch", "cpu", "int8")
    with pytest.raises(InputError, match="compute int8 on the cpu; device 'cuda' came: use the cpu, or fp32"):
        check_runtime("onnxruntime", "cuda", "int8")
