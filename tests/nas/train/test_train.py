"""One architecture trained to its end: exactly the same however often it was stopped, and tested once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders.images import write_images
from builders.places import ROOT, WAIT_SECONDS, read_json
from PIL import Image

from nas.train import __main__ as train
from nas.train import result as train_result
from nas.train import run as train_run
from proxies.data.source import DataSource
from proxies.pretrained import read_trained_for
from proxies.training.cuda_graph import CaptureError
from proxies.training.trainer import Trainer
from proxies.weights import network_from
from search_space import PRESETS, Architecture, Stage

HALF = Fraction(1, 2)
SMALL = Architecture("v2", 8, 0, (Stage(1, 16, split=HALF), Stage(1, 16, split=HALF), Stage(1, 16, split=HALF)))
OTHER = Architecture("v2", 8, 0, (Stage(1, 16, split=HALF), Stage(1, 16, split=HALF), Stage(2, 16, split=HALF)))
LINE = ("tiny.json", "--data", "folder:set", "--image-size", "16", "--batch-size", "16", "--epochs", "3")
OF_TIME = ("seconds", "images_per_second", "command")
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an architecture and a data set with test images, in which everything here is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for part, count, seed in (("train", 30, 0), ("test", 12, 1)):
        write_images(tmp_path / "set" / part, count=count, seed=seed)
    for name, architecture in (("tiny", SMALL), ("other", OTHER)):
        Path(f"{name}.json").write_text(json.dumps(architecture.to_dict()), encoding="utf-8")
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    torch.set_num_threads(1)  # more would wait for each other on a busy machine
    yield tmp_path
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, handler)


def trained(out: str, *more: str) -> dict[str, Any]:
    """The metrics of a training in this process, which must succeed."""
    assert train.main([*LINE, "--out", out, *more]) == 0
    return read_json(Path(out, "metrics.json"))


def but_time(metrics: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in metrics.items() if name not in OF_TIME}
    return {**kept, "curves": {name: value for name, value in metrics["curves"].items() if name != "seconds"}}


def assert_same(one: str, other: str) -> None:
    """Both trainings came to the same, bit for bit."""
    assert but_time(read_json(Path(one, "metrics.json"))) == but_time(read_json(Path(other, "metrics.json")))
    for name in ("weights.safetensors", "architecture.json"):
        assert Path(one, name).read_bytes() == Path(other, name).read_bytes()


def names_in(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def stop_in(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int, stop: Callable[[], Any]) -> None:
    """From now on the owner's function stops at its so-manieth call, before doing anything."""
    real, calls = getattr(owner, name), iter(range(1, 1000))

    def stopped(*arguments: Any, **options: Any) -> Any:
        if next(calls) == call:
            stop()
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, stopped)


def raises(error: BaseException) -> Callable[[], None]:
    def stop() -> None:
        raise error

    return stop


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
    lines = capsys.readouterr().err.splitlines()
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


