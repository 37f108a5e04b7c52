"""Images are kept between runs where that can be: checked, made anew where they are damaged, and bounded in size."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from proxies.data import cache
from proxies.data.cache import Decoded, cache_folder, kept_images
from proxies.data.names import CACHE_VARIABLE

SHAPE = (5, 3, 8, 8)
IMAGES = np.random.RandomState(0).randint(0, 256, SHAPE).astype(np.uint8)
PETS = Decoded("pets train 8", "cat/1.png 90 1")


class Maker:
    """Makes the images, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> NDArray[np.uint8]:
        self.count += 1
        return IMAGES.copy()


def kept(folder: Path | None, decoded: Decoded = PETS, shape: tuple[int, ...] = SHAPE) -> tuple[int, tuple[str, ...]]:
    """How often images were made in a call, and its lines; they are the right ones in any case."""
    make = Maker()
    images, lines = kept_images(decoded, shape, make, folder)
    assert np.array_equal(images, IMAGES)
    assert all(len(line.splitlines()) == 1 for line in lines)
    return make.count, lines


def files_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_images_are_made_once(tmp_path: Path) -> None:
    assert kept(tmp_path / "a" / "b") == (1, ())
    assert kept(tmp_path / "a" / "b") == (0, ())


def test_a_bit_that_has_changed_anywhere_is_found(tmp_path: Path) -> None:
    kept(tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        kept(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 100, 500, 1000])
def test_half_a_file_is_made_anew_and_told_once(tmp_path: Path, size: int) -> None:
    kept(tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:size])
    made, (line,) = kept(tmp_path)
    assert made == 1
    assert line.startswith(f"images that were kept in {file} are damaged (")
    assert line.endswith(" and were decoded anew")
    assert kept(tmp_path) == (0, ())


def test_a_file_of_other_images_is_not_taken(tmp_path: Path) -> None:
    other = Decoded("pets train 8", "cat/1.png 90 2")
    kept(tmp_path / "a")
    kept(tmp_path / "b", other)
    other.file_in(tmp_path / "b").replace(PETS.file_in(tmp_path / "a"))
    made, (line,) = kept(tmp_path / "a")
    assert (made, "it holds other images" in line) == (1, True)


def test_a_file_of_another_count_or_type_is_not_taken(tmp_path: Path) -> None:
    for content in (IMAGES[:4], IMAGES.astype(np.int16), np.asfortranarray(IMAGES)):
        cache._write(PETS.file_in(tmp_path), PETS, content)
        kept(tmp_path)


def _not_a_folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("no folder")
    return tmp_path / "file"


@pytest.mark.parametrize(
    "place",
    [
        _not_a_folder,
        lambda tmp: _not_a_folder(tmp) / "below",
        lambda _: Path("/proc/1/nas"),
        lambda _: Path("/dev/null"),
        lambda tmp: tmp / ("long" * 100),
    ],
)
def test_a_folder_that_cannot_be_written_costs_a_line_alone(tmp_path: Path, place) -> None:
    for _ in range(2):
        made, (line,) = kept(place(tmp_path))
        assert made == 1
        assert line.startswith(f"images are decoded anew by each run, for {place(tmp_path)}")
        assert line.endswith("name another folder by --cache or NAS_CACHE")


def test_without_any_folder_there_is_a_line(tmp_path: Path) -> None:
    made, (line,) = kept(None)
    assert (made, "no home folder" in line) == (1, True)


def test_a_full_disk_costs_a_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("search_space.files._sync", fail)
    made, (line,) = kept(tmp_path)
    assert (made, "No space left on device" in line) == (1, True)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_left_alone(tmp_path: Path, make) -> None:
    make(PETS.file_in(tmp_path))
    made, (line,) = kept(tmp_path)
    assert (made, "is no file" in line) == (1, True)
    assert os.path.lexists(PETS.file_in(tmp_path))


def test_of_a_source_the_newest_state_alone_is_kept(tmp_path: Path) -> None:
    (tmp_path / f"images-{'0' * 32}.npy").write_bytes(b"of an earlier version")
    (tmp_path / "other.txt").write_text("a user's own")
    kept(tmp_path, Decoded("birds", "1"))
    for state in "abc":
        kept(tmp_path, Decoded("pets train 8", state))
    held = {Decoded("pets train 8", "c").file_in(tmp_path).name, Decoded("birds", "1").file_in(tmp_path).name}
    assert set(files_in(tmp_path)) == {*held, "other.txt"}


def test_what_was_used_last_stays_within_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [Decoded(name, "1") for name in "abcd"]
    for number, each in enumerate(sources):
        kept(tmp_path, each)
        os.utime(each.file_in(tmp_path), (number, number))
    assert kept(tmp_path, sources[0]) == (0, ())  # used now
    monkeypatch.setattr(cache, "MOST_BYTES", 2 * sources[0].file_in(tmp_path).stat().st_size)
    kept(tmp_path, Decoded("e", "1"))
    assert files_in(tmp_path) == sorted(each.file_in(tmp_path).name for each in (sources[0], Decoded("e", "1")))


def test_writers_and_readers_at_once_all_have_the_images(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                kept(tmp_path, Decoded("pets", str((number + turn) % 3)))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert all(name.startswith("images-") for name in files_in(tmp_path))


# Where it lies


def test_the_folder_is_the_one_named_then_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    assert cache_folder() == tmp_path / ".cache/shufflenet-nas"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache/shufflenet-nas"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/shufflenet-nas")
    monkeypatch.setenv(CACHE_VARIABLE, "~/mine")
    assert cache_folder() == tmp_path / "mine"
    assert cache_folder(Path("/given")) == Path("/given")


@pytest.mark.parametrize("home", ["/nowhere", "/dev/null", "/proc/1/nas", "/", ""])
def test_a_home_that_is_no_folder_of_the_users_is_not_written_to(monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", home)
    assert cache_folder() is None


def test_a_user_whom_nobody_knows_has_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise KeyError("getpwuid(): uid not found: 12345")

    for name in ("HOME", "XDG_CACHE_HOME", CACHE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert cache_folder() is None
    monkeypatch.setenv(CACHE_VARIABLE, "~/mine")
    assert cache_folder() == Path("~/mine")
