"""The smallest training by `nas.train`, and what stops one."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from builders.images import write_images
from builders.places import read_json
from nas.cli.folders import NOTE
from nas.train import __main__ as train
from search_space import Architecture, Stage

HALF = Fraction(1, 2)
SMALL = Architecture("v2", 8, 0, (Stage(1, 16, split=HALF), Stage(1, 16, split=HALF), Stage(1, 16, split=HALF)))
OTHER = Architecture("v2", 8, 0, (Stage(1, 16, split=HALF), Stage(1, 16, split=HALF), Stage(2, 16, split=HALF)))
LINE = ("tiny.json", "--data", "folder:set", "--image-size", "16", "--batch-size", "16", "--epochs", "3")
OF_TIME = ("seconds", "images_per_second", "command")


def write_files(folder: Path) -> None:
    """Two architectures, and a data set with test images."""
    for part, count, seed in (("train", 30, 0), ("test", 12, 1)):
        write_images(folder / "set" / part, count=count, seed=seed)
    for name, architecture in (("tiny", SMALL), ("other", OTHER)):
        (folder / f"{name}.json").write_text(json.dumps(architecture.to_dict()), encoding="utf-8")


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
    """The names in the folder, but for the note whose its files are; none where there is no folder."""
    found = Path(folder).iterdir() if Path(folder).is_dir() else iter(())
    return sorted(path.name for path in found if path.name != NOTE)


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
