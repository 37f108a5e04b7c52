"""A training in several processes is that of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from builders.places import ROOT, WAIT_SECONDS, read_json
from builders.train_command import LINE, assert_same, trained, write_files

from nas.train import __main__ as train
from proxies.weights import network_from

Captured = pytest.CaptureFixture[str]

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
    """What two processes say that train in the working directory."""
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


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Where two processes have trained a network, in the folder `two`, and what they said."""
    folder = tmp_path_factory.mktemp("two")
    write_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        done = torchrun("--out", "two")
    assert done.returncode == 0, done.stderr
    return folder, done


@pytest.mark.slow
def test_two_processes_train_one_network_which_the_first_of_them_writes(
    two: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = two
    assert [line.partition(":")[0] for line in done.stdout.splitlines()[:2]] == ["validation accuracy", "test accuracy"]
    assert done.stdout.count("test accuracy") == 1
    lines = [line.partition(":")[0] for line in done.stderr.splitlines() if line.startswith("epoch")]
    assert lines == ["epoch 1 of 3", "epoch 2 of 3", "epoch 3 of 3"]
    assert "Warning" not in done.stderr
    for epoch in (1, 2, 3):
        one, other = (torch.load(folder / f"rank{rank}-epoch{epoch}.pt", weights_only=True) for rank in (0, 1))
        assert all(torch.equal(value, other["network"][name]) for name, value in one["network"].items())
    assert all(torch.equal(value, other["trained"][name]) for name, value in one["trained"].items())
    written = network_from(folder / "two/weights.safetensors").state_dict()
    assert all(torch.equal(value, one["trained"][name]) for name, value in written.items())
    found, single = read_json(folder / "two/metrics.json"), trained("single")
    assert found["processes"] == 2
    assert found["curves"]["images_seen"] == single["curves"]["images_seen"]
    assert found["data"] == single["data"]
    # Batch norms see half a batch each, so it is not the same training, but one of the same images.
    first, of_single = (metrics["curves"]["training_losses"][0] for metrics in (found, single))
    assert first == pytest.approx(of_single, rel=0.1)


@pytest.mark.slow
def test_two_killed_processes_go_on_to_the_same_weights_bit_for_bit(
    two: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    assert torchrun("--out", "killed", stop="2").returncode != 0
    assert not Path("killed/metrics.json").exists()
    assert torchrun("--out", "killed", "--resume").returncode == 0
    assert_same("killed", str(two[0] / "two"))


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"WORLD_SIZE": "2"}, ("torchrun", "RANK")),
        ({"WORLD_SIZE": "two"}, ("torchrun", "two")),
        ({"WORLD_SIZE": "0"}, ("torchrun", "WORLD_SIZE must be at least 1")),
        ({"WORLD_SIZE": "2", "RANK": "2", "LOCAL_RANK": "0"}, ("torchrun", "RANK must be at most 1, got 2")),
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
