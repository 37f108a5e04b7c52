"""One architecture trained to its end: exactly the same however often it was stopped, and tested once."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders.places import read_json
from builders.train_command import LINE, SMALL, names_in, raises, stop_in, trained
from PIL import Image

from nas.train import __main__ as train
from nas.train import result as train_result
from proxies.pretrained import read_trained_for
from proxies.training.cuda_graph import CaptureError
from proxies.training.recipes import RECIPES
from proxies.training.trainer import Trainer
from proxies.weights import network_from
from search_space import PRESETS, Architecture

Captured = pytest.CaptureFixture[str]


# What is left at the end


def test_a_training_leaves_a_network_whose_test_accuracy_a_reader_finds_again(capsys: Captured) -> None:
    metrics = trained("out")
    about, network = (read(Path("out/weights.safetensors")) for read in (read_trained_for, network_from))
    files = sorted(Path("set/test").rglob("*.png"))
    pixels = np.stack([(np.asarray(Image.open(file)) / 255 - about.mean) / about.std for file in files])
    found = network(torch.tensor(pixels).float().permute(0, 3, 1, 2)).argmax(dim=1)
    correct = sum(about.classes[label] == file.parent.name for label, file in zip(found.tolist(), files, strict=True))
    assert about.classes == ("dark", "light")
    assert metrics["test_accuracy"] == correct / 24
    assert metrics["data"]["test_images"] == 24
    assert f"test accuracy: {100 * correct / 24:.2f} % of 24 images" in capsys.readouterr().out


def test_the_normalisation_is_that_of_the_training_images() -> None:
    trained("out")
    about = read_trained_for(Path("out/weights.safetensors"))
    # A sixth of the 60 images are split off to validate on: their mean is near that of all, and not it.
    pixels = np.stack([np.asarray(Image.open(file)) / 255 for file in Path("set/train").rglob("*.png")])
    assert about.mean == pytest.approx(pixels.mean(axis=(0, 1, 2)), abs=0.01)
    assert about.std == pytest.approx(pixels.std(axis=(0, 1, 2)), abs=0.01)


def test_what_is_left_says_what_was_trained_and_how(capsys: Captured) -> None:
    metrics = trained("out", "--seed", "5", "--learning-rate", "0.01")
    printed = capsys.readouterr()
    params = sum(each.numel() for each in network_from(Path("out/weights.safetensors")).parameters())
    assert names_in("out") == ["architecture.json", "checkpoint.pt", "metrics.json", "weights.safetensors"]
    assert Architecture.from_dict(read_json(Path("out/architecture.json"))) == SMALL
    assert (metrics["name"], metrics["key"], metrics["seed"]) == ("tiny", SMALL.key(), 5)
    assert metrics["cost"]["training"]["params"] == params
    assert [metrics["cost"]["training"][name] for name in ("resolution", "classes", "channels")] == [16, 2, 3]
    assert [metrics["cost"]["deployment"][name] for name in ("resolution", "classes")] == [224, 1000]
    recipe = metrics["recipe"]
    assert [recipe[name] for name in ("name", "epochs", "batch_size", "learning_rate")] == ["full", 3, 16, 0.01]
    assert len(metrics["curves"]["training_losses"]) == 3
    assert metrics["validation_accuracy"] == metrics["curves"]["validation_accuracies"][-1]
    assert metrics["data"]["training_images"] + metrics["data"]["validation_images"] == 60
    assert metrics["images_per_second"] == pytest.approx(metrics["curves"]["images_seen"] / metrics["seconds"])
    assert metrics["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert metrics["started_from"] is None
    assert f"{params / 1e6:.4f} M params" in printed.out
    for name in ("weights.safetensors", "architecture.json", "metrics.json"):
        assert f"wrote {Path('out', name)}\n" in printed.out


def test_every_epoch_is_a_line_and_only_validated_ones_have_an_accuracy(capsys: Captured) -> None:
    trained("out")
    told, *lines = capsys.readouterr().err.splitlines()
    assert told == (
        "images: folder:set: 2 classes (dark 25, light 25); 50 images to train on (train/), 10 to validate on (split "
        "off); test/ is kept for testing alone"
    )
    assert [line.partition(":")[0] for line in lines] == [f"epoch {number} of 3" for number in (1, 2, 3)]
    assert all("training loss" in line and "images/s" in line and "left" in line for line in lines)
    assert ["validation accuracy" in line for line in lines] == [False, False, True]


def test_without_test_images_the_accuracy_on_them_is_unknown_and_not_zero(capsys: Captured) -> None:
    metrics = trained("out", "--data", "folder:set/train")
    assert (metrics["test_accuracy"], metrics["test_loss"], metrics["data"]["test_images"]) == (None, None, None)
    assert "test/" in metrics["no_test_because"]
    assert f"test accuracy: unknown, for {metrics['no_test_because']}\n" in capsys.readouterr().out


def test_a_recipe_that_shrinks_images_is_tested_on_shrunken_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[Any] = []
    real = train_result.evaluate
    monkeypatch.setattr(train_result, "evaluate", lambda *given: (sizes.append(tuple(given[1].shape)), real(*given))[1])
    metrics = trained("out", "--recipe", "short", "--image-size", "32")
    assert sizes == [(24, 3, 16, 16)]
    assert read_trained_for(Path("out/weights.safetensors")).image_size == 16
    assert metrics["cost"]["training"]["resolution"] == 16


def test_a_preset_is_trained_in_a_folder_of_its_own_name(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(train_result.__dict__, "evaluate", lambda *_: (1.5, 0.25))
    monkeypatch.setattr(Trainer, "_train_epoch", lambda _: {"training_loss": 1.0, "images": 50})
    assert train.main(["v1-0.25x-g3", *LINE[1:-1], "1"]) == 0
    metrics = read_json(Path("runs/train-v1-0.25x-g3/metrics.json"))
    assert metrics["key"] == PRESETS["v1-0.25x-g3"].key()
    assert metrics["test_accuracy"] == 0.25


# Started from weights


def test_a_training_starts_from_another_ones_weights_and_so_does_the_average(capsys: Captured) -> None:
    trained("old")
    metrics = trained("new", "--weights-from", "old/weights.safetensors", "--learning-rate", "1e-9", "--seed", "9")
    assert "starts from old/weights.safetensors\n" in capsys.readouterr().err
    assert metrics["started_from"]["file"] == "old/weights.safetensors"
    assert len(metrics["started_from"]["sha256"]) == 64
    old, new = (network_from(Path(out, "weights.safetensors")) for out in ("old", "new"))
    for one, other in zip(old.parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_weights_of_another_architecture_are_a_mistake_before_any_training(capsys: Captured) -> None:
    assert train.main(["other.json", *LINE[1:], "--out", "old"]) == 0
    capsys.readouterr()
    assert train.main([*LINE, "--out", "new", "--weights-from", "old/weights.safetensors"]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "only the file has stage4.1." in printed.err


# What goes wrong


def test_a_loss_that_is_no_number_is_one_line_and_status_1(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(RECIPES, "full", replace(RECIPES["full"], learning_rate=1e30))
    assert train.main([*LINE, "--out", "out"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "TrainingError: the training loss is" in printed.err.splitlines()[-1]
    assert not Path("out/metrics.json").exists()


def test_a_training_that_ends_worse_than_guessing_says_so(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr("proxies.training.trainer.validate", lambda *_: (57.2, 0.5))
    assert train.main([*LINE, "--out", "out"]) == 0
    words = "the validation loss ended at 57.20, above the 0.69 of guessing among 2 classes"
    assert f"careful: {words}; try a lower --learning-rate" in capsys.readouterr().out
    assert read_json(Path("out/metrics.json"))["doubt"] == words


def _capture_error() -> CaptureError:
    error = CaptureError("the training step cannot be captured")
    error.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
    return error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"),
        _capture_error(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
    ids=["cuda", "cuda graph", "cpu", "python"],
)
def test_too_little_memory_is_one_line_that_names_the_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, error: Exception
) -> None:
    stop_in(monkeypatch, Trainer, "run_epoch", 1, raises(error))
    assert train.main([*LINE, "--out", "out"]) == 1
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 2)
    assert "batches of 16 images: lower --batch-size" in printed.err


def test_another_error_is_not_taken_for_too_little_memory(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    stop_in(monkeypatch, Trainer, "run_epoch", 1, raises(RuntimeError("shapes differ")))
    assert train.main([*LINE, "--out", "out"]) == 1
    assert "RuntimeError: shapes differ" in capsys.readouterr().err


MISTAKES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "neither preset nor file": (("v9-1.0x",), ("v9-1.0x", "preset")),
    "data": (("tiny.json", "--data", "imagenet-99"), ("imagenet-99", "cifar10")),
    "folder that is missing": (("tiny.json", "--data", "folder:nowhere"), ("nowhere",)),
    "set that is missing": (("tiny.json", "--data", "cifar10", "--data-root", "empty"), ("empty", "--download")),
    "recipe": (("tiny.json", "--recipe", "magic"), ("magic", "full")),
    "epochs": (("tiny.json", "--epochs", "0"), ("--epochs", "at least 1", "0")),
    "batch of one": (("tiny.json", "--batch-size", "1"), ("--batch-size", "at least 4", "1")),
    "rate": (("tiny.json", "--learning-rate", "-0.1"), ("--learning-rate", "at least 0.000000001", "-0.1")),
    "rate that is no number": (
        ("tiny.json", "--learning-rate", "nan"),
        ("a number from", "nan"),
    ),
    "seed": (("tiny.json", "--seed", "-1"), ("--seed", "at least 0", "-1")),
    "tiny images": (("tiny.json", "--image-size", "2"), ("--image-size", "at least 8", "2")),
    "device": (("tiny.json", "--device", "tpu"), ("tpu", "cuda")),
    "weights that are missing": (("tiny.json", "--weights-from", "no.pth"), ("--weights-from", "no.pth")),
    "output under a file": (("tiny.json", "--out", "tiny.json/out"), ("tiny.json", "written")),
    "usage": (("tiny.json", "--nonsense"), ("--nonsense", "--help")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(mistake: str, place: Path, capsys: Captured) -> None:
    arguments, words = MISTAKES[mistake]
    before = names_in(".")
    try:
        status: Any = train.main([*arguments[:1], *LINE[1:], *arguments[1:]])
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in printed.err
    assert set(names_in(".")) - {"cache", "empty"} == set(before)


def test_test_classes_of_another_set_are_told_before_the_training(capsys: Captured, place: Path) -> None:
    (place / "set/test/light").rename(place / "set/test/bright")
    assert train.main([*LINE, "--out", "out"]) == 2
    assert "light" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_broken_checkpoint_is_told(capsys: Captured) -> None:
    Path("out").mkdir()
    Path("out/checkpoint.pt").write_text("broken")
    assert train.main([*LINE, "--out", "out", "--resume"]) == 2
    assert "checkpoint.pt' is not: remove it" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["--nonsense"], 2), (["v9-1.0x"], 2)])
def test_help_and_usage_errors_do_not_import_torch(arguments: list[str], status: int) -> None:
    code = (
        "import runpy, sys\n"
        "try:\n    runpy.run_module('nas.train', run_name='__main__')\n"
        "except SystemExit as stop:\n    print('status', stop.code, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"status {status} False"
