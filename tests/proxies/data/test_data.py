import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from builders.images import fill, load_folder, save_image
from builders.places import ROOT
from PIL import Image

from proxies.data import fashion_mnist_12k
from proxies.data.fashion_mnist_12k.rebuild import read_idx, rebuild
from proxies.data.load import ImageData, load
from proxies.data.names import TORCHVISION_SETS, check_name
from search_space.errors import InputError

FULL_SET = Path("/usr/share/datasets/fashion-mnist")
needs_full_set = pytest.mark.skipif(not FULL_SET.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")


@pytest.fixture(scope="module")
def embedded() -> ImageData:
    return load("fashion-mnist-12k")


# the names


def test_a_name_is_checked_without_importing_torch_or_pillow() -> None:
    code = (
        "import sys; from proxies.data.names import check_name; check_name('cifar10'); "
        "sys.exit(bool({'torch', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", ["", "cifar", "folder", "CIFAR10"])
def test_an_unknown_name_gets_the_list_of_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*fashion-mnist-12k, cifar10, [^\n]*, folder:PATH$"):
        check_name(name)


def test_a_folder_name_needs_a_path_to_an_existing_folder(tmp_path: Path) -> None:
    check_name(f"folder:{tmp_path}")
    (tmp_path / "file").touch()
    for text, complaint in {
        "": "needs a path",
        str(tmp_path / "file"): "existing",
        str(tmp_path / "no"): "existing",
    }.items():
        with pytest.raises(InputError, match=complaint):
            check_name(f"folder:{text}")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"image_size": 7}, "at least 8, got 7"),
        ({"image_size": 1025}, "at most 1024, got 1025"),
        ({"val_share": 1.0}, "between 0 and 1, but got 1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        load("fashion-mnist-12k", **options)  # type: ignore[arg-type]


# the embedded set


def test_the_embedded_set_has_1000_training_and_200_validation_images_of_each_class(embedded: ImageData) -> None:
    assert embedded.train_images.shape == (10_000, 1, 28, 28)
    assert embedded.val_images.shape == (2_000, 1, 28, 28)
    assert embedded.train_images.dtype == embedded.val_images.dtype == torch.uint8
    assert embedded.train_labels.bincount().tolist() == [1000] * 10
    assert embedded.val_labels.bincount().tolist() == [200] * 10
    assert (embedded.channels, embedded.num_classes, embedded.image_size) == (1, 10, 28)


def test_the_embedded_file_is_under_six_megabytes_and_has_its_licence_beside_it() -> None:
    folder = Path(fashion_mnist_12k.__file__).parent
    assert (folder / fashion_mnist_12k.FILE_NAME).stat().st_size < 6_000_000
    assert "Copyright © 2017 Zalando SE" in (folder / "LICENSE").read_text(encoding="utf-8")


def test_no_embedded_image_is_in_both_training_and_validation(embedded: ImageData) -> None:
    images = torch.cat([embedded.train_images, embedded.val_images])
    assert len({image.numpy().tobytes() for image in images}) == 12_000


@pytest.mark.slow
@needs_full_set
def test_rebuilding_gives_the_committed_bytes() -> None:
    committed = Path(fashion_mnist_12k.__file__).with_name(fashion_mnist_12k.FILE_NAME).read_bytes()
    assert rebuild(FULL_SET) == committed


@needs_full_set
def test_the_embedded_images_come_from_the_training_set_with_their_labels_and_none_from_the_test_set(
    embedded: ImageData,
) -> None:
    def pairs(images: np.ndarray, labels: np.ndarray) -> set[tuple[bytes, int]]:
        return {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}

    drawn = pairs(embedded.train_images.numpy(), embedded.train_labels.numpy())
    drawn |= pairs(embedded.val_images.numpy(), embedded.val_labels.numpy())
    full = pairs(read_idx(FULL_SET / "train-images-idx3-ubyte.gz"), read_idx(FULL_SET / "train-labels-idx1-ubyte.gz"))
    assert drawn <= full
    unseen = {image.tobytes() for image in read_idx(FULL_SET / "t10k-images-idx3-ubyte.gz")}
    assert not unseen & {image for image, _ in drawn}


def test_an_image_size_resizes_the_embedded_set_and_changes_its_fingerprint(embedded: ImageData) -> None:
    half = load("fashion-mnist-12k", image_size=14)
    assert half.train_images.shape == (10_000, 1, 14, 14)
    assert half.fingerprint != embedded.fingerprint
    # Halving keeps an image's mean brightness, but for the border.
    assert abs(half.channel_stats[0][0] - embedded.channel_stats[0][0]) < 0.01


def test_resized_data_has_smaller_images_and_is_else_the_same(embedded: ImageData) -> None:
    small = embedded.resized(14)
    assert small.train_images.shape == (10_000, 1, 14, 14)
    assert small.val_images.shape == (2_000, 1, 14, 14)
    assert small.train_images.dtype == torch.uint8
    assert (small.image_size, small.classes, small.fingerprint) == (14, embedded.classes, embedded.fingerprint)
    assert torch.equal(small.train_labels, embedded.train_labels)
    assert torch.equal(small.val_labels, embedded.val_labels)
    assert small.channel_stats != embedded.channel_stats, "they are those of the images that it holds"
    assert embedded.image_size == 28, "what it was made of is left as it was"


def test_data_of_that_size_is_itself(embedded: ImageData) -> None:
    assert embedded.resized(28) is embedded


def test_halved_images_are_what_pillow_makes_of_them(embedded: ImageData) -> None:
    small = embedded.resized(14)
    for number in range(20):
        theirs = Image.fromarray(embedded.val_images[number, 0].numpy()).resize((14, 14), Image.Resampling.BILINEAR)
        difference = small.val_images[number, 0].int() - torch.from_numpy(np.array(theirs)).int()
        assert difference.abs().max() <= 1


def test_the_fingerprint_depends_on_the_content_alone(tmp_path: Path) -> None:
    data = load_folder(fill(tmp_path / "one"))
    assert len(data.fingerprint) == 16
    assert load_folder(fill(tmp_path / "two")).fingerprint == data.fingerprint
    assert load_folder(fill(tmp_path / "three", classes=("dog", "ant"))).fingerprint != data.fingerprint
    assert load_folder(tmp_path / "one", seed=1).fingerprint != data.fingerprint


# torchvision's sets


@pytest.fixture
def fashion_root(tmp_path: Path) -> Path:
    raw = tmp_path / "FashionMNIST/raw"
    raw.mkdir(parents=True)
    for file in FULL_SET.glob("*.gz"):
        (raw / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return tmp_path


@pytest.mark.slow
@needs_full_set
def test_a_torchvision_set_is_its_training_split_divided_by_class(fashion_root: Path, embedded: ImageData) -> None:
    data = load("fashion-mnist", root=fashion_root)
    assert data.train_labels.bincount().tolist() == [5000] * 10
    assert data.val_labels.bincount().tolist() == [1000] * 10
    assert data.classes == embedded.classes
    official = read_idx(FULL_SET / "train-images-idx3-ubyte.gz")
    kept = sorted(image.numpy().tobytes() for image in torch.cat([data.train_images, data.val_images]))
    assert kept == sorted(image.tobytes() for image in official)


@pytest.mark.parametrize("name", TORCHVISION_SETS)
def test_a_missing_torchvision_set_names_the_folder_and_the_cure(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"^{name} must[^\n]*{tmp_path}[^\n]*--download[^\n]*$"):
        load(name, root=tmp_path)


def stand_in(monkeypatch: pytest.MonkeyPatch, dataset: object) -> None:
    """Puts ``dataset`` in the place of torchvision's SVHN, and checks what it is asked for."""

    def construct(root: Path, download: bool, split: str) -> object:
        assert (download, split) == (False, "train")
        return dataset

    monkeypatch.setattr(torchvision.datasets, "SVHN", construct)


def test_a_set_without_class_names_gets_its_label_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, [(Image.new("RGB", (32, 32), (row, 0, 0)), row % 3) for row in range(12)])
    data = load("svhn", val_share=0.25)
    assert data.classes == ("0", "1", "2")
    assert data.train_images.shape == (9, 3, 32, 32)
    assert (data.train_images[:, 0, 0, 0] % 3).tolist() == data.train_labels.tolist()


def test_a_set_of_unequal_images_needs_an_image_size(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, [(Image.new("RGB", (30 + row, 32)), row % 2) for row in range(8)])
    with pytest.raises(InputError, match="give an image size"):
        load("svhn")
    assert load("svhn", image_size=16).train_images.shape == (6, 3, 16, 16)


def test_a_failed_download_and_a_missing_package_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(error: Exception) -> Callable[..., object]:
        def construct(*_: object, **__: object) -> object:
            raise error

        return construct

    monkeypatch.setattr(torchvision.datasets, "SVHN", fail(RuntimeError("Error downloading:\nTried this\nand that")))
    with pytest.raises(InputError, match=r"^svhn must be downloadable [^\n]*Tried this and that[^\n]*$"):
        load("svhn", root=tmp_path, download=True)
    monkeypatch.setattr(torchvision.datasets, "SVHN", fail(ImportError("No module named 'scipy'")))
    with pytest.raises(InputError, match=r"^svhn needs a package that is missing \(No module named 'scipy'\)"):
        load("svhn", root=tmp_path)


# the split


def test_the_split_is_stratified_disjoint_and_complete(tmp_path: Path) -> None:
    for label, (name, count) in enumerate({"ant": 12, "bee": 6, "cat": 2}.items()):
        for row in range(count):
            save_image(tmp_path / name / f"{row}.png", (8, 8, 3), seed=100 * label + row)
    data = load(f"folder:{tmp_path}", image_size=8, cache=tmp_path / ".cache")
    assert data.val_labels.bincount().tolist() == [2, 1, 1]
    assert data.train_labels.bincount().tolist() == [10, 5, 1]
    assert len({image.numpy().tobytes() for image in torch.cat([data.train_images, data.val_images])}) == 20


def test_the_split_never_changes_for_a_seed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    first, again, other = load_folder(folder), load_folder(folder), load_folder(folder, seed=1)
    assert torch.equal(first.val_images, again.val_images)
    assert not torch.equal(first.val_images, other.val_images)


def test_a_class_of_one_image_is_too_small_to_split(tmp_path: Path) -> None:
    fill(tmp_path / "set")
    save_image(tmp_path / "set/bee/only.png")
    with pytest.raises(InputError, match="bee has 1 in all"):
        load_folder(tmp_path / "set")


@pytest.mark.parametrize(("path", "shown"), [("caf\udce9", r"caf\\xe9 is not UTF-8"), ("a\nb", r"a\\nb has control")])
def test_a_path_that_no_file_could_hold_as_text_is_refused(path: str, shown: str) -> None:
    with pytest.raises(InputError, match=shown):
        check_name(f"folder:{path}")
