"""The flash that a cost counts beside what the files of the same networks hold, which are written by other code."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from proxies.network import build
from proxies.onnx_graph import model_of
from proxies.quantization.onnx_int8 import write_int8
from search_space import PRESETS, Architecture, Budget, SearchSpace, cost_of
from search_space.choosers import RandomChooser


def model(architecture: Architecture) -> onnx.ModelProto:
    network = build(architecture).eval()
    assert network.plan is not None
    return model_of(network.plan, dict(network.named_modules()), (1, 3, 224, 224))


def float_bytes(made: onnx.ModelProto) -> int:
    floats = (each for each in made.graph.initializer if each.data_type == onnx.TensorProto.FLOAT)
    return sum(numpy_helper.to_array(each).nbytes for each in floats)


@pytest.mark.parametrize("name", ["v1-0.25x-g8", "v1-1.0x-g3", "v2-0.5x", "v2-star-0.5x", "v2-se-1.0x"])
def test_an_onnx_file_holds_just_the_flash_at_fp32(name: str) -> None:
    assert float_bytes(model(PRESETS[name])) == cost_of(PRESETS[name]).flash_bytes("fp32")


@pytest.mark.slow
def test_so_do_those_of_all_presets_and_of_50_drawn_networks() -> None:
    space = SearchSpace.default(Budget.parse("60mflops"))
    for architecture in (*PRESETS.values(), *(space.suggest(RandomChooser(seed)) for seed in range(50))):
        assert float_bytes(model(architecture)) == cost_of(architecture).flash_bytes("fp32")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["v1-0.5x-g3", "v2-0.5x", "v2-se-1.0x"])
def test_an_onnx_file_in_int8_holds_the_flash_and_9_bytes_more_a_channel(name: str, tmp_path: Path) -> None:
    # ONNX Runtime's quantisation keeps a second scale for each bias, the product of two others, and zero points, all 0,
    # of weights in one byte and of biases in four. What is left is a scale and a zero point for each map.
    onnx.save(model(PRESETS[name]), tmp_path / "fp32.onnx")
    image = np.random.default_rng(0).random((1, 3, 224, 224), dtype=np.float32)
    write_int8(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", [image])
    held: Counter[str] = Counter()
    for each in onnx.load(tmp_path / "int8.onnx").graph.initializer:
        values = numpy_helper.to_array(each)
        if values.size > 1:
            held[f"{values.dtype} x {min(values.ndim, 2)}"] += values.nbytes
    cost = cost_of(PRESETS[name])
    assert held["int8 x 2"] == cost.weights
    assert held["int32 x 1"] == 2 * 4 * cost.biases
    assert held["float32 x 1"] == 2 * 4 * cost.biases
    assert held["int8 x 1"] == cost.biases
    assert (
        sum(held[kind] for kind in held if not kind.startswith("int64")) == cost.flash_bytes("int8") + 9 * cost.biases
    )
