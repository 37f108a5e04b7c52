"""A training that is stopped goes on as if it never was, with its own settings alone."""

import copy
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from builders.images import write_images
from builders.places import WAIT_SECONDS
from builders.train_command import LINE, OTHER, SMALL, assert_same, names_in, raises, stop_in, trained
from PIL import Image

from nas.train import __main__ as train
from nas.train import result as train_result
from nas.train import run as train_run
from proxies.data.source import DataSource
from proxies.training.trainer import Trainer

Captured = pytest.CaptureFixture[str]


KILLED = """
import os, signal, sys
from pathlib import Path
from proxies.training import trainer
real = trainer.batches
def batches(*given, **options):
    for number, batch in enumerate(real(*given, **options)):
        if number == 1 and Path("killed/checkpoint.pt").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch
trainer.batches = batches
from nas.train.__main__ import main
sys.exit(main())
"""
"""A training that is killed in the midst of an epoch, after its first checkpoint."""


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights_and_metrics_bit_for_bit() -> None:
    line = [sys.executable, "-c", KILLED, *LINE, "--out", "killed"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert names_in("killed") == ["checkpoint.pt"], "it was killed in its middle"
    trained("killed", "--resume")
    trained("unbroken")
    assert_same("killed", "unbroken")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_the_last_checkpoint_alone_and_the_way_on(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, number: signal.Signals
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            stop_in(patch, train_run, "write_checkpoint", 3, lambda: os.kill(os.getpid(), number))
            assert train.main([*LINE, "--out", "out"]) == 128 + number
    finally:
        signal.signal(signal.SIGINT, before)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[3:] == [
        "python -m nas.train: stopped; the same line with --resume goes on from out/checkpoint.pt"
    ]
    assert names_in("out") == ["checkpoint.pt"]
    trained("out", "--resume")
    assert "epoch 3 of 3" in (err := capsys.readouterr().err)
    assert "epoch 2 of 3" not in err
    trained("unbroken")
    assert_same("out", "unbroken")


def test_stopped_before_the_first_checkpoint_it_starts_anew_with_resume(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    with monkeypatch.context() as patch:
        stop_in(patch, Trainer, "run_epoch", 1, raises(KeyboardInterrupt()))
        assert train.main([*LINE, "--out", "out"]) == 130
    assert "starts anew" in capsys.readouterr().err
    assert names_in("out") == []
    trained("out", "--resume")
    trained("unbroken")
    assert_same("out", "unbroken")


@pytest.mark.parametrize("name", ["evaluate", "write_checkpoint", "write_weights", "write_json"])
def test_stopped_at_its_very_end_it_still_comes_to_the_same(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    call = {"write_checkpoint": 4, "write_json": 2}.get(name, 1)
    with monkeypatch.context() as patch:
        owner = train_result if name == "evaluate" else train_run
        stop_in(patch, owner, name, call, raises(KeyboardInterrupt()))
        assert train.main([*LINE, "--out", "out"]) == 130
    assert not Path("out/metrics.json").exists()
    trained("out", "--resume")
    trained("unbroken")
    assert_same("out", "unbroken")


def test_a_finished_training_says_its_result_again_and_never_looks_at_the_test_images_a_second_time(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    trained("out")
    first, files = capsys.readouterr().out, {path.name: path.read_bytes() for path in Path("out").iterdir()}
    for owner, name in ((DataSource, "load_test"), (train_result, "evaluate"), (Trainer, "run_epoch")):
        stop_in(monkeypatch, owner, name, 1, raises(AssertionError(f"{name} was called again")))
    trained("out", "--resume", "--debug")
    assert capsys.readouterr() == (first, "")
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == files


def test_the_test_images_are_looked_at_once_and_after_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = train_result.evaluate
    monkeypatch.setattr(train_result, "evaluate", lambda *given: (seen.append(len(given[1])), real(*given))[1])
    stop_in(monkeypatch, Trainer, "run_epoch", 3, lambda: seen.append(0))
    trained("out")
    assert seen == [0, 24]


CHANGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "seed": (("--seed", "1"), ("seed was 0, now 1",)),
    "epochs": (("--epochs", "4"), ("recipe epochs was 3, now 4",)),
    "batch": (("--batch-size", "8", "--learning-rate", "0.1"), ("batch_size was 16, now 8", "learning_rate was 0.05")),
    "recipe": (("--recipe", "short"), ("recipe name was 'full', now 'short'",)),
    "images": (("--image-size", "24"), ("image size was 16, now 24", "data fingerprint")),
    "pixels": (("--data", "folder:turned"), ("data fingerprint was", "(the images changed, or were read otherwise by")),
    "data": (("--data", "folder:three"), ("classes was 2, now 3", "data fingerprint")),
    "start": (("--weights-from", "old/weights.safetensors"), ("weights-from was None",)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_training_is_only_resumed_with_its_own_settings(change: str, capsys: Captured) -> None:
    write_images(Path("three"), ("a", "b", "c"), count=6)
    shutil.copytree("set", "turned")
    with Image.open("set/train/dark/0.png") as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save("turned/train/dark/0.png", exif=exif)
    if change == "start":
        trained("old")
    trained("out")
    before = Path("out/checkpoint.pt").read_bytes()
    flags, words = CHANGES[change]
    capsys.readouterr()
    assert train.main([*LINE, "--out", "out", "--resume", *flags]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    for word in (*words, "'out'", "--out"):
        assert word in printed.err
    assert Path("out/checkpoint.pt").read_bytes() == before


def test_another_architecture_is_another_training(capsys: Captured) -> None:
    trained("out")
    assert train.main(["other.json", *LINE[1:], "--out", "out", "--resume"]) == 2
    assert f"architecture was '{SMALL.key()}', now '{OTHER.key()}'" in capsys.readouterr().err


def test_a_folder_with_a_training_is_left_alone_unless_it_is_to_be_resumed(capsys: Captured) -> None:
    trained("out")
    files = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    assert train.main([*LINE, "--out", "out"]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert "'out'" in printed.err
    assert "--resume" in printed.err
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == files


SPOILED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no state": lambda content: content.pop("trainer"),
    "no identity": lambda content: content.pop("identity"),
    "an identity that is a list": lambda content: content.update(identity=[]),
    "a result that is a list": lambda content: content.update(result=[]),
    "no network": lambda content: content["trainer"].pop("network"),
    "another network": lambda content: content["trainer"].update(network={"a": torch.zeros(1)}),
    "no average": lambda content: content["trainer"].update(average=None),
    "curves that are a text": lambda content: content["trainer"].update(curves="x"),
    "no momenta": lambda content: content["trainer"]["optimizer"].update(momentum={}),
}


def test_a_checkpoint_of_something_else_is_one_line_with_the_cure(capsys: Captured) -> None:
    trained("out")
    whole = torch.load("out/checkpoint.pt", weights_only=True)
    for case, spoil in SPOILED.items():
        content = copy.deepcopy(whole)
        spoil(content)
        torch.save(content, "out/checkpoint.pt")
        capsys.readouterr()
        assert train.main([*LINE, "--out", "out", "--resume"]) == 2, case
        said = capsys.readouterr().err.splitlines()[-1]
        assert "a checkpoint must be as nas.train wrote it, and 'out/checkpoint.pt' is not" in said, case
        assert said.endswith("remove it, or name another folder"), case
