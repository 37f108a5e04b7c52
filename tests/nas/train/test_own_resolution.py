"""A network of a resolution of its own is trained on smaller images, and what it leaves takes those."""

import json
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from builders.places import read_json
from builders.train_command import LINE, SMALL, trained

from nas.export import __main__ as export
from nas.train import __main__ as train
from proxies.counting import count
from proxies.network import build


@pytest.fixture(autouse=True)
def own(place: Path) -> None:
    Path("tiny.json").write_text(json.dumps(replace(SMALL, resolution=160).to_dict()), encoding="utf-8")


def test_its_metrics_and_the_file_that_is_exported_are_of_the_size_that_it_was_trained_on() -> None:
    metrics = trained("out")
    size = 11  # 160 / 224 of 16, rounded
    assert (metrics["curves"]["image_size"], metrics["curves"]["stem_stride"]) == (size, 1)
    assert (metrics["data"]["image_size"], metrics["recipe"]["resolution_share"]) == (16, 160 / 224)
    cost = metrics["cost"]
    assert (cost["training"]["resolution"], cost["deployment"]["resolution"]) == (size, 160)
    with torch.device("meta"):
        assert cost["training"]["macs"] == count(build(SMALL, 2, 3, 1), (1, 3, size, size))[0]
        assert cost["deployment"]["macs"] == count(build(SMALL), (1, 3, 160, 160))[0]
    line = ["out/weights.safetensors", "--format", "onnx,py", "--no-latency", "--out", "exported"]
    assert export.main(line) == 0
    (file,) = Path("exported").glob("*.onnx")
    dims = onnx.load(file).graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_value for dim in dims][1:] == [3, size, size]
    (source,) = Path("exported").glob("*.py")
    assert f"for 3 x {size}" in " ".join(source.read_text(encoding="utf-8").split())
    (card,) = Path("exported").glob("*.card.json")
    assert read_json(card)["cost"]["macs"] == cost["training"]["macs"]


def test_it_goes_on_with_images_of_that_size_alone(capsys: pytest.CaptureFixture[str]) -> None:
    trained("out")
    assert train.main([*LINE, "--out", "out", "--resume", "--resolution", "200"]) == 2
    assert "resolution_share" in capsys.readouterr().err
