"""Folders of images: how they are read, split, refused, and kept in the cache."""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from builders.images import fill, load_folder, pixels, save_image
from builders.places import BESIDE
from PIL import Image

from proxies.data import image_folder
from proxies.data.folder import decode
from proxies.data.load import load
from search_space.errors import InputError

# folders

CIFAR_ZIP = BESIDE / "data/cifar10-25k.zip"
needs_cifar_zip = pytest.mark.skipif(not CIFAR_ZIP.is_file(), reason="shared/data/cifar10-25k.zip is not there")


def test_a_folder_of_classes_becomes_square_colour_images(tmp_path: Path) -> None:
    data = load_folder(fill(tmp_path / "set"))
    assert data.classes == ("ant", "cat")
    assert data.train_images.shape == (10, 3, 32, 32)
    assert data.val_labels.tolist() == [0, 1]


def test_a_given_val_folder_is_used_as_it_is_and_test_is_never_touched(tmp_path: Path) -> None:
    fill(tmp_path / "set/train", per_class=3)
    fill(tmp_path / "set/val", per_class=5)
    (tmp_path / "set/test/cat").mkdir(parents=True)
    (tmp_path / "set/test/cat/broken.png").write_text("no image")
    data = load_folder(tmp_path / "set")
    assert data.train_labels.tolist() == [0] * 3 + [1] * 3
    assert data.val_labels.tolist() == [0] * 5 + [1] * 5


def test_without_a_val_folder_it_is_split_off_from_train(tmp_path: Path) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/test", classes=("other",))
    data = load_folder(tmp_path / "set")
    assert data.classes == ("ant", "cat")
    assert (len(data.train_labels), len(data.val_labels)) == (10, 2)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert load_folder(fill(tmp_path / "set", classes=("car", "train"))).classes == ("car", "train")


