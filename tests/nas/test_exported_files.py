"""What `nas.export` leaves: what was asked, on any machine, or nothing."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from builders.exported import ALL, network
from builders.images import write_images
from builders.mutations import mutations
from builders.places import TESTS, read_json
from builders.train_command import OTHER, SMALL, names_in

from nas.export import __main__ as export
from nas.export.metrics import metrics_beside
from proxies.batches import whole_batches
from proxies.export import FORMATS, check_options
from proxies.export.network import ExportedNetwork, Options, WrongExport
from proxies.network import build
from proxies.onnx_graph import OPSETS
from proxies.pretrained import TrainedFor
from proxies.weights import write_weights
from search_space import Architecture, InputError

Captured = pytest.CaptureFixture[str]
OLD = TESTS / "data" / "made_by_0_1_0"
WEIGHTS = "run/weights.safetensors"
FIVE = list(ALL)[4]


@pytest.fixture(scope="module")
def made() -> ExportedNetwork:
    return network(ALL[FIVE])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a training on `folder:set` has left; the images are on another machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("run").mkdir()
    metrics = read_json(OLD / "metrics.json")
    about = TrainedFor(SMALL, tuple(metrics["data"]["classes"]), 3, 1, 16, (0.4, 0.4, 0.4), (0.1, 0.1, 0.1))
    write_weights(Path(WEIGHTS), build(SMALL, 2, 3, 1).eval(), about)
    Path("run/metrics.json").write_text(json.dumps(metrics))
    return tmp_path


def exported(*line: str, out: str = "out", weights: str = WEIGHTS) -> int:
    return export.main([weights, "--no-latency", "--out", out, *line])


# What a file says of itself


def test_the_operator_sets_of_a_format_are_those_that_can_be_written() -> None:
    assert FORMATS["onnx"].opsets == (OPSETS[0], OPSETS[-1])
    assert FORMATS["onnx-int8"].opsets == (13, OPSETS[-1]), "scales by channel came with 13"


@pytest.mark.parametrize(("name", "opset"), [("onnx", 11), ("onnx", 23), ("onnx-int8", 13), ("onnx-int8", 23)])
def test_a_file_is_of_the_operator_set_asked(name: str, opset: int, made: ExportedNetwork, tmp_path: Path) -> None:
    row, options = FORMATS[name], Options(2, opset)
    row.write(made, tmp_path / "a.onnx", options)
    row.check(tmp_path / "a.onnx", made, options)
    versions = {each.domain: each.version for each in onnx.load(tmp_path / "a.onnx").opset_import}
    assert versions[""] == opset


@pytest.mark.parametrize(
    ("name", "options", "asked", "message"),
    [
        ("onnx", Options(1, 18), Options(1, 11), "operator set 11; it says 18"),
        ("onnx", Options(2), Options(None), "input .*'n', 1, 28, 28.*; it says .*2, 1, 28, 28"),
        ("onnx-int8", Options(1), Options(2), "input"),
        ("torch", Options(2), Options(None), "images at once None; it says 2"),
        ("torch", Options(None), Options(3), "images at once 3; it says None"),
    ],
)
def test_a_file_that_says_something_else_is_refused(
    name: str, options: Options, asked: Options, message: str, made: ExportedNetwork, tmp_path: Path
) -> None:
    file = tmp_path / f"a{FORMATS[name].suffix}"
    FORMATS[name].write(made, file, options)
    FORMATS[name].check(file, made, options)
    with pytest.raises(WrongExport, match=message):
        FORMATS[name].check(file, made, asked)


@pytest.mark.parametrize("name", ["onnx", "torch", "safetensors", "py", "json"])
def test_a_file_of_another_network_is_refused(name: str, made: ExportedNetwork, tmp_path: Path) -> None:
    file = tmp_path / f"a{FORMATS[name].suffix}"
    FORMATS[name].write(made, file, Options())
    other = replace(made, about=replace(made.about, architecture=OTHER), module=build(OTHER, 10, 1, 2))
    with pytest.raises(WrongExport, match="must be what was asked"):
        FORMATS[name].check(file, other, Options())


def test_floats_are_no_8_bits_and_8_bits_no_floats(made: ExportedNetwork, tmp_path: Path) -> None:
    for name, other in (("onnx", "onnx-int8"), ("onnx-int8", "onnx")):
        FORMATS[name].write(made, tmp_path / name, Options())
        with pytest.raises(WrongExport, match="layers in 8 bits"):
            FORMATS[other].check(tmp_path / name, made, Options())


def test_where_one_file_is_wrong_none_is_left(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    from proxies.export import onnx_file

    def of_another_set(network: ExportedNetwork, file: Path, options: Options) -> None:
        written(network, file, replace(options, opset=18))

    written = onnx_file.write_onnx
    monkeypatch.setattr(onnx_file, "write_onnx", of_another_set)
    assert exported("--format", "safetensors,onnx", "--opset", "12") == 1
    assert "operator set 12; it says 18" in capsys.readouterr().err.splitlines()[-1]
    assert names_in("out") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("--format", "onnx", "--opset", "10"), "--opset must be at least 11, got 10"),
        (("--format", "onnx", "--opset", "24"), "--opset must be at most 23, got 24"),
        (("--format", "onnx,onnx-int8", "--opset", "12"), "--opset must be 13 to 23 for the format onnx-int8, got 12"),
        (("--format", "all", "--opset", "12"), "--opset must be 13 to 23 for the format onnx-int8, got 12"),
        (("--format", "safetensors", "--opset", "18"), "--opset is for ONNX files"),
    ],
)
def test_what_no_file_can_be_is_refused_before_anything_is_read(
    line: tuple[str, ...], message: str, place: Path, capsys: Captured
) -> None:
    assert exported(*line, weights="none.safetensors") == 2
    assert message in capsys.readouterr().err
    assert names_in("out") == []


def test_a_format_for_one_image_is_refused_with_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "executorch", replace(FORMATS["executorch"], needs=""))
    check_options("executorch", 1, None)
    check_options("all", None, None)
    for batch in (2, None):
        with pytest.raises(InputError, match="executorch takes one image at a time"):
            check_options("onnx,executorch", batch, None)


# Small data


@pytest.mark.parametrize(
    ("count", "batch", "sizes"), [(1, 4, [4]), (5, 2, [2, 2, 2]), (4, 2, [2, 2]), (3, 1, [1, 1, 1])]
)
def test_a_last_batch_is_filled_up(count: int, batch: int, sizes: list[int]) -> None:
    images = np.arange(count, dtype=np.float32).reshape(count, 1, 1, 1)
    parts = list(whole_batches(images, batch))
    assert [len(part) for part in parts] == sizes
    flat = np.concatenate(parts).ravel().tolist()
    assert flat == [*range(count), *(count - 1 for _ in range(len(flat) - count))]


@pytest.mark.parametrize("count", [1, 3])
def test_8_bits_are_found_on_fewer_images_than_a_batch(count: int, made: ExportedNetwork, tmp_path: Path) -> None:
    few, options = replace(made, calibration=made.calibration[:count]), Options(16)
    FORMATS["onnx-int8"].write(few, tmp_path / "a.onnx", options)
    FORMATS["onnx-int8"].check(tmp_path / "a.onnx", few, options)
    run = FORMATS["onnx-int8"].load(tmp_path / "a.onnx", few)
    image = few.normalised(few.calibration[:1]).numpy()
    assert np.isfinite(run(np.repeat(image, 16, axis=0))).all()


def test_two_images_a_class_are_enough(place: Path) -> None:
    write_images(Path("mine"), count=2)
    assert exported("--format", "onnx-int8,onnx", "--batch", "64", "--data", "folder:mine") == 0
    facts = read_json(Path("out/tiny.card.json"))["files"]["onnx-int8"]
    assert (facts["calibration_images"], facts["compared_images"]) == (2, 2)
    assert facts["images"] == "folder:mine"


def test_images_of_other_classes_say_nothing_of_accuracy(place: Path) -> None:
    write_images(Path("mine"), classes=("a", "b", "c"), count=3)
    assert exported("--format", "onnx-int8", "--data", "folder:mine") == 0
    facts = read_json(Path("out/tiny.card.json"))["files"]["onnx-int8"]
    assert "same_class_share" in facts
    assert "validation_accuracy" not in facts


# Another machine


@pytest.mark.parametrize("name", ["safetensors", "py", "json", "onnx", "torch", "ultralytics"])
def test_the_images_of_the_training_need_not_be_here(name: str, place: Path) -> None:
    assert exported("--format", name) == 0
    assert f"tiny{FORMATS[name].suffix}" in names_in("out")


def test_8_bits_need_images_and_name_the_flag(place: Path, capsys: Captured) -> None:
    for file, reason in (
        (None, "got set"),
        ("run/metrics.json", "nothing beside 'run/weights.safetensors' names them"),
    ):
        if file:
            Path(file).unlink()
        assert exported("--format", "onnx-int8") == 2
        said = capsys.readouterr().err
        assert reason in said
        assert "give --data, such as folder:PATH" in said
        assert said.count("\n") == 1
        assert names_in("out") == []


# What lies beside the weights


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 1}', b'"text"', b"\xff\xfe{", b'{"name": NaN}'])
def test_damaged_metrics_are_one_line_with_the_cure(content: bytes, place: Path, capsys: Captured) -> None:
    Path("run/metrics.json").write_bytes(content)
    assert exported("--format", "safetensors") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "run/metrics.json" in said
    assert "remove it to export without what it says" in said
    Path("run/metrics.json").unlink()
    assert exported("--format", "safetensors") == 0


def refusal_of(weights: Path) -> str:
    """What is said of the metrics beside the weights; nothing where they are read."""
    try:
        assert metrics_beside(weights)
    except InputError as error:
        return str(error)
    return ""


def test_metrics_in_hundreds_of_wrong_forms_are_read_or_refused(place: Path) -> None:
    valid, read = read_json(Path("run/metrics.json")), 0
    for label, content in mutations(valid, 300):
        Path("run/metrics.json").write_bytes(content)
        said = refusal_of(Path(WEIGHTS))
        assert ("run/metrics.json" in said, "\n" in said) == (bool(said), False), label
        read += not said
        if not said and read <= 3:
            assert exported("--format", "safetensors") == 0, label
    assert 0 < read < 200


@pytest.mark.parametrize("change", [{"key": "0"}, {"data": {"classes": ["light", "dark"]}}])
def test_metrics_of_another_training_are_left_out(change: dict[str, Any], place: Path) -> None:
    metrics = read_json(Path("run/metrics.json"))
    changed = {**metrics, **change, "data": {**metrics["data"], **change.get("data", {})}}
    Path("run/metrics.json").write_text(json.dumps(changed))
    assert exported("--format", "safetensors") == 0
    assert "tiny.safetensors" not in names_in("out")
    (card,) = Path("out").glob("*.card.json")
    assert read_json(card)["training"] is None


def test_a_name_in_metrics_is_no_path(place: Path) -> None:
    metrics = read_json(Path("run/metrics.json"))
    Path("run/metrics.json").write_text(json.dumps({**metrics, "name": "../../elsewhere"}))
    assert exported("--format", "safetensors", out="deep/er/out") == 0
    assert len(names_in("deep/er/out")) == 3
    assert names_in("deep") == ["er"]


def test_two_networks_of_one_name_do_not_take_each_others_place(place: Path, capsys: Captured) -> None:
    shutil.copytree("run", "again")
    assert export.main([WEIGHTS, "again/weights.safetensors", "--format", "safetensors", "--out", "out"]) == 2
    assert "two are called 'tiny'" in capsys.readouterr().err
    assert names_in("out") == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: safetensors.torch.save_file({"a": torch.zeros(1)}, file),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["empty", "cut off", "of others", "a folder"],
)
def test_damaged_weights_are_one_line(spoil: Callable[[Path], Any], place: Path, capsys: Captured) -> None:
    spoil(Path(WEIGHTS))
    assert exported("--format", "py") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_weights_that_are_no_numbers_are_refused(place: Path, capsys: Captured) -> None:
    network = build(SMALL, 2, 3, 1)
    network.state_dict()["stem.branches.0.0.weight"].fill_(torch.nan)
    write_weights(Path(WEIGHTS), network, TrainedFor(SMALL, ("a", "b"), 3, 1, 16, (0.4,) * 3, (0.1,) * 3))
    assert exported("--format", "onnx") == 2
    assert "must be finite numbers, and stem.branches.0.0.weight" in capsys.readouterr().err
    assert names_in("out") == []


def test_an_architecture_that_was_written_is_the_same_read_back(place: Path) -> None:
    assert exported("--format", "json") == 0
    assert Architecture.from_dict(read_json(Path("out/tiny.json"))) == SMALL
