"""Loads image data into memory as uint8 tensors, and gives it out in random, augmented batches."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from proxies.data import fashion_mnist_12k
from proxies.data.cache import cache_folder
from proxies.data.copies import across, within
from proxies.data.folder.decode import fit
from proxies.data.folder.known_names import as_text
from proxies.data.image_folder import FolderImages, read_folder
from proxies.data.labelled import Labelled, stack_images
from proxies.data.names import EMBEDDED, FOLDER, TORCHVISION_SETS, check_name, folder_path
from search_space.bounds import IMAGE_SIZES
from search_space.errors import InputError

FOLDER_IMAGE_SIZE = 32
_MOST_LISTED = 10
_MOST_SIZES = 4
"""Sizes other than the data's own that are kept: a search trains at each again and again."""


@dataclass(frozen=True, eq=False)
class ImageData:
    """Training and validation images with their labels.

    Images are uint8 ``(n, c, h, w)``, labels int64 ``(n,)``; their order means nothing and may go class by class.
    ``fingerprint`` identifies the content: 16 hex digits over images, labels and class names. ``notes`` are lines for
    the user: what was understood, what was left out, and what is doubtful.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    val_images: Tensor
    val_labels: Tensor
    classes: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Returns the number of channels: 1 for grey, 3 for colour."""
        return self.train_images.shape[1]

    @property
    def num_classes(self) -> int:
        """Returns the number of classes."""
        return len(self.classes)

    @property
    def image_size(self) -> int:
        """Returns the width of the images, in pixels."""
        return self.train_images.shape[-1]

    @cached_property
    def channel_stats(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Returns the mean and the standard deviation of each channel of the training images, on a scale of 0 to 1."""
        values = torch.arange(256, dtype=torch.float64) / 255
        means, deviations = [], []
        for channel in range(self.channels):
            counts = torch.bincount(self.train_images[:, channel].flatten(), minlength=256)
            share = counts / counts.sum(dtype=torch.float64)
            mean = (share * values).sum()
            means.append(mean.item())
            deviations.append((share * (values - mean) ** 2).sum().sqrt().item())
        return tuple(means), tuple(deviations)

    def resized(self, image_size: int) -> "ImageData":
        """Returns the data with images of ``image_size`` pixels, antialiased: itself where they are."""
        return self if image_size == self.image_size else self._resized(image_size)

    @cached_property
    def _resized(self) -> Callable[[int], "ImageData"]:
        return lru_cache(maxsize=_MOST_SIZES)(self._resize)

    def _resize(self, image_size: int) -> "ImageData":
        train_images, val_images = (
            resize(images, [image_size, image_size]) for images in (self.train_images, self.val_images)
        )
        return replace(self, train_images=train_images, val_images=val_images)


def load(
    name: str,
    *,
    root: Path | None = None,
    image_size: int | None = None,
    val_share: float = 1 / 6,
    seed: int = 0,
    download: bool = False,
    cache: Path | None = None,
    skip_unreadable: bool = False,
) -> ImageData:
    """Returns the data called ``name``: ``fashion-mnist-12k``, a torchvision set, or ``folder:PATH``.

    Images are resized to ``image_size`` pixels; None keeps the set's own size, or means 32 for a folder. Where no
    validation split comes with the data, ``val_share`` of each class is split off from the training images, always
    the same for the same ``seed``: pass a constant, not a search's seed. Test images are never touched. Torchvision
    sets lie in ``root``, by default in ``cache``, which keeps decoded folders and by default is ``cache_folder()``.
    With ``skip_unreadable`` a folder's images that cannot be read are left out, and counted in the notes.

    Raises:
        InputError: for an unknown name, data that is missing or cannot be read, or a class too small to split.
    """
    check_name(name)
    check_image_size(image_size)
    if not 0 < val_share < 1:
        raise InputError(f"val_share must lie between 0 and 1, but got {val_share}; give a share such as 0.2")
    if name.startswith(FOLDER):
        size = image_size or FOLDER_IMAGE_SIZE
        return _folder_data(
            name, read_folder(folder_path(name), size, cache, skip_unreadable=skip_unreadable), val_share, seed
        )
    if name == EMBEDDED:
        train, val, classes = _embedded(image_size)
        return _image_data(name, train, val, classes)
    whole, classes = read_torchvision_set(
        name, TORCHVISION_SETS[name].options, root or cache_folder(cache), image_size, download
    )
    in_val = _split_off(whole.labels, classes, val_share, seed)
    return _image_data(name, whole.rows(~in_val), whole.rows(in_val), classes, places={"validation": "split off"})


def _folder_data(name: str, found: FolderImages, val_share: float, seed: int) -> ImageData:
    train, validation, places = found.train, found.validation, found.places
    if validation is None:
        in_val = _split_off(train.labelled.labels, found.classes, val_share, seed)
        train, validation = train.rows(train.use, ~in_val), train.rows("validation", in_val)
        places = {**places, "validation": "split off"}
    notes = (*found.lines, *across(train, validation), *within([train, validation]))
    return _image_data(name, train.labelled, validation.labelled, found.classes, places, notes)


def _split_off(labels: NDArray[np.int64], classes: Sequence[str], val_share: float, seed: int) -> NDArray[np.bool_]:
    """Which rows to validate on: ``val_share`` of each class, at least one image.

    Raises:
        InputError: for a class that has no image left to train on.
    """
    in_val = np.zeros(len(labels), dtype=bool)
    generator = np.random.RandomState(seed)  # unlike torch's, its stream is promised never to change
    for label, name in enumerate(classes):
        rows = generator.permutation(np.flatnonzero(labels == label))
        count = max(1, round(val_share * len(rows)))
        if count >= len(rows):
            rule = "each class needs an image to train on beside those to validate on"
            raise InputError(f"{rule}, but {name} has {len(rows)} in all; add images")
        in_val[rows[:count]] = True
    return in_val


def batches(
    images: Tensor, labels: Tensor, batch_size: int, *, generator: torch.Generator, pad: int = 2, flip: bool = True
) -> Iterator[tuple[Tensor, Tensor]]:
    """Returns one epoch of random batches: uint8 images ``(b, c, h, w)`` and their labels ``(b,)``.

    Every image comes once, but for a last batch under half of ``batch_size``, which is dropped (unless it is the
    only one). Each image is cropped at its own random offset from its zero-padded self, and mirrored half the time.
    ``generator`` is a CPU one and alone decides what is drawn, on any device.
    """
    count, device = len(images), images.device
    order = torch.randperm(count, generator=generator).to(device)
    offsets = torch.randint(2 * pad + 1, (2, count), generator=generator).to(device)
    mirrored = (torch.rand(count, generator=generator) < 0.5 * flip).to(device)
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        rows = order[part]
        if start and 2 * len(rows) < batch_size:  # so few images make batch statistics that upset the running ones
            return
        yield crop(images[rows], offsets[:, part], mirrored[part], pad), labels[rows]


def crop(images: Tensor, offsets: Tensor, mirrored: Tensor, pad: int) -> Tensor:
    """Returns ``(b, c, h, w)`` crops of the images zero-padded by ``pad``, mirrored left to right where ``mirrored``.

    ``offsets``, int64 ``(2, b)``, are the top and left edges of the crops within the padded images, in pixels.
    """
    count, channels, height, width = images.shape
    padded = F.pad(images, (pad, pad, pad, pad))
    down, across = (torch.arange(size, device=images.device) for size in (height, width))
    rows = offsets[0][:, None] + down
    columns = offsets[1][:, None] + torch.where(mirrored[:, None], width - 1 - across, across)
    # One gather over flat pixels is several times faster than indexing by image, channel, row and column.
    pixels = rows[:, :, None] * (width + 2 * pad) + columns[:, None, :]
    index = pixels.view(count, 1, -1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, index).view(images.shape)


def normalise(batch: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Returns the uint8 batch ``(b, c, h, w)`` as float32 in channels_last order, with ``mean`` 0 and ``std`` 1.

    ``mean`` and ``std`` hold one value a channel, on a scale of 0 to 1, as ``channel_stats`` gives them.
    """
    centre, spread = (torch.tensor(values, device=batch.device).view(1, -1, 1, 1) for values in (mean, std))
    scale = 1 / (255 * spread.clamp(min=1 / 255))  # a channel that never varies has no spread to divide by
    floats = batch.float().mul_(scale).sub_(centre * 255 * scale)
    return floats.contiguous(memory_format=torch.channels_last)  # last, for on a CPU bytes reorder far more slowly


def check_image_size(image_size: int | None) -> None:
    """Returns nothing where images can be resized to ``image_size`` pixels, or are not to be.

    Raises:
        InputError: for a size that is too small for a network, or too large.
    """
    if image_size is not None:
        IMAGE_SIZES.check("image_size", image_size)


def _embedded(image_size: int | None) -> tuple[Labelled, Labelled, tuple[str, ...]]:
    def labelled(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Labelled:
        resized = stack_images(len(images), lambda row: fit(Image.fromarray(images[row]), image_size))
        return Labelled(resized, labels.astype(np.int64))

    train_images, train_labels, val_images, val_labels = fashion_mnist_12k.arrays()
    return labelled(train_images, train_labels), labelled(val_images, val_labels), fashion_mnist_12k.CLASSES


def read_torchvision_set(
    name: str, options: Mapping[str, object], root: Path | None, image_size: int | None, download: bool
) -> tuple[Labelled, tuple[str, ...]]:
    """Returns one split of a torchvision set, as its class's ``options`` choose it, and the class names.

    They lie in ``root``, None where there is no place for them; ``image_size`` and ``download`` are as in ``load``.

    Raises:
        InputError: for data that is missing or cannot be read.
    """
    if root is None:
        raise InputError(f"{name} must lie in a folder, and this user has no home: name one with --data-root")
    dataset = _open_torchvision_set(name, options, root, download)
    labels = np.empty(len(dataset), dtype=np.int64)

    def read(row: int) -> NDArray[np.uint8]:
        image, labels[row] = dataset[row]
        return fit(image, image_size)

    images = stack_images(len(dataset), read)
    classes = getattr(dataset, "classes", None) or range(labels.max() + 1)
    return Labelled(images, labels), tuple(str(each) for each in classes)


def _open_torchvision_set(name: str, options: Mapping[str, object], root: Path, download: bool) -> Any:
    import torchvision  # here, for the embedded data and folders do not need it, and it takes seconds to import

    try:
        return getattr(torchvision.datasets, TORCHVISION_SETS[name].class_name)(root, download=download, **options)
    except ImportError as error:
        raise InputError(f"{name} needs a package that is missing ({error}); install it") from error
    except (RuntimeError, OSError) as error:
        if download:
            reason = " ".join(str(error).split())  # torchvision's own message has several lines
            raise InputError(f"{name} must be downloadable to {root}, but is not ({reason}); try later") from error
        cure = "pass --download to fetch it, or --data-root with the folder that holds it"
        raise InputError(f"{name} must lie in the data root, but is not found in {root}; {cure}") from error


def _image_data(
    name: str,
    train: Labelled,
    val: Labelled,
    classes: tuple[str, ...],
    places: Mapping[str, str] = MappingProxyType({}),
    notes: Sequence[str] = (),
) -> ImageData:
    digest = hashlib.sha256()
    for array in (*train, *val):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.data)
    digest.update("\n".join(classes).encode(errors="surrogateescape"))
    return ImageData(
        name=name,
        train_images=torch.from_numpy(train.images),
        train_labels=torch.from_numpy(train.labels),
        val_images=torch.from_numpy(val.images),
        val_labels=torch.from_numpy(val.labels),
        classes=classes,
        fingerprint=digest.hexdigest()[:16],
        notes=(_headline(name, train, val, classes, places), *notes),
    )


def _headline(name: str, train: Labelled, val: Labelled, classes: Sequence[str], places: Mapping[str, str]) -> str:
    """What was understood, in a line: the classes, and how many images each split has."""
    counts = np.bincount(train.labels, minlength=len(classes))
    listed = ", ".join(f"{each} {count}" for each, count in zip(classes, counts, strict=True))
    if len(classes) > _MOST_LISTED:
        listed = f"{classes[0]} to {classes[-1]}, of {counts.min()} to {counts.max()} images"
    where = {use: f" ({place})" for use, place in places.items()}
    test = f"; {places['test']} is kept for testing alone" if "test" in places else ""
    return (
        f"{as_text(name)}: {len(classes)} classes ({listed}); {len(train.labels)} images to train on"
        f"{where.get('training', '')}, {len(val.labels)} to validate on{where.get('validation', '')}{test}"
    )
