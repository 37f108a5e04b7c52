"""Names the image data that can be searched on, and checks a name without importing torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from proxies.data.folder.known_names import as_text, cannot_be_text
from search_space.errors import InputError

EMBEDDED = "fashion-mnist-12k"
FOLDER = "folder:"
CACHE_VARIABLE = "NAS_CACHE"
"""The environment variable that says where decoded and downloaded images are kept."""


@dataclass(frozen=True)
class TorchvisionSet:
    """A ``torchvision.datasets`` class, with the ``options`` that give its official training split.

    ``mirrors`` says whether an image seen in a mirror still is of its class: a digit is not.
    """

    class_name: str
    options: Mapping[str, object] = field(default_factory=lambda: {"train": True})
    mirrors: bool = True

    @property
    def test_options(self) -> dict[str, object]:
        """Returns the options that give the official test split."""
        test_split = {("train", True): False, ("split", "train"): "test", ("split", "trainval"): "test"}
        return {name: test_split.get((name, value), value) for name, value in self.options.items()}


_TRAIN_SPLIT = MappingProxyType({"split": "train"})
TORCHVISION_SETS: Mapping[str, TorchvisionSet] = MappingProxyType(
    {
        "cifar10": TorchvisionSet("CIFAR10"),
        "cifar100": TorchvisionSet("CIFAR100"),
        "mnist": TorchvisionSet("MNIST", mirrors=False),
        "fashion-mnist": TorchvisionSet("FashionMNIST"),
        "kmnist": TorchvisionSet("KMNIST", mirrors=False),
        "emnist": TorchvisionSet("EMNIST", {"split": "balanced", "train": True}, mirrors=False),
        "usps": TorchvisionSet("USPS", mirrors=False),
        "svhn": TorchvisionSet("SVHN", _TRAIN_SPLIT, mirrors=False),
        "stl10": TorchvisionSet("STL10", _TRAIN_SPLIT),
        "gtsrb": TorchvisionSet("GTSRB", _TRAIN_SPLIT, mirrors=False),
        "food101": TorchvisionSet("Food101", _TRAIN_SPLIT),
        "flowers102": TorchvisionSet("Flowers102", _TRAIN_SPLIT),
        "dtd": TorchvisionSet("DTD", _TRAIN_SPLIT),
        "oxford-iiit-pet": TorchvisionSet("OxfordIIITPet", {"split": "trainval"}),
        "fgvc-aircraft": TorchvisionSet("FGVCAircraft", {"split": "trainval"}),
    }
)


def check_name(name: str) -> None:
    """Returns nothing where ``name`` is data that ``load`` knows; for a folder, looks no further than that it exists.

    Raises:
        InputError: for an unknown name, ``folder:`` without a path, or a path that is no folder.
    """
    if name.startswith(FOLDER):
        folder_path(name)
    elif name != EMBEDDED and name not in TORCHVISION_SETS:
        known = ", ".join([EMBEDDED, *TORCHVISION_SETS, f"{FOLDER}PATH"])
        raise InputError(f"the data must be one of the known sets, but got {name!r}; choose one of {known}")


def check_images(name: str) -> None:
    """Returns nothing where ``name`` is data that ``load`` knows, with a folder of images for each class.

    Raises:
        InputError: as ``check_name``, or a folder that holds no images of classes.
    """
    check_name(name)
    if name.startswith(FOLDER):
        from proxies.data.folder.class_files import found_in  # here, for it needs numpy and pillow

        found_in(folder_path(name))


def mirrors(name: str) -> bool:
    """Returns whether the data's images may be mirrored in training; folders' may."""
    return name not in TORCHVISION_SETS or TORCHVISION_SETS[name].mirrors


def folder_path(name: str) -> Path:
    """Returns the existing folder that ``folder:PATH`` names.

    Raises:
        InputError: where the path is missing or is no folder.
    """
    text = name.removeprefix(FOLDER)
    if not text:
        raise InputError(f"{FOLDER}PATH needs a path, but got {name!r}; write the image folder behind the colon")
    if reason := cannot_be_text(text):
        raise InputError(f"{FOLDER}PATH must be plain text, but {as_text(text)} {reason}; rename a folder of it")
    path = Path(text).expanduser()
    if not path.is_dir():
        raise InputError(f"{FOLDER}PATH must name an existing folder, but got {text}; correct the path")
    return path
