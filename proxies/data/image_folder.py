"""Reads folders of images, one sub-folder a class, into uint8 arrays: decoded once, then cached."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxies.data.cache import Decoded, cache_folder, kept_images
from proxies.data.copies import Split
from proxies.data.folder import decode
from proxies.data.folder.class_files import SplitFiles, found_for_testing, found_in
from proxies.data.folder.known_names import as_text
from proxies.data.folder.layout import listed
from proxies.data.folder.tree import File
from proxies.data.labelled import Labelled, stack_images
from search_space.errors import InputError


@dataclass(frozen=True, slots=True)
class FolderImages:
    """The images of a folder, with the names of their classes; `validation` is None where it has no such split.

    `places` says where they lie, by their use, and `lines` what else a user should know of them.
    """

    train: Split
    validation: Split | None
    classes: tuple[str, ...]
    places: dict[str, str]
    lines: tuple[str, ...]


def read_folder(
    folder: Path, image_size: int, cache: Path | None = None, *, skip_unreadable: bool = False
) -> FolderImages:
    """Returns the images of a folder to train and to validate on; those to test on are not touched.

    ``folder`` holds the class folders, or ``train/`` and perhaps ``val/`` with the class folders, by their usual
    names. Images become RGB, ``image_size`` pixels wide and high. They are kept in ``cache``, by default
    ``cache_folder()``, for their paths, sizes and times of change; a file there may be deleted at any time.

    Raises:
        InputError: for a folder that could be read in two ways or has not two classes, a class that loses too many
            images, classes that differ between splits, or an image that cannot be read (unless ``skip_unreadable``).
    """
    found = found_in(folder)
    splits = [found.train, *([found.validation] if found.validation else [])]
    place = Place(folder, "train", image_size, cache)
    read, splits, lines = _read(place, splits, skip_unreadable=skip_unreadable)
    uses = ("training", "validation")
    made = [
        Split(use, labelled, [as_text(file.path.relative_to(folder)) for file in split.files])
        for use, labelled, split in zip(uses, read, splits, strict=False)
    ]
    named = (("training", found.layout.train), ("validation", found.layout.validation), ("test", found.layout.test))
    places = {use: listed([each.name]) for use, each in named if each is not None and each.path != folder}
    validation = made[1] if len(made) > 1 else None
    return FolderImages(made[0], validation, tuple(splits[0].classes), places, (*found.lines(splits), *lines))


def read_test_folder(
    folder: Path, image_size: int, cache: Path | None = None, *, skip_unreadable: bool = False
) -> tuple[Labelled, tuple[str, ...]] | None:
    """Returns the images of ``test/``, labelled as those of ``train/``, and what a user should know; None without both.

    They are decoded and kept as ``read_folder`` does.

    Raises:
        InputError: as ``read_folder``, and for classes that differ between ``train/`` and ``test/``.
    """
    found = found_for_testing(folder)
    if found is None:
        return None
    test, left_out = found
    place = Place(folder, "test", image_size, cache)
    read, (test,), lines = _read(place, [test], skip_unreadable=skip_unreadable)
    for each in test.classes.values():
        left_out.add_all(each.left_out)
    left = (f"left out of the test images: {left_out}",) if str(left_out) else ()
    return read[0], (*left, *lines)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder whose images are read for a use at a size, and where decoded ones are kept (None: the usual place)."""

    root: Path
    use: str
    image_size: int
    cache: Path | None

    def decoded(self, files: Sequence[File]) -> Decoded:
        """What the images of these files are decoded from."""
        lines = [f"{file.path.relative_to(self.root).as_posix()} {file.size} {file.changed}" for file in files]
        source = f"{os.fspath(self.root.resolve())} {self.use} {self.image_size}"
        return Decoded(source, "\n".join([decode.VERSION, *lines]))


def _read(
    place: Place, splits: Sequence[SplitFiles], *, skip_unreadable: bool
) -> tuple[list[Labelled], list[SplitFiles], tuple[str, ...]]:
    """The images of each split, the splits without what was skipped, and lines for the user."""
    files = [file for split in splits for file in split.files]
    images, reasons, lines = _kept(place, files)
    if reasons and not skip_unreadable:
        raise InputError(_unreadable_text([files[row].path for row in sorted(reasons)], reasons[min(reasons)]))
    if reasons:
        unreadable = {files[row].path: reason for row, reason in reasons.items()}
        splits = [split.without(unreadable, place.root) for split in splits]
        images = np.delete(images, sorted(reasons), axis=0)
    ends = np.cumsum([len(split.files) for split in splits])
    parts = np.split(images, ends[:-1])
    labelled = [Labelled(part, split.labels) for part, split in zip(parts, splits, strict=True)]
    return labelled, list(splits), lines


def _unreadable_text(files: Sequence[Path], reason: str) -> str:
    more = f", and {len(files) - 1} more are not" if len(files) > 1 else ""
    return (
        f"every image must be readable, but {as_text(files[0])} is not ({reason}){more}; replace or remove "
        f"{'them' if more else 'it'}, or go on without by --skip-unreadable"
    )


def _kept(place: Place, files: Sequence[File]) -> tuple[NDArray[np.uint8], dict[int, str], tuple[str, ...]]:
    """The images of the files, black where one cannot be read; by row the reason for that; and lines for the user."""
    size, paths = place.image_size, [file.path for file in files]
    reasons: dict[int, str] | None = None

    def make() -> NDArray[np.uint8]:
        nonlocal reasons
        images, reasons = _decoded(paths, size)
        return images

    images, lines = kept_images(place.decoded(files), (len(files), 3, size, size), make, cache_folder(place.cache))
    if reasons is None:
        black = np.flatnonzero(~images.reshape(len(images), -1).any(axis=1)).tolist()
        _, found = _decoded([paths[row] for row in black], size) if black else (None, {})
        reasons = {black[row]: reason for row, reason in found.items()}
    return images, reasons, lines


def _decoded(files: Sequence[Path], image_size: int) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """The images of the files, black where one cannot be read, and by row the reason for that."""
    reasons: dict[int, str] = {}

    def read(row: int) -> NDArray[np.uint8]:
        image = decode.decode(files[row], image_size)
        if isinstance(image, str):
            reasons[row] = image
            return np.zeros((3, image_size, image_size), np.uint8)
        return image

    with decode.quiet():
        return stack_images(len(files), read), reasons
