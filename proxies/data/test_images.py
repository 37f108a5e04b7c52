"""The test images of a data set, which no search and no training ever sees."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from proxies.data.cache import cache_folder
from proxies.data.copies import Split, across
from proxies.data.image_folder import read_test_folder
from proxies.data.labelled import Labelled
from proxies.data.load import FOLDER_IMAGE_SIZE, ImageData, check_image_size, read_torchvision_set
from proxies.data.names import EMBEDDED, FOLDER, TORCHVISION_SETS, check_name, folder_path


class HeldOut(NamedTuple):
    """Test images, uint8 ``(n, c, h, w)``, with their labels, int64 ``(n,)``, numbered as the training images'.

    ``notes`` are lines for the user, as ``ImageData`` has them.
    """

    images: Tensor
    labels: Tensor
    notes: tuple[str, ...] = ()


def load_test(
    name: str,
    *,
    root: Path | None = None,
    image_size: int | None = None,
    download: bool = False,
    cache: Path | None = None,
    skip_unreadable: bool = False,
) -> HeldOut | None:
    """Returns the test images of the data called ``name``, or None where it has none.

    A torchvision set has its official test split, a folder the class folders in its ``test/`` beside its ``train/``.
    The embedded ``fashion-mnist-12k`` has none: all its images come from Fashion-MNIST's training set, so that
    ``fashion-mnist`` has the test images for it. The arguments are those of ``proxies.data.load``, and images are
    resized and kept as there.

    Raises:
        InputError: for an unknown name, data that is missing or cannot be read, or test classes that are not those
            of the training images.
    """
    check_name(name)
    check_image_size(image_size)
    if name == EMBEDDED:
        return None
    if not name.startswith(FOLDER):
        labelled, _ = read_torchvision_set(
            name, TORCHVISION_SETS[name].test_options, root or cache_folder(cache), image_size, download
        )
        return HeldOut(torch.from_numpy(labelled.images), torch.from_numpy(labelled.labels))
    size = image_size or FOLDER_IMAGE_SIZE
    found = read_test_folder(folder_path(name), size, cache, skip_unreadable=skip_unreadable)
    if found is None:
        return None
    labelled, notes = found
    return HeldOut(torch.from_numpy(labelled.images), torch.from_numpy(labelled.labels), notes)


def shared_notes(data: ImageData, test: HeldOut) -> Iterator[str]:
    """Returns a line for test images that are among the images to train or to validate on, too."""
    held_out = Split("test", Labelled(test.images.numpy(), test.labels.numpy()))
    yield from across(Split("training", Labelled(data.train_images.numpy(), data.train_labels.numpy())), held_out)
    yield from across(Split("validation", Labelled(data.val_images.numpy(), data.val_labels.numpy())), held_out)
