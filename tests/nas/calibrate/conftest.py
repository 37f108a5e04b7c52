"""The line of the smallest calibration, and workers that are not real."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.settings import FEW, SPACE, STORAGE, TINY
from builders.workers import FakeWorkers

import nas.calibrate.run as calibrate_module


@pytest.fixture
def line(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of the smallest calibration, to be run in an empty folder."""
    (tmp_path / "space.toml").write_text(SPACE)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    text = ("--data", f"folder:{images}", "--space", str(tmp_path / "space.toml"), "--storage", STORAGE, "--out", "out")
    return [*TINY, *FEW, *text]


@pytest.fixture
def answered_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[..., Any]], None]]:
    """Puts a function in the place of all that workers do."""
    before = signal.getsignal(signal.SIGTERM)
    yield lambda answer: monkeypatch.setattr(calibrate_module, "LocalWorkers", lambda *_: FakeWorkers(answer))
    signal.signal(signal.SIGTERM, before)