# Stopped and resumed


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_weights_and_metrics_bit_for_bit() -> None:
    line = [sys.executable, "-m", "nas.train", *LINE[:-1], "25", "--out", "killed"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + WAIT_SECONDS
    while not Path("killed/checkpoint.pt").exists():
        assert process.poll() is None, "it ended before its first checkpoint"
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not Path("killed/metrics.json").exists(), "it was killed in its middle"
    trained("killed", "--epochs", "25", "--resume")
    trained("unbroken", "--epochs", "25")
    assert_same("killed", "unbroken")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_the_last_checkpoint_alone_and_the_way_on(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, number: signal.Signals
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            stop_in(patch, train_run, "write_checkpoint", 3, lambda: os.kill(os.getpid(), number))
            assert train.main([*LINE, "--out", "out"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[2:] == ["stopped; the same line with --resume goes on from out/checkpoint.pt"]
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
    "data": (("--data", "folder:three"), ("classes was 2, now 3", "data fingerprint")),
    "start": (("--weights-from", "old/weights.safetensors"), ("weights-from was None",)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_training_is_only_resumed_with_its_own_settings(change: str, capsys: Captured) -> None:
    write_images(Path("three"), ("a", "b", "c"), count=6)
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


# Started from weights


def test_a_training_starts_from_another_ones_weights_and_so_does_the_average(capsys: Captured) -> None:
    trained("old")
    metrics = trained("new", "--weights-from", "old/weights.safetensors", "--learning-rate", "1e-12", "--seed", "9")
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


def test_a_loss_that_is_no_number_is_one_line_and_status_1(capsys: Captured) -> None:
    assert train.main([*LINE, "--out", "out", "--learning-rate", "1e30"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "TrainingError: the training loss is" in printed.err.splitlines()[-1]
    assert not Path("out/metrics.json").exists()


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
    assert (printed.out, printed.err.count("\n")) == ("", 1)
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
    "rate": (("tiny.json", "--learning-rate", "-0.1"), ("--learning-rate", "above 0", "-0.1")),
    "rate that is no number": (("tiny.json", "--learning-rate", "nan"), ("--learning-rate", "above 0", "nan")),
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


# Several processes

SPY = """
import os, sys, torch
from proxies.training.trainer import Trainer
real = Trainer.run_epoch
def run_epoch(self):
    real(self)
    kept = {"network": dict(self.network.named_parameters()), "trained": self.trained_network.state_dict()}
    torch.save(kept, f"rank{os.environ['RANK']}-epoch{self.epoch}.pt")
    if os.environ.get("STOP") == str(self.epoch):
        os._exit(9)
Trainer.run_epoch = run_epoch
from nas.train.__main__ import main
sys.exit(main())
"""


def torchrun(*more: str, stop: str = "") -> subprocess.CompletedProcess[str]:
    Path("spy.py").write_text(SPY, encoding="utf-8")
    line = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "spy.py", *LINE, *more]
    return subprocess.run(
        [sys.executable, *line],
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
        env={**os.environ, "STOP": stop, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_two_processes_train_one_network_which_the_first_of_them_writes() -> None:
    done = torchrun("--out", "two")
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()[:2]] == ["validation accuracy", "test accuracy"]
    assert done.stdout.count("test accuracy") == 1
    lines = [line.partition(":")[0] for line in done.stderr.splitlines() if line.startswith("epoch")]
    assert lines == ["epoch 1 of 3", "epoch 2 of 3", "epoch 3 of 3"]
    assert "Warning" not in done.stderr
    for epoch in (1, 2, 3):
        one, other = (torch.load(f"rank{rank}-epoch{epoch}.pt", weights_only=True) for rank in (0, 1))
        assert all(torch.equal(value, other["network"][name]) for name, value in one["network"].items())
    assert all(torch.equal(value, other["trained"][name]) for name, value in one["trained"].items())
    written = network_from(Path("two/weights.safetensors")).state_dict()
    assert all(torch.equal(value, one["trained"][name]) for name, value in written.items())
    two, single = read_json(Path("two/metrics.json")), trained("single")
    assert two["processes"] == 2
    assert two["curves"]["images_seen"] == single["curves"]["images_seen"]
    assert two["data"] == single["data"]
    # Batch norms see half a batch each, so it is not the same training, but one of the same images.
    first, of_single = (metrics["curves"]["training_losses"][0] for metrics in (two, single))
    assert first == pytest.approx(of_single, rel=0.1)


@pytest.mark.slow
def test_two_killed_processes_go_on_to_the_same_weights_bit_for_bit() -> None:
    assert torchrun("--out", "killed", stop="2").returncode != 0
    assert not Path("killed/metrics.json").exists()
    assert torchrun("--out", "killed", "--resume").returncode == 0
    assert torchrun("--out", "unbroken").returncode == 0
    assert_same("killed", "unbroken")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"WORLD_SIZE": "2"}, ("torchrun", "RANK")),
        ({"WORLD_SIZE": "two"}, ("torchrun", "two")),
        ({"WORLD_SIZE": "8", "RANK": "0", "LOCAL_RANK": "0"}, ("--batch-size", "at least 32 for 8 processes", "16")),
    ],
)
def test_an_environment_that_does_not_fit_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert train.main([*LINE, "--out", "out"]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    for word in words:
        assert word in printed.err


def test_a_mistake_is_told_by_the_first_process_of_a_machine_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert train.main([*LINE, "--out", "out", "--epochs", "0"]) == 2
    assert capsys.readouterr() == ("", "")
