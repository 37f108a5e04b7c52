import gzip
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from builders.places import BESIDE, ROOT
from PIL import Image

from proxies.data import fashion_mnist_12k, image_folder
from proxies.data.cache import cache_folder
from proxies.data.fashion_mnist_12k.rebuild import read_idx, rebuild
from proxies.data.load import ImageData, batches, crop, load, normalise
from proxies.data.names import TORCHVISION_SETS, check_name
from search_space.errors import InputError

FULL_SET = Path("/usr/share/datasets/fashion-mnist")
CIFAR_ZIP = BESIDE / "data/cifar10-25k.zip"
needs_full_set = pytest.mark.skipif(not FULL_SET.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
needs_cifar_zip = pytest.mark.skipif(not CIFAR_ZIP.is_file(), reason="shared/data/cifar10-25k.zip is not there")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def save_image(file: Path, shape: tuple[int, ...] = (40, 48, 3), seed: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(*shape, seed=seed).numpy()).save(file)


def fill(folder: Path, per_class: int = 6, classes: tuple[str, ...] = ("cat", "ant")) -> Path:
    for label, name in enumerate(classes):
        for row in range(per_class):
            save_image(folder / name / f"{row}.png", seed=100 * label + row)
    return folder


def load_folder(folder: Path, **options: object) -> ImageData:
    return load(f"folder:{folder}", cache=folder.parent / "cache", **options)  # type: ignore[arg-type]


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


def test_the_cache_folder_follows_xdg_cache_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/shufflenet-nas")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/shufflenet-nas"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"image_size": 7}, "8 or more pixels, but got 7"), ({"val_share": 1.0}, "between 0 and 1, but got 1.0")],
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


# folders


def test_a_folder_of_classes_becomes_square_colour_images(tmp_path: Path) -> None:
    data = load_folder(fill(tmp_path / "set"))
    assert data.classes == ("ant", "cat")
    assert data.train_images.shape == (10, 3, 32, 32)
    assert data.val_labels.tolist() == [0, 1]


def test_a_given_val_folder_is_used_as_it_is_and_test_is_never_touched(tmp_path: Path) -> None:
    fill(tmp_path / "set/train", per_class=3)
    fill(tmp_path / "set/val", per_class=5)
    (tmp_path / "set/test/cat").mkdir(parents=True)
    (tmp_path / "set/test/cat/broken.png").write_text("no image")
    data = load_folder(tmp_path / "set")
    assert data.train_labels.tolist() == [0] * 3 + [1] * 3
    assert data.val_labels.tolist() == [0] * 5 + [1] * 5


def test_without_a_val_folder_it_is_split_off_from_train(tmp_path: Path) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/test", classes=("other",))
    data = load_folder(tmp_path / "set")
    assert data.classes == ("ant", "cat")
    assert (len(data.train_labels), len(data.val_labels)) == (10, 2)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    assert load_folder(fill(tmp_path / "set", classes=("car", "train"))).classes == ("car", "train")


