"""Test images: the official ones, and none that a training sees."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from proxies.data.folder import decode
from proxies.data.load import load
from proxies.data.names import TORCHVISION_SETS
from proxies.data.test_images import HeldOut, load_test
from search_space.errors import InputError

OFFICIAL = {
    "cifar10": {"train": False},
    "cifar100": {"train": False},
    "mnist": {"train": False},
    "fashion-mnist": {"train": False},
    "kmnist": {"train": False},
    "emnist": {"split": "balanced", "train": False},
    "usps": {"train": False},
    "svhn": {"split": "test"},
    "stl10": {"split": "test"},
    "gtsrb": {"split": "test"},
    "food101": {"split": "test"},
    "flowers102": {"split": "test"},
    "dtd": {"split": "test"},
    "oxford-iiit-pet": {"split": "test"},
    "fgvc-aircraft": {"split": "test"},
}
"""What torchvision's documentation says to ask each class for."""


def fill(folder: Path, classes: tuple[str, ...] = ("cat", "ant"), count: int = 3, base: int = 0) -> None:
    """A folder of class folders: images of one grey each, from ``base`` on and 20 more with each class."""
    for label, name in enumerate(sorted(classes)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for row in range(count):
            grey = base + 20 * label + row
            Image.new("L", (40, 40), grey).save(folder / name / f"{row}.png")


def load_folder(folder: Path, **options: object) -> HeldOut | None:
    return load_test(f"folder:{folder}", cache=folder.parent / "cache", **options)  # type: ignore[arg-type]


# folders


def test_a_folder_has_the_images_of_its_test_folder_labelled_as_in_training(tmp_path: Path) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/test", base=100)
    held_out = load_folder(tmp_path / "set")
    assert held_out is not None
    assert held_out.images.shape == (6, 3, 32, 32)
    assert (held_out.images.dtype, held_out.labels.dtype) == (torch.uint8, torch.int64)
    assert held_out.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert held_out.images[:, 0, 0, 0].tolist() == [100, 101, 102, 120, 121, 122]
    smaller = load_folder(tmp_path / "set", image_size=16)
    assert smaller is not None
    assert smaller.images.shape == (6, 3, 16, 16)


def test_none_of_them_is_loaded_for_training(tmp_path: Path) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/val", base=50)
    fill(tmp_path / "set/test", base=100)
    data = load(f"folder:{tmp_path / 'set'}", cache=tmp_path / "cache")
    assert torch.cat([data.train_images, data.val_images]).max() < 100
    assert load_folder(tmp_path / "set") is not None


def test_a_folder_without_a_test_folder_has_none(tmp_path: Path) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/val")
    assert load_folder(tmp_path / "set") is None
    fill(tmp_path / "flat")
    assert load_folder(tmp_path / "flat") is None


def test_a_class_may_be_called_test(tmp_path: Path) -> None:
    fill(tmp_path / "set", classes=("quiz", "test"))
    assert load_folder(tmp_path / "set") is None


def few(folder: Path) -> None:
    fill(folder, ("ant", "bee"))


def more(folder: Path) -> None:
    fill(folder, ("ant", "bee", "cat", "dog"))


def empty(folder: Path) -> None:
    folder.mkdir()


def broken(folder: Path) -> None:
    fill(folder, ("ant", "bee", "cat"))
    (folder / "bee/0.png").write_text("no image")


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (few, "train/ and test/ must hold the same classes, but only train/ has cat"),
        (more, "train/ and test/ must hold the same classes, but only test/ has dog"),
        (empty, "must hold a folder for each class, but .*test holds none"),
        (broken, "must be readable, but .*bee/0.png is not"),
    ],
)
def test_a_bad_test_folder_is_explained_in_one_line(
    make: Callable[[Path], None], complaint: str, tmp_path: Path
) -> None:
    fill(tmp_path / "set/train", ("ant", "bee", "cat"))
    make(tmp_path / "set/test")
    with pytest.raises(InputError, match=rf"^(?-s:.*{complaint}.*; .*)\Z"):
        load_folder(tmp_path / "set")


def test_a_second_load_decodes_nothing_and_training_images_have_a_cache_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/test", base=100)
    first = load_folder(tmp_path / "set")
    monkeypatch.setattr(decode, "decode", lambda *_: pytest.fail("decoded again"))
    second = load_folder(tmp_path / "set")
    assert first is not None
    assert second is not None
    assert torch.equal(first.images, second.images)
    monkeypatch.undo()
    assert load(f"folder:{tmp_path / 'set'}", cache=tmp_path / "cache").train_images.max() < 100
    assert len(list((tmp_path / "cache").iterdir())) == 2


# torchvision's sets


@pytest.mark.parametrize("name", TORCHVISION_SETS)
def test_each_torchvision_set_is_asked_for_its_official_test_split(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, object]] = []

    def construct(root: Path, download: bool, **options: object) -> object:
        assert (root, download) == (tmp_path, False)
        asked.append(options)
        return [(Image.new("RGB", (32, 32), (row, 0, 0)), row % 3) for row in range(6)]

    monkeypatch.setattr(torchvision.datasets, TORCHVISION_SETS[name].class_name, construct)
    held_out = load_test(name, root=tmp_path, image_size=16)
    assert asked == [OFFICIAL[name]]
    assert held_out is not None
    assert held_out.images.shape == (6, 3, 16, 16)
    assert held_out.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert held_out.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert set(TORCHVISION_SETS[name].options.values()) & {True, "train", "trainval"}


def write_idx(file: Path, array: np.ndarray) -> None:
    file.write_bytes(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def test_real_files_of_mnist_give_the_images_of_t10k(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    pixels = np.random.RandomState(0).randint(0, 256, (20, 28, 28), dtype=np.uint8)
    for split, rows in (("train", pixels[:12]), ("t10k", pixels[12:])):
        write_idx(raw / f"{split}-images-idx3-ubyte", rows)
        write_idx(raw / f"{split}-labels-idx1-ubyte", (np.arange(len(rows)) % 2).astype(np.uint8))
    held_out = load_test("mnist", root=tmp_path)
    assert held_out is not None
    assert np.array_equal(held_out.images[:, 0].numpy(), pixels[12:])
    assert held_out.labels.tolist() == [0, 1] * 4


@pytest.mark.parametrize("name", ["cifar10", "svhn"])
def test_a_missing_torchvision_set_names_the_folder_and_the_cure(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^{name} must[^\n]*{tmp_path}[^\n]*--download[^\n]*$"):
        load_test(name, root=tmp_path)


# the rest


def test_the_embedded_set_has_no_test_images() -> None:
    assert load_test("fashion-mnist-12k") is None


def test_a_bad_name_and_a_bad_size_are_refused_as_for_training() -> None:
    with pytest.raises(InputError, match="choose one of fashion-mnist-12k"):
        load_test("cifar")
    with pytest.raises(InputError, match="at least 8, got 7"):
        load_test("fashion-mnist-12k", image_size=7)
