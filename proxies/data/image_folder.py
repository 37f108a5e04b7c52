"""Reads folders of JPEG and PNG images, one sub-folder a class, into uint8 arrays: decoded once, then cached."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from proxies.data.cache import cache_folder
from search_space.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_DECODER = "1"  # part of the cache key: raise it when decoding changes, so that no old cache is read


class Labelled(NamedTuple):
    """Images, uint8 ``(n, c, h, w)``, with their labels, int64 ``(n,)``."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def read_folder(
    folder: Path, image_size: int, cache: Path | None = None
) -> tuple[Labelled, Labelled | None, tuple[str, ...]]:
    """Returns the training images, the validation images (None without a ``val/``) and the sorted class names.

    ``folder`` holds the class folders, or ``train/`` and perhaps ``val/`` with the class folders; then nothing else
    in it, such as a ``test/``, is touched. Images become RGB, ``image_size`` pixels wide and high. They are kept in
    ``cache`` (by default the user's cache folder) under a key over their paths, sizes and change times; a cache
    file may be deleted at any time.

    Raises:
        InputError: for a folder without two classes, a class without images, classes that differ between ``train/``
            and ``val/``, an image that cannot be read, or a cache that cannot be written.
    """
    train, val = class_files(folder)
    files = [file for rows in (*train.values(), *val.values()) for file in rows]
    images = _cached(folder, files, image_size, cache or cache_folder())
    train_labels, val_labels = _labels(train), _labels(val)
    split = len(train_labels)
    kept = Labelled(images[split:], val_labels) if val else None
    return Labelled(images[:split], train_labels), kept, tuple(train)


def read_test_folder(folder: Path, image_size: int, cache: Path | None = None) -> Labelled | None:
    """Returns the images of ``test/``, labelled as those of ``train/``; None where the folder has not both.

    They are decoded and kept as ``read_folder`` does.

    Raises:
        InputError: as ``read_folder``, and for classes that differ between ``train/`` and ``test/``.
    """
    train_folder, _ = _layout(folder)
    if train_folder == folder or not (folder / "test").is_dir():
        return None
    test = _class_files(folder / "test")
    _check_same_classes(_class_files(train_folder), test, "test")
    files = [file for rows in test.values() for file in rows]
    return Labelled(_cached(folder, files, image_size, cache or cache_folder()), _labels(test))


def class_files(folder: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Returns the image files of each class, sorted: to train on, and those of ``val/``, which may be none.

    Raises:
        InputError: for a folder without two classes, a class without images, or classes that differ.
    """
    train_folder, val_folder = _layout(folder)
    train = _class_files(train_folder)
    val = _class_files(val_folder) if val_folder else {}
    if val:
        _check_same_classes(train, val, "val")
    return train, val


def fit(image: Image.Image, size: int | None) -> NDArray[np.uint8]:
    """Returns the image as ``(c, h, w)``; with a ``size``, its shorter side is resized to it and the centre kept."""
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def stack_images(count: int, read: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Returns ``(count, c, h, w)``: the images that ``read`` gives for 0, 1, ..., read in parallel.

    Raises:
        InputError: where the images differ in shape.
    """
    first = read(0)
    images = np.empty((count, *first.shape), np.uint8)
    with ThreadPoolExecutor() as pool:
        for row, image in enumerate(pool.map(read, range(count))):
            if image.shape != first.shape:
                shapes = f"{first.shape} and {image.shape}"
                raise InputError(f"all images must have one (c, h, w) shape, but got {shapes}; give an image size")
            images[row] = image
    return images


def _layout(folder: Path) -> tuple[Path, Path | None]:
    if not folder.is_dir():
        raise InputError(f"an image folder must exist, but {folder} does not; correct the path")
    train, val, test = folder / "train", folder / "val", folder / "test"
    # A folder "train" full of images, beside cars and planes, is a class: only class folders make it the split.
    if not train.is_dir() or not (_subfolders(train) or val.is_dir() or test.is_dir()):
        return folder, None
    return train, val if val.is_dir() else None


def _class_files(folder: Path) -> dict[str, list[Path]]:
    classes = {each.name: _image_files(each) for each in _subfolders(folder)}
    if not classes:
        raise InputError(f"an image folder must hold a folder for each class, but {folder} holds none; add them")
    for name, files in classes.items():
        if not files:
            raise InputError(f"a class needs JPEG or PNG images, but {folder / name} holds none; add some or remove it")
    if len(classes) < 2:
        raise InputError(f"at least 2 classes are needed, but {folder} holds only {', '.join(classes)}; add another")
    return classes


def _subfolders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _image_files(folder: Path) -> list[Path]:
    def visible(file: Path) -> bool:
        return not any(part.startswith(".") for part in file.relative_to(folder).parts)

    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and visible(f) and f.is_file())


def _check_same_classes(train: Iterable[str], others: Iterable[str], other: str) -> None:
    lone = {"train": set(train) - set(others), other: set(others) - set(train)}
    for where, names in lone.items():
        if names:
            rule = f"train/ and {other}/ must hold the same classes"
            raise InputError(f"{rule}, but only {where}/ has {', '.join(sorted(names))}; align them")


def _labels(classes: dict[str, list[Path]]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(classes), dtype=np.int64), [len(files) for files in classes.values()])


def _cached(folder: Path, files: list[Path], image_size: int, cache: Path) -> NDArray[np.uint8]:
    path = cache / f"images-{_key(folder, files, image_size)}.npy"
    if path.is_file():
        stored: NDArray[np.uint8] = np.load(path, allow_pickle=False)
        return stored
    images = stack_images(len(files), lambda row: _decode(files[row], image_size))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Written aside and then renamed: a process killed halfway, or another one beside it, leaves no partial file.
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            np.save(Path(scratch) / path.name, images)
            (Path(scratch) / path.name).replace(path)
    except OSError as error:
        raise InputError(f"the cache must be writable, but {cache} is not ({error}); name another folder") from error
    return images


def _key(folder: Path, files: list[Path], image_size: int) -> str:
    lines = [_DECODER, str(image_size), str(folder.resolve())]
    for file in files:
        facts = file.stat()
        lines.append(f"{file.relative_to(folder).as_posix()} {facts.st_size} {facts.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:32]


def _decode(file: Path, size: int) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as image:
            if image.mode[0] in "IF":  # converting these to RGB would clip nearly all their values to white
                raise InputError(f"images must have 8 bits a channel, but {file} has more; convert it")
            image.draft(None, (2 * size, 2 * size))  # a large JPEG then decodes far faster, at a fraction of its size
            return fit(image.convert("RGB"), size)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"every image must be readable, but {file} is not ({error}); replace or remove it") from error