def test_hidden_and_other_files_are_ignored_and_folders_within_a_class_are_not(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    (folder / ".hidden").mkdir()
    (folder / "readme.txt").touch()
    (folder / "cat/labels.csv").touch()
    (folder / "cat/.9.png").touch()
    save_image(folder / "cat/.thumbs/9.png")
    save_image(folder / "cat/more/9.PNG")
    data = load_folder(folder)
    assert torch.cat([data.train_labels, data.val_labels]).bincount().tolist() == [6, 7]


def test_the_shorter_side_is_resized_and_the_centre_kept(tmp_path: Path) -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = (200, 100, 50)
    for name in ("ant", "cat"):
        for row in range(2):
            (tmp_path / "set" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(wide).save(tmp_path / "set" / name / f"{row}.png")
    assert load_folder(tmp_path / "set", image_size=16).train_images.unique().tolist() == [50, 100, 200]
    smaller = load_folder(tmp_path / "set", image_size=8).train_images
    assert smaller.shape == (2, 3, 8, 8)
    assert smaller[..., 1:-1].unique().tolist() == [50, 100, 200]  # at the edge, neighbours from beyond blend in


def test_images_of_the_right_size_keep_every_pixel_and_grey_ones_become_colour(tmp_path: Path) -> None:
    for name, shape in (("ant", (32, 32)), ("cat", (32, 32, 3))):
        for row in range(2):
            save_image(tmp_path / "set" / name / f"{row}.png", shape)
    data = load_folder(tmp_path / "set")
    assert torch.equal(data.train_images[0], noise(32, 32).expand(3, 32, 32))
    assert torch.equal(data.train_images[1], noise(32, 32, 3).permute(2, 0, 1))


def test_a_large_jpeg_keeps_its_colour(tmp_path: Path) -> None:
    for name, colour in (("ant", (200, 40, 90)), ("cat", (10, 250, 30))):
        (tmp_path / "set" / name).mkdir(parents=True)
        for row in range(2):
            Image.new("RGB", (1000, 700), colour).save(tmp_path / "set" / name / f"{row}.jpg")
    data = load_folder(tmp_path / "set")
    expected = torch.tensor([[200, 40, 90], [10, 250, 30]]).view(2, 3, 1, 1)
    assert (data.train_images.int() - expected).abs().max() <= 2


def remove_all(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()


def empty_class(folder: Path) -> None:
    (folder / "train/bee").mkdir()


def one_class(folder: Path) -> None:
    remove_all(folder / "train/ant")
    (folder / "train/ant").rmdir()


def lone_train_class(folder: Path) -> None:
    fill(folder / "train", classes=("bee",))


def lone_val_class(folder: Path) -> None:
    fill(folder / "val", classes=("bee",))


def no_image(folder: Path) -> None:
    (folder / "val/cat/bad.jpg").write_text("no image")


def half_an_image(folder: Path) -> None:
    content = (folder / "train/cat/0.png").read_bytes()
    (folder / "train/cat/bad.png").write_bytes(content[: len(content) // 2])


def deep_image(folder: Path) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint16)).save(folder / "train/cat/bad.png")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (remove_all, "must hold a folder for each class, but .*set holds none"),
        (empty_class, "a class needs JPEG or PNG images, but .*bee holds none"),
        (one_class, "at least 2 classes are needed, but .*train holds only cat"),
        (lone_train_class, "only train/ has bee"),
        (lone_val_class, "only val/ has bee"),
        (no_image, "must be readable, but .*bad.jpg is not"),
        (half_an_image, "must be readable, but .*bad.png is not"),
        (deep_image, "8 bits a channel, but .*bad.png has more"),
    ],
)
def test_a_broken_folder_is_explained_in_one_line(
    damage: Callable[[Path], None], complaint: str, tmp_path: Path
) -> None:
    fill(tmp_path / "set/train")
    fill(tmp_path / "set/val")
    damage(tmp_path / "set")
    with pytest.raises(InputError, match=rf"^(?-s:.*{complaint}.*; .*)\Z"):
        load_folder(tmp_path / "set")


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone does not"):
        image_folder.read_folder(tmp_path / "gone", 32)


# the cache


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def decode(file: Path, size: int, original: Callable[..., np.ndarray] = image_folder._decode) -> np.ndarray:
        names.append(file.name)
        return original(file, size)

    monkeypatch.setattr(image_folder, "_decode", decode)
    return names


def test_a_second_load_reads_the_cache_and_decodes_nothing(tmp_path: Path, decoded: list[str]) -> None:
    folder = fill(tmp_path / "set")
    first = load_folder(folder)
    assert len(set(decoded)) == 6
    decoded.clear()
    second = load_folder(folder)
    assert not decoded
    assert second.fingerprint == first.fingerprint
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".npy"]


def test_a_changed_file_a_new_file_and_another_size_renew_the_cache(tmp_path: Path, decoded: list[str]) -> None:
    folder = fill(tmp_path / "set")
    seen = {load_folder(folder).fingerprint}
    save_image(folder / "cat/0.png", seed=77)
    os.utime(folder / "cat/0.png", ns=(1, 1))
    seen.add(load_folder(folder).fingerprint)
    save_image(folder / "cat/new.png", seed=78)
    seen.add(load_folder(folder).fingerprint)
    seen.add(load_folder(folder, image_size=16).fingerprint)
    assert len(seen) == 4


def test_the_users_cache_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    load(f"folder:{fill(tmp_path / 'set')}")
    assert len(list((tmp_path / "home/shufflenet-nas").glob("images-*.npy"))) == 1


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(InputError, match=r"cache must be writable, but .*cache is not"):
        load_folder(fill(tmp_path / "set"))


@pytest.mark.slow
@needs_cifar_zip
def test_a_real_folder_of_20000_training_images_is_split_and_its_test_folder_left_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(CIFAR_ZIP) as archive:
        archive.extractall(tmp_path)
    for file in (tmp_path / "cifar10-25k/test").rglob("*.jpg"):
        file.write_bytes(b"no image: would raise if it were read")
    data = load_folder(tmp_path / "cifar10-25k")
    assert data.train_images.shape == (16_670, 3, 32, 32)
    assert data.val_labels.bincount().tolist() == [333] * 10
    assert data.classes[0] == "airplane"
    assert data.classes[9] == "truck"


# batches


