"""A training whose network is quantised too: its accuracy in int8 stands beside, and is that of the exported file."""

from pathlib import Path

import pytest
from builders.places import read_json
from builders.train_command import trained

from nas.export import __main__ as export
from proxies.data.source import DataSource
from proxies.training.trainer import Trainer

Captured = pytest.CaptureFixture[str]


def test_the_accuracy_in_int8_is_kept_and_is_that_of_the_exported_file(capsys: Captured) -> None:
    metrics = trained("out", "--precision", "int8")
    int8 = metrics["int8"]
    # Of the 60 images a sixth is split off; the other 50 are what the range of activations is taken from.
    assert (int8["images"], int8["calibration_images"]) == (10, 50)
    assert (
        f"validation accuracy in int8: {100 * int8['accuracy']:.2f} % of the same images, " in capsys.readouterr().out
    )
    flags = ["out/weights.safetensors", "--format", "onnx-int8", "--no-latency", "--out", "exported"]
    assert export.main(flags) == 0
    (card,) = Path("exported").glob("*.card.json")
    facts = read_json(card)
    assert facts["training"]["int8"] == int8
    file = facts["files"]["onnx-int8"]
    assert (file["validation_accuracy"], file["calibration_images"]) == (int8["accuracy"], 50)
    assert "; in int8 " in card.with_suffix(".md").read_text(encoding="utf-8")


def test_a_finished_training_is_quantised_afterwards_and_nothing_is_trained_or_tested_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = trained("out")
    assert "int8" not in plain

    def never(*_: object) -> None:
        raise AssertionError("nothing is done twice")

    monkeypatch.setattr(Trainer, "run_epoch", never)
    monkeypatch.setattr(DataSource, "load_test", never)
    both = trained("out", "--resume", "--precision", "int8")
    assert {name: value for name, value in both.items() if name != "int8"} == plain
    assert trained("out", "--resume") == both, "it stays"
