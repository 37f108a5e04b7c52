"""ONNX files that somebody gives, timed as they are."""

from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nas.latency import __main__ as latency
from nas.latency import time as latency_time
from proxies.backbone import deployed
from proxies.latency.existing_onnx import prepare_file
from proxies.latency.measure import Timing, compare
from proxies.latency.output_check import WrongOutput, example
from proxies.latency.runtimes import RUNTIMES
from proxies.network import build
from search_space import PRESETS
from search_space.errors import InputError
from search_space.plan import NO_CLASSIFIER

SHORT = Timing(processes=2, max_processes=2, rounds=5, runs=2, warmup_runs=1, least_rounds=2)
Captured = pytest.CaptureFixture[str]


def write(network: nn.Module, file: Path, *shape: int, dynamic: bool = False) -> Path:
    options = {"dynamic_shapes": ({0: torch.export.Dim("n")},)} if dynamic else {}
    example = torch.zeros((2, *shape[1:]) if dynamic else shape)
    torch.onnx.export(network.eval(), (example,), dynamo=True, verbose=False, **options).save(file)
    return file


@pytest.mark.slow
def test_a_file_of_an_open_batch_size_is_timed_for_one_image(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency_time, "compare", partial(compare, timing=SHORT))
    file = write(build(PRESETS["v2-0.5x"], 10), tmp_path / "own.onnx", 1, 3, 64, 64, dynamic=True)
    assert latency.main(["time", str(file)]) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{file}: 3x64x64, ")
    ratio = float(line.partition("%")[2].split(",")[1].split()[0])
    assert 0 < ratio < 1, "half the width at a tenth of the pixels takes less time than V2 1.0x at 224"


@pytest.mark.slow
def test_what_is_kept_is_what_onnx_itself_computes(tmp_path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    file = write(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), tmp_path / "small.onnx", 1, 3, 8, 8)
    ready = prepare_file(file)
    (output,) = ReferenceEvaluator(str(file)).run(None, {onnx.load(file).graph.input[0].name: example((1, 3, 8, 8), 0)})
    assert np.allclose(ready.expected.values, output.reshape(1, -1), atol=1e-6)
    ready.expected.check(RUNTIMES["onnxruntime"].load(file, ready.shape, "cpu", example((1, 3, 8, 8), 0)).outputs())
    with pytest.raises(WrongOutput):
        ready.expected.check([output * 1.01])


def test_every_output_of_a_file_is_kept(tmp_path: Path) -> None:
    file = write(deployed(PRESETS["v2-0.5x"], NO_CLASSIFIER), tmp_path / "maps.onnx", 1, 3, 64, 64)
    ready = prepare_file(file)
    outputs = RUNTIMES["onnxruntime"].load(file, ready.shape, "cpu", example((1, 3, 64, 64), 0)).outputs()
    assert [output.shape[2] for output in outputs] == [8, 4, 2]
    ready.expected.check(outputs)
    with pytest.raises(WrongOutput):
        ready.expected.check([*outputs[:2], outputs[2] * 1.01])


class Found(nn.Module):
    """Gives as many values as are above 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x > 0]


def test_a_file_whose_outputs_change_their_size_is_refused(tmp_path: Path) -> None:
    file = write(Found(), tmp_path / "found.onnx", 1, 3, 8, 8)
    with pytest.raises(InputError, match="one size for all images"):
        prepare_file(file)


def test_what_is_no_network_of_one_image_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(b"not a graph")
    flat = write(nn.Linear(4, 2), tmp_path / "flat.onnx", 1, 4)
    for file, text in ((torn, "cannot read"), (flat, "tensor(float)"), (tmp_path / "none.onnx", "is none")):
        assert latency.main(["time", str(file)]) == 2
        assert text in capsys.readouterr().err


def test_a_runtime_that_reads_no_onnx_is_refused(tmp_path: Path) -> None:
    file = write(nn.Conv2d(3, 2, 1), tmp_path / "small.onnx", 1, 3, 8, 8)
    with pytest.raises(InputError, match="onnxruntime does"):
        prepare_file(file, "torch")