def test_hidden_and_other_files_are_ignored_and_folders_within_a_class_are_not(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    (folder / ".hidden").mkdir()
    (folder / "readme.txt").touch()
    (folder / "cat/labels.csv").touch()
    (folder / "cat/.9.png").touch()
    save_image(folder / "cat/.thumbs/9.png")
    save_image(folder / "cat/more/9.PNG")
    data = load_folder(folder)
    assert torch.cat([data.train_labels, data.val_labels]).bincount().tolist() == [6, 7]


def test_the_shorter_side_is_resized_and_the_centre_kept(tmp_path: Path) -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = (200, 100, 50)
    for name in ("ant", "cat"):
        for row in range(2):
            (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(wide).save(tmp_path / "set" / name / f"{row}.png")
    assert load_folder(tmp_path / "set", image_size=16).train_images.unique().tolist() == [50, 100, 200]
    smaller = load_folder(tmp_path / "set", image_size=8).train_images
    assert smaller.shape == (2, 3, 8, 8)
    assert smaller[..., 1:-1].unique().tolist() == [50, 100, 200]  # at the edge, neighbours from beyond blend in


def test_images_of_the_right_size_keep_every_pixel_and_grey_ones_become_colour(tmp_path: Path) -> None:
    for name, shape in (("ant", (32, 32)), ("cat", (32, 32, 3))):
        for row in range(2):
            save_image(tmp_path / "set" / name / f"{row}.png", shape)
    data = load_folder(tmp_path / "set")
    assert torch.equal(data.train_images[0], pixels(32, 32).expand(3, 32, 32))
    assert torch.equal(data.train_images[1], pixels(32, 32, 3).permute(2, 0, 1))


def test_a_large_jpeg_keeps_its_colour(tmp_path: Path) -> None:
    for name, colour in (("ant", (200, 40, 90)), ("cat", (10, 250, 30))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for row in range(2):
            Image.new("RGB", (1000, 700), colour).save(tmp_path / "set" / name / f"{row}.jpg")
    data = load_folder(tmp_path / "set")
    expected = torch.tensor([[200, 40, 90], [10, 250, 30]]).view(2, 3, 1, 1)
    assert (data.train_images.int() - expected).abs().max() <= 2


def remove_all(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()


def empty_class(folder: Path) -> None:
    (folder / "train/bee").mkdir()


def one_class(folder: Path) -> None:
    remove_all(folder / "train/ant")
    (folder / "train/ant").rmdir()


def lone_train_class(folder: Path) -> None:
    fill(folder / "train", classes=("bee",))


def lone_val_class(folder: Path) -> None:
    fill(folder / "val", classes=("bee",))


def no_image(folder: Path) -> None:
    (folder / "val/cat/bad.jpg").write_text("no image")


def half_an_image(folder: Path) -> None:
    content = (folder / "train/cat/0.png").read_bytes()
    (folder / "train/cat/bad.png").write_bytes(content[: len(content) // 2])


def deep_image(folder: Path) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint16)).save(folder / "train/cat/bad.png")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (remove_all, "must hold a folder for each class, but .*set holds none"),
        (empty_class, "a class needs images, but .*bee holds none"),
        (one_class, "at least 2 classes are needed, but .*train holds only cat"),
        (lone_train_class, "only train/ has bee"),
        (lone_val_class, "only val/ has bee"),
        (no_image, "must be readable, but .*bad.jpg is not"),
        (half_an_image, "must be readable, but .*bad.png is not"),
        (deep_image, "must be readable, but .*bad.png is not .it has more than 8 bits a channel"),
    ],
)
def test_a_broken_folder_is_explained_in_one_line(
    damage: Callable[[Path], None], complaint: str, tmp_path: Path
) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/val")
    damage(tmp_path / "set")
    with pytest.raises(InputError, match=rf"^(?-s:.*{complaint}.*; .*)\Z"):
        load_folder(tmp_path / "set")


def test_unreadable_images_are_skipped_where_asked_for_and_counted_also_from_the_cache(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    (folder / "cat/empty.png").touch()
    (folder / "cat/page.jpg").write_text("<html>")
    Image.new("RGB", (40, 40)).save(folder / "cat/black.png")
    with pytest.raises(InputError, match=r"empty.png is not \(it is empty\), and 1 more are not; .*--skip-unread"):
        load_folder(folder)
    for _ in range(2):
        data = load_folder(folder, skip_unreadable=True)
        assert len(data.train_labels) + len(data.val_labels) == 13
        assert data.notes[1].startswith("left out: 2 unreadable (cat/empty.png: it is empty, cat/page.jpg: it is no ")
    good = tmp_path / "good"
    shutil.copytree(folder, good)
    for name in ("empty.png", "page.jpg"):
        (good / "cat" / name).unlink()
    assert load_folder(good).fingerprint == data.fingerprint


def test_a_class_that_is_mostly_unreadable_is_refused_even_so(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    for row in range(4):
        (folder / f"cat/{row}.png").write_text("no image")
    with pytest.raises(InputError, match="set/cat keeps 2 of 6: left out are 4 unreadable"):
        load_folder(folder, skip_unreadable=True)


def test_what_was_understood_is_the_first_note(tmp_path: Path) -> None:
    fill(tmp_path / "one/Training")
    fill(tmp_path / "one/Testing", classes=("other",))
    assert load_folder(tmp_path / "one").notes[0] == (
        f"folder:{tmp_path}/one: 2 classes (ant 5, cat 5); 10 images to train on (Training/), 2 to validate on "
        "(split off); Testing/ is kept for testing alone"
    )
    many = fill(tmp_path / "many", per_class=2, classes=tuple(f"c{number:02}" for number in range(20)))
    assert "20 classes (c00 to c19, of 1 to 1 images)" in load_folder(many).notes[0]


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone does not"):
        image_folder.read_folder(tmp_path / "gone", 32)


# the cache


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def noting(file: Path, size: int, original: Callable[..., np.ndarray | str] = decode.decode) -> np.ndarray | str:
        names.append(file.name)
        return original(file, size)

    monkeypatch.setattr(decode, "decode", noting)
    return names


def test_a_second_load_reads_the_cache_and_decodes_nothing(tmp_path: Path, decoded: list[str]) -> None:
    folder = fill(tmp_path / "set")
    first = load_folder(folder)
    assert len(set(decoded)) == 6
    decoded.clear()
    second = load_folder(folder)
    assert not decoded
    assert second.fingerprint == first.fingerprint
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".npz"]


def test_a_changed_file_a_new_file_and_another_size_renew_the_cache(tmp_path: Path, decoded: list[str]) -> None:
    folder = fill(tmp_path / "set")
    seen = {load_folder(folder).fingerprint}
    save_image(folder / "cat/0.png", seed=77)
    os.utime(folder / "cat/0.png", ns=(1, 1))
    seen.add(load_folder(folder).fingerprint)
    save_image(folder / "cat/new.png", seed=78)
    seen.add(load_folder(folder).fingerprint)
    seen.add(load_folder(folder, image_size=16).fingerprint)
    assert len(seen) == 4


def test_the_users_cache_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    load(f"folder:{fill(tmp_path / 'set')}")
    assert len(list((tmp_path / "home/shufflenet-nas").glob("images-*.npz"))) == 1


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    for _ in range(2):
        notes = load_folder(fill(tmp_path / "set")).notes
        assert any(note.startswith(f"images are decoded anew by each run, for {tmp_path / 'cache'}") for note in notes)


def test_a_damaged_cache_is_told_once_and_its_images_are_decoded_anew(tmp_path: Path) -> None:
    first = load_folder(fill(tmp_path / "set"))
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    second, third = load_folder(tmp_path / "set"), load_folder(tmp_path / "set")
    assert first.fingerprint == second.fingerprint == third.fingerprint
    assert [any("are damaged" in note for note in each.notes) for each in (first, second, third)] == [0, 1, 0]


def test_an_image_that_was_exchanged_for_one_of_the_same_size_and_time_is_seen(tmp_path: Path) -> None:
    first = load_folder(fill(tmp_path / "set"))
    file = tmp_path / "set/cat/0.png"
    before, other = file.stat(), (tmp_path / "set/cat/1.png").read_bytes()
    file.write_bytes(other[: before.st_size].ljust(before.st_size, b"\0"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_folder(tmp_path / "set").fingerprint != first.fingerprint


@pytest.mark.slow
@needs_cifar_zip
def test_a_real_folder_of_20000_training_images_is_split_and_its_test_folder_left_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(CIFAR_ZIP) as archive:
        archive.extractall(tmp_path)
    for file in (tmp_path / "cifar10-25k/test").rglob("*.jpg"):
        file.write_bytes(b"no image: would raise if it were read")
    data = load_folder(tmp_path / "cifar10-25k")
    assert data.train_images.shape == (16_670, 3, 32, 32)
    assert data.val_labels.bincount().tolist() == [333] * 10
    assert data.classes[0] == "airplane"
    assert data.classes[9] == "truck"
