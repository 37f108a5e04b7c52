"""Temporary folders are their user's alone; what a killed process left of them is removed by the next."""

import ast
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from builders.places import ROOT

from search_space import InputError, scratch
from search_space.scratch import OWNER, PREFIX, Scratch, libraries_use, shared_folder

HOME = "search_space/scratch.py"
PACKAGES = ("search_space", "proxies", "studies", "nas")
HELD = """
import sys
from search_space.scratch import Scratch
with Scratch() as folder:
    (folder / "sub").mkdir()
    (folder / "sub" / "file").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files lie, here and in what is started."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def held() -> "subprocess.Popen[str]":
    line = [sys.executable, "-c", HELD]
    return subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def path_of(process: "subprocess.Popen[str]") -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


def test_a_folder_is_this_users_alone_and_gone_in_the_end(place: Path) -> None:
    with Scratch() as folder:
        assert folder.parent == place
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "file").touch()
        (folder / "link").symlink_to(place)
    assert list(place.iterdir()) == []


def test_the_next_one_removes_what_a_killed_process_left_and_nothing_of_a_living_one(place: Path) -> None:
    with held() as killed, held() as alive:
        left, used = path_of(killed), path_of(alive)
        killed.kill()
        killed.wait()
        assert left.is_dir()
        with Scratch() as ours:
            assert {folder for folder in place.iterdir() if folder.is_dir()} == {used, ours}
        assert (used / "sub" / "file").exists()


def test_what_somebody_else_put_there_is_neither_followed_nor_removed(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    for name in (OWNER, "precious"):
        (elsewhere / name).touch()
    (place / f"{PREFIX}link").symlink_to(elsewhere)
    open_to_all = place / f"{PREFIX}open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (open_to_all / OWNER).touch()
    linked = place / f"{PREFIX}linked"
    linked.mkdir(mode=0o700)
    (linked / OWNER).symlink_to(elsewhere / OWNER)
    before = sorted(place.rglob("*"))
    with Scratch():
        pass
    assert sorted(place.rglob("*")) == before


def test_a_folder_of_another_user_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = place / f"{PREFIX}other"
    other.mkdir(mode=0o700)
    (other / OWNER).touch()
    monkeypatch.setattr(scratch, "_user", lambda: place.stat().st_uid + 1)
    with Scratch():
        assert other.is_dir()


def test_one_that_was_killed_in_the_midst_of_making_it_is_removed_after_a_while(place: Path) -> None:
    begun, old = place / f"{PREFIX}begun", place / f"{PREFIX}old"
    for folder in (begun, old):
        folder.mkdir(mode=0o700)
    long_ago = time.time() - 2 * scratch.BEGUN_SECONDS
    os.utime(old, (long_ago, long_ago))
    with Scratch():
        assert begun.is_dir()
        assert not old.exists()


def test_a_shared_folder_is_the_same_for_all_processes_of_a_user(place: Path) -> None:
    folder = shared_folder("user-1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "kept").touch()
    assert shared_folder("user-1") == folder
    with Scratch():
        assert (folder / "kept").exists()


def test_a_shared_folder_that_somebody_else_has_made_is_refused(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (place / f"{PREFIX}link").symlink_to(elsewhere)
    (place / f"{PREFIX}open").mkdir()
    (place / f"{PREFIX}open").chmod(0o777)
    (place / f"{PREFIX}file").touch()
    for name in ("link", "open", "file"):
        with pytest.raises(InputError, match="remove it, or set TMPDIR"):
            shared_folder(name)


def test_libraries_make_their_temporary_files_where_they_are_told(place: Path) -> None:
    with Scratch() as folder, libraries_use(folder), tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent == folder
    assert tempfile.gettempdir() == str(place)


def test_all_temporary_folders_come_from_one_module() -> None:
    def imports_tempfile(file: Path) -> bool:
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        return "tempfile" in [*names, *(node.module for node in nodes if isinstance(node, ast.ImportFrom))]

    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    found = {str(file.relative_to(ROOT)) for file in files if imports_tempfile(file)}
    # A started Ray cluster's place is chosen by the length of its name.
    assert found == {HOME, "nas/workers/ray_cluster.py"}
