"""Every training here runs in a folder with an architecture and a small data set."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from builders.places import ROOT
from builders.train_command import write_files


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with an architecture and a data set with test images, in which everything here is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_files(tmp_path)
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    torch.set_num_threads(1)  # more would wait for each other on a busy machine
    yield tmp_path
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, handler)
