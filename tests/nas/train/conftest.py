"""Every training here runs in a folder with an architecture and a small data set."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from builders.images import write_images
from builders.places import ROOT
from builders.train_command import (
    OTHER,
    SMALL,
)


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
