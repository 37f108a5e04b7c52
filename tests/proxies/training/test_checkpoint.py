"""A checkpoint is read as it was written, or the one before it is."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from proxies.training.checkpoint import SCHEMA, Checkpoint, read_checkpoint, write_checkpoint
from search_space.errors import InputError
from search_space.files import write_whole

VALUES = torch.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)


def checkpoint(epoch: int = 1, **changes: Any) -> Checkpoint:
    trainer = {"network": {"w": VALUES + epoch}, "curves": [{"loss": 0.1 + epoch}] * epoch, "average": None}
    return Checkpoint(**{"identity": {"seed": 3, "architecture": "abc"}, "trainer": trainer, **changes})


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    written = checkpoint(2, result={"accuracy": 0.1 + 0.2, "reason": None})
    assert write_checkpoint(path, written) == path
    read = read_checkpoint(path)
    assert (read.identity, read.result) == (written.identity, written.result)
    assert read.trainer["curves"] == [{"loss": 2.1}, {"loss": 2.1}]
    assert torch.equal(read.trainer["network"]["w"], VALUES + 2)
    assert read.trainer["network"]["w"].stride() == VALUES.stride()


def test_a_new_checkpoint_takes_the_place_of_the_last_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for epoch in (1, 2, 3):
        write_checkpoint(path, checkpoint(epoch))
    assert len(read_checkpoint(path).trainer["curves"]) == 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("call", [(os, "fsync"), (Path, "replace")], ids=["before it is on disk", "before it is named"])
def test_a_write_that_is_broken_off_leaves_the_last_checkpoint_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[Any, str], error: type[BaseException]
) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, checkpoint(1))

    def broken(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(*call, broken)
        with pytest.raises(error):
            write_checkpoint(path, checkpoint(2))
    assert len(read_checkpoint(path).trainer["curves"]) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_write_left_does_not_stand_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, checkpoint(1))
    with monkeypatch.context() as patch:
        # As a kill does: nothing after it is run, so nothing is tidied up.
        patch.setattr(Path, "replace", lambda *_: None)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        write_checkpoint(path, checkpoint(2))
    assert len(list(tmp_path.iterdir())) == 2
    assert len(read_checkpoint(path).trainer["curves"]) == 1
    write_checkpoint(path, checkpoint(3))
    assert len(read_checkpoint(path).trainer["curves"]) == 3


def test_content_is_on_disk_before_it_bears_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (order.append("sync"), real_sync(file))[1])
    monkeypatch.setattr(Path, "replace", lambda *paths: (order.append("name"), real_replace(*paths))[1])
    assert write_whole(tmp_path / "file", b"content").read_bytes() == b"content"
    assert order[:2] == ["sync", "name"]


def cut_off(path: Path) -> None:
    write_checkpoint(path, checkpoint(1))
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    "make",
    [
        cut_off,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("root:x:0:0:no checkpoint\n"),
        lambda path: path.mkdir(),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"schema": SCHEMA + 1, "identity": {}}, path),
        lambda path: torch.save({"fc.bias": VALUES}, path),
    ],
    ids=["cut off", "empty", "text", "folder", "list", "another schema", "weights"],
)
def test_a_file_that_is_no_checkpoint_is_a_mistake_that_names_it(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "checkpoint.pt"
    make(path)
    with pytest.raises(InputError, match=r"^a checkpoint must be .*checkpoint\.pt' is not: remove it") as text:
        read_checkpoint(path)
    assert "\n" not in str(text.value)


class _Harmful:
    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._target),)


def test_reading_a_checkpoint_runs_no_code_from_it(tmp_path: Path) -> None:
    path, target = tmp_path / "checkpoint.pt", tmp_path / "made"
    torch.save({"schema": SCHEMA, "identity": _Harmful(target)}, path)
    with pytest.raises(InputError):
        read_checkpoint(path)
    assert not target.exists()
    pickle.loads(pickle.dumps(_Harmful(target)))
    assert target.exists(), "it would have done harm"
