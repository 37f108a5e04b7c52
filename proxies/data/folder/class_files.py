"""Which files of a folder are images of which class, and what is left out; no image is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxies.data.folder.decode import is_image
from proxies.data.folder.known_names import as_text, is_beside_picture, is_no_image, split_of
from proxies.data.folder.layout import Layout, classes_of, folders_within, layout_of, listed, outside, without_system
from proxies.data.folder.left_out import NO_FILE, NO_IMAGE, NOT_DECODED, UNREADABLE, LeftOut
from proxies.data.folder.tree import File, Folder, scan
from search_space.errors import InputError

_LOST = (NOT_DECODED, UNREADABLE, NO_FILE)
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class ClassFiles:
    """The images of a class in one split, sorted by path, and what of its folder is none."""

    folder: Path
    images: tuple[File, ...]
    left_out: LeftOut

    def check(self) -> None:
        """Refuses a class that loses more than half of its files.

        Raises:
            InputError: it does, or has no images.
        """
        kept, lost, path = len(self.images), self.left_out.count(_LOST), as_text(self.folder)
        if lost > kept > 0:
            raise InputError(
                f"a class must keep half of its files, but {path} keeps {kept} of {kept + lost}: left out are "
                f"{self.left_out}; convert or remove these"
            )
        if not kept:
            instead = f" but {self.left_out}" if str(self.left_out) else ""
            raise InputError(f"a class needs images, but {path} holds none{instead}; add some or remove it")


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The classes of a split, by name, sorted."""

    folder: Folder
    classes: Mapping[str, ClassFiles]

    @property
    def files(self) -> list[File]:
        """The images, class by class."""
        return [file for each in self.classes.values() for file in each.images]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Their labels, int64 `(n,)`."""
        counts = [len(each.images) for each in self.classes.values()]
        return np.repeat(np.arange(len(counts), dtype=np.int64), counts)

    def without(self, unreadable: Mapping[Path, str], root: Path) -> SplitFiles:
        """The same without these images, which are counted, and named as they lie in the root.

        Raises:
            InputError: a class loses too many.
        """
        return SplitFiles(self.folder, {name: _without(each, unreadable, root) for name, each in self.classes.items()})


@dataclass(frozen=True, slots=True)
class FoundFolder:
    """A folder of images as it was understood: its splits, and what lies outside of their classes."""

    root: Path
    layout: Layout
    train: SplitFiles
    validation: SplitFiles | None
    left_out: LeftOut

    def lines(self, splits: list[SplitFiles]) -> Iterator[str]:
        """What a user should know beside the number of images, with these of its splits."""
        left_out = LeftOut()
        left_out.add_all(self.left_out)
        for each in (each for split in splits for each in split.classes.values()):
            left_out.add_all(each.left_out)
        if str(left_out):
            yield f"left out: {left_out}"
        inner = folders_within({name: each for split in splits for name, each in classes_of(split.folder).items()})
        if inner:
            names = ", ".join(as_text(each.relative_to(self.root)) for each in inner[:_MOST_NAMED])
            more = f" and {len(inner) - _MOST_NAMED} more" if len(inner) > _MOST_NAMED else ""
            yield f"folders within a class's are of that class: {names}{more}"
        classes = list(self.train.classes)
        folded = Counter(name.casefold() for name in classes)
        if alike := [name for name in classes if folded[name.casefold()] > 1]:
            yield f"classes whose names differ in case alone: {', '.join(alike)}"
        if self.train.folder.path == self.root:
            named = [name for name in classes if split_of(name)]
            yield from (f"{listed([name])} is taken for a class: it holds no folder for each class" for name in named)


def found_in(folder: Path) -> FoundFolder:
    """What the folder holds to train and to validate on; its test images are left alone.

    Raises:
        InputError: it could be read in two ways, has not two classes, a class has too few images, or those to validate
            on are of other classes.
    """
    root, left_out = without_system(scan(folder))
    layout = layout_of(root)
    left_out.add_all(outside(root, layout))
    train = _split_files(layout.train)
    validation = _split_files(layout.validation) if layout.validation else None
    if validation:
        _check_same_classes(train, validation)
    return FoundFolder(folder, layout, train, validation, left_out)


def found_for_testing(folder: Path) -> tuple[SplitFiles, LeftOut] | None:
    """The test images of the folder, and what lies beside them; None where it has no such split.

    Raises:
        InputError: as `found_in`, of the folders to test and to train on.
    """
    root, _ = without_system(scan(folder))
    layout = layout_of(root)
    if layout.test is None:
        return None
    test = _split_files(layout.test)
    _check_same_classes(_split_files(layout.train), test)
    return test, outside(layout.test, Layout(layout.test))


def _split_files(split: Folder) -> SplitFiles:
    classes = {name: _class_files(folder) for name, folder in classes_of(split).items()}
    for each in classes.values():
        each.check()
    return SplitFiles(split, classes)


def _class_files(folder: Folder) -> ClassFiles:
    left_out = LeftOut()
    images: list[File] = []
    others: list[File] = []
    for file in sorted(folder.all_files(), key=lambda file: file.path.parts):
        if not file.is_regular:
            left_out.add(NO_FILE, "")
        elif is_no_image(file.path.name):
            left_out.add(NO_IMAGE, file.path.suffix.lower())
        else:
            (images if is_image(file.path) else others).append(file)
    pictured = {file.path.with_suffix("") for file in images}
    for file in others:
        is_no_loss = is_beside_picture(file.path.name) and file.path.with_suffix("") in pictured
        reason = NO_IMAGE if is_no_loss else NOT_DECODED
        left_out.add(reason, as_text(file.path.suffix.lower()) or "no suffix")
    return ClassFiles(folder.path, tuple(images), left_out)


def _without(each: ClassFiles, unreadable: Mapping[Path, str], root: Path) -> ClassFiles:
    left_out = LeftOut()
    left_out.add_all(each.left_out)
    kept = tuple(file for file in each.images if file.path not in unreadable)
    for file in each.images:
        if file.path in unreadable:
            left_out.add(UNREADABLE, f"{as_text(file.path.relative_to(root))}: {unreadable[file.path]}")
    found = ClassFiles(each.folder, kept, left_out)
    found.check()
    return found


def _check_same_classes(train: SplitFiles, other: SplitFiles) -> None:
    folders = listed([train.folder.name, other.folder.name])
    for here, there in ((train, other), (other, train)):
        if lone := [as_text(name) for name in here.classes if name not in there.classes]:
            raise InputError(
                f"{folders} must hold the same classes, but only {listed([here.folder.name])} has {', '.join(lone)}; "
                "align them"
            )
