"""What a folder's names say of its splits and classes, and what is refused since it could be read in two ways."""

from pathlib import Path

import pytest

from proxies.data.folder.known_names import as_text
from proxies.data.folder.layout import classes_of, layout_of, outside, without_system
from proxies.data.folder.tree import File, Folder
from search_space.errors import InputError


def tree(*files: str, root: Path = Path("set")) -> Folder:
    """The folder that holds these files; one that ends in a slash is an empty folder."""
    inside: dict[str, list[str]] = {}
    for file in files:
        top, slash, rest = file.partition("/")
        if slash:
            inside.setdefault(top, []).extend([rest] if rest else [])
    own = sorted(file for file in files if "/" not in file)
    folders = tuple(tree(*inside[name], root=root / name) for name in sorted(inside))
    return Folder(root, folders, tuple(File(root / name) for name in own))


def of_classes(*splits: str, classes: tuple[str, ...] = ("ant", "cat")) -> Folder:
    return tree(*(f"{split}/{name}/1.jpg" for split in splits for name in classes))


def understood(root: Folder) -> list[str | None]:
    """The folders to train, to validate and to test on."""
    layout = layout_of(root)
    classes_of(layout.train)
    return [split and split.name for split in (layout.train, layout.validation, layout.test)]


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["train", "val", "test"], ["train", "val", "test"]),
        (["Training", "Testing"], ["Training", None, "Testing"]),
        (["train", "valid"], ["train", "valid", None]),
        (["TRAIN", "Validation", "Test"], ["TRAIN", "Validation", "Test"]),
        (["training_set", "test_set"], ["training_set", None, "test_set"]),
        (["train-images", "val images"], ["train-images", "val images", None]),
        (["TrainingData", "ValidationData", "tst"], ["TrainingData", "ValidationData", "tst"]),
        (["train2017", "val2017"], ["train2017", "val2017", None]),
        (["train"], ["train", None, None]),
    ],
)
def test_splits_have_their_usual_names_in_any_case(splits: list[str], expected: list[str | None]) -> None:
    assert understood(of_classes(*splits)) == expected


@pytest.mark.parametrize("name", ["train", "test", "Validation", "trash", "thumb", "evaluation", "#", "@home", "$"])
def test_a_folder_of_images_beside_another_is_a_class_whatever_its_name(name: str) -> None:
    assert understood(tree("car/1.jpg", f"{name}/1.jpg")) == ["set", None, None]
    assert name in classes_of(tree("car/1.jpg", f"{name}/1.jpg"))


