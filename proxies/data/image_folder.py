"""Reads folders of images, one sub-folder a class, into uint8 arrays: decoded once, then cached."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proxies.data.cache import cache_folder
from proxies.data.copies import Split
from proxies.data.folder import decode
from proxies.data.folder.class_files import SplitFiles, found_for_testing, found_in
from proxies.data.folder.known_names import as_text
from proxies.data.folder.layout import listed
from proxies.data.folder.left_out import LeftOut
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
    names. Images become RGB, ``image_size`` pixels wide and high. They are kept in ``cache`` (by default the user's
    cache folder) under a key over their paths, sizes and change times; a cache file may be deleted at any time.

    Raises:
        InputError: for a folder that could be read in two ways or has not two classes, a class that loses too many
            images, classes that differ between splits, an image that cannot be read (unless ``skip_unreadable``), or
            a cache that cannot be written.
    """
    found = found_in(folder)
    splits = [found.train, *([found.validation] if found.validation else [])]
    read, splits = _read(folder, splits, image_size, cache or cache_folder(), skip_unreadable)
    uses = ("training", "validation")
    made = [
        Split(use, labelled, [as_text(file.path.relative_to(folder)) for file in split.files])
        for use, labelled, split in zip(uses, read, splits, strict=False)
    ]
    named = (("training", found.layout.train), ("validation", found.layout.validation), ("test", found.layout.test))
    places = {use: listed([each.name]) for use, each in named if each is not None and each.path != folder}
    validation = made[1] if len(made) > 1 else None
    return FolderImages(made[0], validation, tuple(splits[0].classes), places, tuple(found.lines(splits)))


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
    read, (test,) = _read(folder, [test], image_size, cache or cache_folder(), skip_unreadable)
    for each in test.classes.values():
        left_out.add_all(each.left_out)
    return read[0], (_left_out_of_test(left_out),) if str(left_out) else ()


def _left_out_of_test(left_out: LeftOut) -> str:
    return f"left out of the test images: {left_out}"


def _read(
    root: Path, splits: Sequence[SplitFiles], image_size: int, cache: Path, skip_unreadable: bool
) -> tuple[list[Labelled], list[SplitFiles]]:
    """The images of each split, and the splits without what was skipped."""
    files = [file for split in splits for file in split.files]
    images, reasons = _cached(root, files, image_size, cache)
    if reasons and not skip_unreadable:
        raise InputError(_unreadable_text([files[row].path for row in sorted(reasons)], reasons[min(reasons)]))
    if reasons:
        unreadable = {files[row].path: reason for row, reason in reasons.items()}
        splits = [split.without(unreadable, root) for split in splits]
        images = np.delete(images, sorted(reasons), axis=0)
    ends = np.cumsum([len(split.files) for split in splits])
    parts = np.split(images, ends[:-1])
    return [Labelled(part, split.labels) for part, split in zip(parts, splits, strict=True)], list(splits)


def _unreadable_text(files: Sequence[Path], reason: str) -> str:
    more = f", and {len(files) - 1} more are not" if len(files) > 1 else ""
    return (
        f"every image must be readable, but {as_text(files[0])} is not ({reason}){more}; replace or remove "
        f"{'them' if more else 'it'}, or go on without by --skip-unreadable"
    )


def _cached(
    root: Path, files: Sequence[File], image_size: int, cache: Path
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """The images of the files, black where one cannot be read, and by row the reason for that."""
    path = cache / f"images-{_key(root, files, image_size)}.npy"
    if path.is_file():
        stored: NDArray[np.uint8] = np.load(path, allow_pickle=False)
        black = np.flatnonzero(~stored.reshape(len(stored), -1).any(axis=1)).tolist()
        _, reasons = _decoded([files[row].path for row in black], image_size) if black else (None, {})
        return stored, {black[row]: reason for row, reason in reasons.items()}
    images, reasons = _decoded([file.path for file in files], image_size)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Written aside and then renamed: a process killed halfway, or another one beside it, leaves no partial file.
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            np.save(Path(scratch) / path.name, images)
            (Path(scratch) / path.name).replace(path)
    except OSError as error:
        raise InputError(f"the cache must be writable, but {cache} is not ({error}); name another folder") from error
    return images, reasons


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


def _key(root: Path, files: Sequence[File], image_size: int) -> str:
    lines = [decode.VERSION, str(image_size), os.fspath(root.resolve())]
    lines += [f"{file.path.relative_to(root).as_posix()} {file.size} {file.changed_ns}" for file in files]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:32]
