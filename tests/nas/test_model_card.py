"""A model card in Markdown: what is known of an exported network, and what is not, in words."""

from typing import Any

import pytest

from nas.export.model_card import card_text
from search_space import PRESETS

NAME, SHOWN = "a <b> & 'c'", "a \\<b> \\& 'c'"
LATENCY = {
    **{"latency_ms": 1.5, "spread": 0.02, "noisy": False},
    **{"runtime": "onnxruntime", "runtime_version": "1.22", "device": "A CPU"},
}
TRAINING = {
    "data": {"name": NAME, "validation_images": 2000, "training_images": 10_000, "fingerprint": "ab12"},
    "recipe": {"name": "full", "epochs": 30},
    "seed": 1,
    "device": "cpu",
    "validation_accuracy": 0.5123,
    "test_accuracy": None,
    "no_test_because": "no test images were given",
    "seconds": 12.6,
    "command": "python -m nas.train v2-0.5x",
}
MEMORY = {
    "fp32": {"ram_bytes": 1_500_000, "flash_bytes": 5_000_000},
    "int8": {"ram_bytes": 375_000, "flash_bytes": 1_300_000},
}
FACTS = {
    "name": NAME,
    "key": "1234",
    "trained": True,
    "architecture": PRESETS["v2-0.5x"].to_dict(),
    "input": {"shape": ["n", 3, 224, 224], "mean": [0.485, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
    "classes": ["cat", "dog"],
    "cost": {"macs": 41_000_000, "params": 1_366_792, "peak_bytes": 1_500_000, "memory": MEMORY},
    "training": TRAINING,
    "data_licence": None,
    "code_licence": "MIT",
    "files": {"onnx": {"file": "a.onnx", "bytes": 5_400_000, "largest_difference": 1.2e-6, "latency": LATENCY}},
    "versions": {"torch": "2.9", "onnx": "1.18"},
    "commit": None,
}


def card(**changes: Any) -> list[str]:
    return card_text({**FACTS, **changes}).splitlines()


def test_names_stand_there_as_they_are() -> None:
    lines = card()
    assert lines[0] == f"# {SHOWN}"
    assert any(
        f"10000 images of {SHOWN} (fingerprint ab12), 13 s. Recipe: name full, epochs 30." in one for one in lines
    )


def test_an_accuracy_in_int8_stands_beside_that_in_fp32() -> None:
    assert not any("in int8" in line for line in card())
    int8 = {"accuracy": 0.5, "images": 2000, "calibration_images": 256}
    (line,) = (line for line in card(training={**TRAINING, "int8": int8}) if line.startswith("Validation"))
    assert "51.23 % of 2000 images; in int8 50.00 % of the same images, quantised on 256 training images." in line


def test_class_names_are_no_sections_links_or_pictures() -> None:
    lines = card(classes=["cat\n\n# Heading", "[x](y)", "![x](y)", "https://e.example", "<img src=x>"])
    (shown,) = (line for line in lines if "Heading" in line)
    assert shown.endswith("5 classes: cat \\# Heading, \\[x\\](y), !\\[x\\](y), `https://e.example`, \\<img src=x>.")


def test_every_part_has_its_heading_between_empty_lines() -> None:
    lines = card()
    places = [place for place, line in enumerate(lines) if line.startswith("## ")]
    assert [lines[place].removeprefix("## ") for place in places] == [
        *("Architecture", "Input and output", "Cost", "Accuracy", "Files", "Use and limits", "Provenance"),
    ]
    assert {(lines[place - 1], lines[place + 1]) for place in places} == {("", "")}


def test_a_file_is_a_row_of_the_table() -> None:
    rows = [line for line in card() if line.startswith("| `")]
    assert rows == [
        "| `a.onnx` | 5,400,000 | largest difference 1.2e-06, on real images "
        "| 1.500 ms ±1.0 %, one image, one thread, onnxruntime 1.22 on A CPU |"
    ]
    rounded = {"file": "b.onnx", "bytes": 9, "same_class_share": 0.98, "compared_images": 2000}
    (row,) = (line for line in card(files={"int8": rounded}) if line.startswith("| `"))
    assert row == "| `b.onnx` | 9 | same class for 98.0 % of 2000 validation images | not measured |"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"trained": False, "training": None}, "None: it is not trained."),
        ({"training": None}, "Unknown: no `metrics.json` of its training lay beside the weights."),
        ({}, "Validation: 51.23 % of 2000 images. Test: unknown: no test images were given. "),
        ({"training": {**TRAINING, "test_accuracy": 0.5}}, "Test: 50.00 % of the test images. "),
    ],
)
def test_accuracy_is_what_is_known_of_it(changes: dict[str, Any], text: str) -> None:
    lines = card(**changes)
    assert text in lines[lines.index("## Accuracy") + 2]


def test_of_many_classes_twenty_are_named() -> None:
    text = "\n".join(card(classes=[f"c{number}" for number in range(21)]))
    assert "each of 21 classes: c0, c1, " in text
    assert "c19, ...." in text
    assert "cat, dog." in "\n".join(card())


def test_memory_stands_there_at_both_precisions() -> None:
    lines = card()
    assert "- at fp32: RAM 1,464.9 KiB, flash 4,882.9 KiB" in lines
    assert "- at int8: RAM 366.3 KiB, flash 1,269.6 KiB" in lines