def epoch(images: torch.Tensor, batch_size: int, seed: int = 0, pad: int = 2, flip: bool = True) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(images))
    return [
        part for pair in batches(images, labels, batch_size, generator=generator, pad=pad, flip=flip) for part in pair
    ]


def test_batches_without_crop_and_flip_are_a_permutation_of_the_images() -> None:
    images = noise(10, 3, 8, 8)
    parts = epoch(images, 4, pad=0, flip=False)
    labels = torch.cat(parts[1::2])
    assert [len(part) for part in parts[1::2]] == [4, 4, 2]
    assert labels.sort().values.tolist() == list(range(10))
    assert labels.tolist() != list(range(10))
    assert torch.equal(torch.cat(parts[0::2]), images[labels])


@pytest.mark.parametrize(("count", "sizes"), [(10, [4, 4, 2]), (9, [4, 4]), (8, [4, 4]), (1, [1])])
def test_a_last_batch_under_half_the_size_is_dropped_unless_it_is_the_only_one(count: int, sizes: list[int]) -> None:
    assert [len(labels) for labels in epoch(noise(count, 1, 8, 8), 4)[1::2]] == sizes


def test_a_crop_holds_the_pixels_that_a_loop_over_images_gives() -> None:
    images, pad = noise(30, 3, 6, 9), 2
    offsets = torch.randint(0, 2 * pad + 1, (2, 30), generator=torch.Generator().manual_seed(1))
    mirrored = torch.arange(30) % 2 == 0
    cropped = crop(images, offsets, mirrored, pad)
    assert cropped.dtype == torch.uint8
    for row in range(30):
        canvas = np.zeros((3, 10, 13), np.uint8)
        canvas[:, 2:8, 2:11] = images[row].numpy()
        top, left = offsets[:, row].tolist()
        expected = canvas[:, top : top + 6, left : left + 9]
        assert np.array_equal(cropped[row].numpy(), expected[:, :, ::-1] if mirrored[row] else expected)


def test_an_epoch_uses_every_offset_and_mirrors_half_the_images() -> None:
    image = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    image[..., 4, 3] = 255
    parts = epoch(image.expand(4000, -1, -1, -1), 100)
    _, _, rows, columns = torch.cat(parts[0::2]).nonzero(as_tuple=True)
    assert rows.unique().tolist() == [2, 3, 4, 5, 6]
    # At offsets 0 to 4 the pixel lies at column 5 to 1; mirrored, at 3 to 7. One in ten falls on each of 1, 2, 6, 7.
    assert columns.unique().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert abs((columns >= 6).sum().item() - 800) < 120
    unmirrored = torch.cat(epoch(image.expand(4000, -1, -1, -1), 100, flip=False)[0::2])
    assert unmirrored.nonzero(as_tuple=True)[3].unique().tolist() == [1, 2, 3, 4, 5]


def test_equal_seeds_give_equal_batches_and_others_do_not() -> None:
    images = noise(50, 3, 8, 8)
    first, again, other = epoch(images, 16), epoch(images, 16), epoch(images, 16, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_on_a_gpu_equal_those_on_the_cpu() -> None:
    images = noise(50, 3, 8, 8)
    on_gpu, on_cpu = epoch(images.cuda(), 16), epoch(images, 16)
    assert on_gpu[0].is_cuda
    assert all(torch.equal(a.cpu(), b) for a, b in zip(on_gpu, on_cpu, strict=True))


# normalising


def test_channel_stats_match_a_float_computation(tmp_path: Path) -> None:
    data = load_folder(fill(tmp_path / "set"))
    scaled = data.train_images.double() / 255
    mean, std = data.channel_stats
    assert mean == pytest.approx(scaled.mean(dim=(0, 2, 3)).tolist())
    assert std == pytest.approx(scaled.std(dim=(0, 2, 3), correction=0).tolist())


def test_normalising_by_the_channel_stats_gives_mean_0_and_deviation_1_in_channels_last() -> None:
    images = noise(200, 3, 8, 8) // torch.tensor([1, 2, 4], dtype=torch.uint8).view(1, 3, 1, 1)
    scaled = images.float() / 255
    out = normalise(images, scaled.mean(dim=(0, 2, 3)).tolist(), scaled.std(dim=(0, 2, 3)).tolist())
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert out.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert out.std(dim=(0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_normalising_leaves_its_input_alone_and_survives_a_constant_channel() -> None:
    images = torch.full((2, 1, 4, 4), 255, dtype=torch.uint8)
    assert normalise(images, (1.0,), (0.0,)).abs().max() < 1e-5
    assert images.unique().tolist() == [255]
    assert normalise(images, (0.5,), (0.25,)).unique().tolist() == [2.0]
