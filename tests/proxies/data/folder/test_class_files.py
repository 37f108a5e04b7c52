"""Which files of a folder are read, and what is told of the others; no class may lose most of its files."""

import os
import shutil
from pathlib import Path

import pytest
from builders.images import fill, save_image

from proxies.data.folder.class_files import FoundFolder, found_for_testing, found_in
from search_space.errors import InputError


def told(folder: Path) -> list[str]:
    found = found_in(folder)
    return list(found.lines([found.train, *([found.validation] if found.validation else [])]))


def names(found: FoundFolder) -> dict[str, list[str]]:
    return {name: [file.path.name for file in each.images] for name, each in found.train.classes.items()}


def test_what_is_left_out_is_one_line_by_reason(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    (folder / "cat/@eaDir/0.png").mkdir(parents=True)
    for name in ("cat/@eaDir/0.png/M.jpg", "cat/@eaDir/0.png/S.jpg", "cat/._0.png", "cat/a.heic", "cat/b.svg"):
        (folder / name).touch()
    for name in ("cat/c.heic", "ant/boxes.xml", "ant/list.txt", "read.me", "labels.csv"):
        (folder / name).touch()
    (folder / "cat/gone.png").symlink_to("nowhere")
    (left_out,) = told(folder)
    for part in (
        "left out: 2 in system and hidden folders (@eaDir 2)",
        "1 hidden or system files",
        "3 of formats that are not decoded here (.heic 2, .svg)",
        "3 other files (.",
        "1 broken links or special files",
        "1 outside the classes' folders",
    ):
        assert part in left_out
    assert names(found_in(folder))["cat"] == [f"{row}.png" for row in range(6)]


def test_a_folder_with_nothing_left_out_has_no_line(tmp_path: Path) -> None:
    assert told(fill(tmp_path / "set")) == []


@pytest.mark.parametrize("suffix", ["heic", "cr2", "npy", "dcm", "zip", "mp4"])
def test_a_class_that_loses_more_than_half_is_refused(tmp_path: Path, suffix: str) -> None:
    folder = fill(tmp_path / "set")
    for row in range(6):
        (folder / f"cat/lost{row}.{suffix}").touch()
    assert f"6 of formats that are not decoded here (.{suffix} 6)" in told(folder)[0]
    (folder / f"cat/lost6.{suffix}").touch()
    with pytest.raises(InputError, match=rf"set/cat keeps 6 of 13: left out are 7 of formats .*\(\.{suffix} 7\); "):
        found_in(folder)


def test_a_class_of_nothing_that_is_decoded_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    (folder / "bee").mkdir()
    (folder / "bee/1.heic").touch()
    with pytest.raises(InputError, match=r"bee holds none but 1 of formats that are not decoded here \(.heic\); "):
        found_in(folder)


def test_labels_and_what_cameras_keep_beside_pictures_are_no_loss(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    for row in range(6):
        for suffix in ("txt", "xml", "json", "CR2", "MOV", "AAE"):
            (folder / f"cat/{row}.{suffix}").touch()
    assert told(folder)[0].startswith("left out: 36 other files (")


def test_links_to_folders_and_files_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    fill(tmp_path / "far", classes=("dog",))
    (folder / "dog").symlink_to("../far/dog")
    (folder / "cat/all").symlink_to("..")
    (folder / "cat/self").symlink_to("self")
    (folder / "cat/more.png").symlink_to("../ant/0.png")
    found = found_in(folder)
    assert {name: len(files) for name, files in names(found).items()} == {"ant": 6, "cat": 7, "dog": 6}
    assert told(folder) == ["left out: 1 links in a circle, 1 broken links or special files"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are of POSIX")
def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    os.mkfifo(folder / "cat/pipe.png")
    assert told(folder) == ["left out: 1 broken links or special files"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real = fill(tmp_path / "set"), os.scandir

    def refusing(path: Path) -> object:
        if path.name == "cat":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(InputError, match=r"set/cat is not \(Permission denied\); "):
        found_in(folder)


def test_folders_within_classes_and_doubtful_names_are_told(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set", classes=("A", "a", "test"))
    save_image(folder / "A/2020/1.png")
    assert told(folder) == [
        "folders within a class's are of that class: A/2020",
        "classes whose names differ in case alone: A, a",
        "test/ is taken for a class: it holds no folder for each class",
    ]


def test_the_classes_of_two_splits_may_be_spelt_in_two_ways_but_must_be_the_same(tmp_path: Path) -> None:
    fill(tmp_path / "set/Training", classes=("cafe\u0301", "tea"))
    fill(tmp_path / "set/valid", classes=("caf\u00e9", "tea"))
    assert list(found_in(tmp_path / "set").train.classes) == ["caf\u00e9", "tea"]
    shutil.rmtree(tmp_path / "set/valid/tea")
    with pytest.raises(InputError, match=r"at least 2 classes are needed, but .*valid holds only"):
        found_in(tmp_path / "set")
    fill(tmp_path / "set/valid", classes=("Tea",))
    with pytest.raises(InputError, match="must hold the same classes, but only Training/ has tea; "):
        found_in(tmp_path / "set")


def test_test_images_are_not_opened_before_they_are_asked_for(tmp_path: Path) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/Testing", classes=("cat", "bee"))
    found = found_in(tmp_path / "set")
    assert (found.validation, found.layout.test is not None) == (None, True)
    with pytest.raises(InputError, match="train/ and Testing/ must hold the same classes, but only train/ has ant; "):
        found_for_testing(tmp_path / "set")