REFUSED: dict[str, tuple[Folder, str]] = {
    "one split twice, by case": (of_classes("train", "Train"), "one folder, but set holds Train/ and train/, both for"),
    "one split twice, by synonyms": (of_classes("train", "val", "valid"), "holds val/ and valid/, both for validation"),
    "one split twice, of images": (tree("train/1.jpg", "Training/1.jpg"), "holds Training/ and train/, both for"),
    "nothing to train on": (of_classes("valid", "test"), "set holds test/ and valid/ and no train/"),
    "a class beside splits": (tree("train/a/1.jpg", "train/b/1.jpg", "c/1.jpg"), "beside train/ set holds c/"),
    "test classes beside classes": (tree("a/1.jpg", "b/1.jpg", "test/a/1.jpg"), "beside test/ set holds a/ and b/"),
    "the same data set within": (of_classes("train", "chest_xray/train"), "beside train/ set holds chest_xray/"),
    "a split of another depth": (of_classes("train", "data/valid"), "beside train/ set holds data/"),
    "splits without classes": (tree("train/1.jpg", "test/1.jpg"), "set/train holds 1 files and none"),
    "classes first": (
        tree(*(f"{a}/{b}/1.jpg" for a in ("cat", "dog") for b in ("train", "test", "ground_truth"))),
        "set/cat holds test/ and train/",
    ),
    "classes first, one of them": (tree("cat/1.jpg", "dog/1.jpg", "dog/Test/1.jpg"), "set/dog holds Test/"),
    "several data sets": (of_classes("one/train", "two/train"), "set/one holds train/"),
    "detection": (tree("train/images/1.jpg", "train/labels/1.txt"), "set/train holds images/ and labels/"),
    "detection, splits within": (tree("images/train/1.jpg", "labels/train/1.txt"), "set holds images/ and labels/"),
    "segmentation": (tree("JPEGImages/1.jpg", "Annotations/1.xml"), "set holds Annotations/ and JPEGImages/"),
    "masks": (tree("Images/1.jpg", "Masks/1.png"), "set holds Images/ and Masks/"),
    "splits of unusual names": (of_classes("seg_train/seg_train", "seg_test/seg_test"), "seg_test/ and seg_train/"),
    "splits of unusual names, of images": (tree("myTrain/1.jpg", "myTest/1.jpg"), "holds myTest/ and myTrain/"),
    "domains first": (of_classes("art", "photo"), "all of art/ and photo/ in set hold ant/ and cat/"),
    "folds first": (
        of_classes("fold1", "fold2", "fold3"),
        "all of fold1/, fold2/ and fold3/ in set hold ant/ and cat/",
    ),
    "domains first, deeper": (of_classes("amazon/images", "dslr/images"), "all of amazon/ and dslr/ in set hold"),
    "an archive's own folder": (
        of_classes("archive/train", "archive/val"),
        "holds only archive; .*set/archive is the data",
    ),
    "an archive's own folder of classes": (
        tree("pets/a/1.jpg", "pets/b/1.jpg"),
        "holds only pets; .*set/pets is the data",
    ),
    "one class": (tree("cat/1.jpg"), "at least 2 classes are needed, but set holds only cat; add another"),
    "no class": (tree("1.jpg"), "must hold a folder for each class, but set holds 1 files and none"),
    "a new line in a class": (tree("a\nb/1.jpg", "c/1.jpg"), r"set/a\\nb has control characters; rename"),
    "a name that turns the line": (tree("a\u202eb/1.jpg", "c/1.jpg"), r"set/a\\u202eb has control characters"),
    "a class that is not UTF-8": (tree("caf\udce9/1.jpg", "c/1.jpg"), r"set/caf\\xe9 is not UTF-8; rename"),
    "two spellings": (tree("cafe\u0301/1.jpg", "caf\u00e9/1.jpg"), "holds caf\u00e9 twice, in spellings"),
    "a space more": (tree("cat/1.jpg", "cat /1.jpg"), "cat  twice, in spellings that look the same"),
    "a letter of no width": (tree("cat/1.jpg", "ca\u200bt/1.jpg"), "twice, in spellings that look the same"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_read_in_two_ways_is_refused_by_name(name: str) -> None:
    root, complaint = REFUSED[name]
    with pytest.raises(InputError, match=complaint) as raised:
        understood(root)
    assert ("; " in str(raised.value), "\n" in str(raised.value)) == (True, False)


def test_a_class_is_spelt_in_one_way_whatever_the_disk_has() -> None:
    assert list(classes_of(tree("cafe\u0301/1.jpg", "\U0001f431/1.jpg", "شجرة/1.jpg"))) == [
        "caf\u00e9",
        "شجرة",
        "\U0001f431",
    ]


def test_folders_within_a_class_are_of_it() -> None:
    root = tree("cat/2020/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2020/1.jpg")
    assert {name: len(list(each.all_files())) for name, each in classes_of(root).items()} == {"cat": 2, "dog": 2}
    assert understood(tree("cat/images/1.jpg", "dog/images/1.jpg")) == ["set", None, None]


SYSTEM = ("@eaDir", "#recycle", "__MACOSX", ".ipynb_checkpoints", "thumbs", "Thumbnails", ".git", "$RECYCLE.BIN")


@pytest.mark.parametrize("name", [*SYSTEM, "lost+found", ".Trash-1000", "@__thumb", "System Volume Information"])
def test_system_and_trash_folders_are_left_out_at_any_depth_and_counted(name: str) -> None:
    files = ("cat/1.jpg", f"cat/{name}/1.jpg/M.jpg", f"cat/in/{name}/1.jpg", "dog/1.jpg", f"{name}/a/1.jpg")
    root, left_out = without_system(tree(*files))
    assert [file.path.as_posix() for file in root.all_files()] == ["set/cat/1.jpg", "set/dog/1.jpg"]
    assert str(left_out) == f"3 in system and hidden folders ({name} 3)"
    assert understood(root) == ["set", None, None]


def test_hidden_files_and_a_systems_own_are_left_out_and_counted() -> None:
    root, left_out = without_system(tree("cat/1.jpg", "cat/._1.jpg", "cat/Thumbs.db", ".DS_Store", "desktop.ini"))
    assert [file.path.name for file in root.all_files()] == ["1.jpg"]
    assert str(left_out) == "4 hidden or system files"


def test_other_folders_beside_splits_are_no_images() -> None:
    root = tree(*(f"train/{name}/1.jpg" for name in "ab"), "logs/events.out", "weights/last.pt", "labels/1.txt")
    assert understood(root) == ["train", None, None]
    assert str(outside(root, layout_of(root))) == "1 other files (.txt), 2 outside the classes' folders"


def test_what_lies_outside_of_classes_is_counted_but_not_what_is_to_test_on() -> None:
    root = tree("read.md", "1.jpg", "train/2.jpg", "train/a/1.jpg", "train/b/1.jpg", "meta/all.csv", "test/9.jpg")
    assert str(outside(root, layout_of(root))) == "2 outside the classes' folders, 2 other files (.md, .csv)"


def test_a_path_as_text_cannot_steer_a_terminal() -> None:
    assert as_text(Path("set/a\x1b[2Jb\udce9é")) == r"set/a\x1b[2Jb\xe9é"
