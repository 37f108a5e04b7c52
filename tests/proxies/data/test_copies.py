"""Images that are the same by content, wherever they lie and whatever they are called."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from builders.images import fill, load_folder, save_image
from PIL import Image

from proxies.data.copies import Split, across, within
from proxies.data.labelled import Labelled
from proxies.data.load import load
from proxies.data.test_images import load_test, shared_notes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three splits of different images."""
    for seed, split in enumerate(("train", "valid", "test")):
        for label, name in enumerate(("ant", "cat")):
            for row in range(6):
                save_image(tmp_path / f"set/{split}/{name}/{row}.png", seed=1000 * seed + 100 * label + row)
    return tmp_path / "set"


def test_different_images_are_no_copies(folder: Path) -> None:
    assert len(load_folder(folder).notes) == 1


def test_images_to_validate_on_that_are_trained_on_are_told(folder: Path) -> None:
    for row in range(3):
        shutil.copy(folder / f"train/ant/{row}.png", folder / f"valid/ant/renamed{row}.png")
    Image.open(folder / "train/cat/0.png").save(folder / "valid/cat/other.bmp")
    assert load_folder(folder).notes[1:] == (
        "4 of 16 validation images are training images too, pixel by pixel, such as train/ant/0.png and "
        "valid/ant/renamed0.png: accuracy on them says too much; remove them",
    )


def test_copies_across_a_split_that_is_drawn_are_told_too(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", per_class=12)
    for row in range(12):
        shutil.copy(folder / f"cat/{row}.png", folder / f"cat/{row} copy.png")
    notes = load_folder(folder).notes
    assert any("validation images are training images too" in note for note in notes)


def test_copies_within_a_split_and_images_of_two_classes_are_told(folder: Path) -> None:
    shutil.copy(folder / "train/ant/0.png", folder / "train/ant/again.png")
    shutil.copy(folder / "train/ant/1.png", folder / "valid/cat/wrong.png")
    assert load_folder(folder).notes[2:] == (
        "1 of 13 training images are copies of others, such as train/ant/0.png and train/ant/again.png",
        "2 images stand in several classes and are the same, such as train/ant/1.png and valid/cat/wrong.png; "
        "keep one of each",
    )


def test_test_images_that_are_trained_or_validated_on_are_told(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "train/ant/0.png", folder / "test/ant/one.png")
    shutil.copy(folder / "valid/ant/0.png", folder / "test/ant/two.png")
    name, cache = f"folder:{folder}", tmp_path / "cache"
    data, test = load(name, cache=cache), load_test(name, cache=cache)
    assert len(data.notes) == 1
    assert test is not None
    assert [note.partition(",")[0] for note in shared_notes(data, test)] == [
        "1 of 14 test images are training images too",
        "1 of 14 test images are validation images too",
    ]


def test_images_that_differ_in_one_pixel_are_no_copies() -> None:
    images = np.zeros((2, 3, 32, 32), np.uint8)
    images[1, 2, 31, 31] = 1
    label = np.zeros(1, np.int64)
    one, other = (Split(use, Labelled(images[[row]], label)) for row, use in enumerate(("one", "other")))
    assert [*across(one, other), *within([one, other])] == []
    assert len(list(across(one, Split("other", one.labelled)))) == 1
