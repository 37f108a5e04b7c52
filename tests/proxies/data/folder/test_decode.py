"""Pixels as people see them: every format, the first frame, upright, on white; what a decoder raises, as text."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from proxies.data.folder import decode as module
from proxies.data.folder.decode import decode, is_image, suffixes

SIDE = 16
ORIENTATION = 0x0112


def quarters() -> np.ndarray:
    """An image, (h, w, c), whose quarters are red, green, blue and white."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[:8, :8], image[:8, 8:], image[8:, :8], image[8:, 8:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 255
    return image


def pixels(file: Path) -> np.ndarray:
    """The decoded image as (h, w, c)."""
    image = decode(file, SIDE)
    assert not isinstance(image, str), image
    return image.transpose(1, 2, 0)


FORMATS = (
    *("png", "webp", "bmp", "dib", "tif", "tiff", "gif", "jpg", "jpeg", "jfif", "jpe", "avif", "jp2", "j2k", "tga"),
    *("ppm", "pnm", "ico", "icns", "qoi", "pcx", "sgi", "dds", "apng", "JPG", "Png", "TIFF", "WebP"),
)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_that_pillow_writes_is_read(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"image.{suffix}"
    size = 256 if suffix == "icns" else SIDE
    Image.fromarray(quarters()).resize((size, size), Image.Resampling.NEAREST).save(file)
    assert is_image(file)
    corners = pixels(file)[2:-2:11, 2:-2:11].reshape(4, 3).astype(int)
    assert np.abs(corners - np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)])).max() < 40


def test_formats_that_pillow_only_recognises_or_has_a_program_run_are_none() -> None:
    assert not suffixes() & {".eps", ".ps", ".pdf", ".h5", ".hdf", ".grib", ".mpg", ".wmf", ".emf", ".heic", ".svg"}


# As a camera may have lain: how the upright image was turned before it was stored.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: np.rot90(image, 2).transpose(1, 0, 2),
    8: lambda image: np.rot90(image, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp", "jpg"])
def test_an_image_is_turned_upright_and_mirrored_back_by_its_exif(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    lossless = {"lossless": True} if suffix == "webp" else {"quality": 100, "subsampling": 0} if suffix == "jpg" else {}
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](quarters())))
    stored.save(tmp_path / f"image.{suffix}", exif=exif, **lossless)
    assert np.abs(pixels(tmp_path / f"image.{suffix}").astype(int) - quarters()).max() <= (9 if suffix == "jpg" else 0)


def test_a_large_jpeg_is_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    large = Image.fromarray(np.rot90(quarters(), 1)).resize((800, 800), Image.Resampling.NEAREST)
    large.save(tmp_path / "image.jpg", exif=exif, quality=95)
    found, expected = (image[2:-2:11, 2:-2:11].astype(int) for image in (pixels(tmp_path / "image.jpg"), quarters()))
    assert np.abs(found - expected).max() < 30


@pytest.mark.parametrize("exif", [b"II*\0\xff\xff\xff\xff", b"nonsense", b"MM\0*\0\0\0\x08\0\x09"])
def test_an_image_with_damaged_exif_is_read_as_it_lies(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(quarters()).save(tmp_path / "image.png", exif=b"Exif\0\0" + exif)
    with module.quiet():
        assert np.array_equal(pixels(tmp_path / "image.png"), quarters())


def rgba(alpha: int) -> Image.Image:
    """Noise on the left, hidden by so much alpha; blue on the right."""
    image = np.random.RandomState(0).randint(0, 256, (SIDE, SIDE, 4), np.uint8)
    image[:, :8, 3], image[:, 8:] = alpha, (0, 0, 255, 255)
    return Image.fromarray(image)


HIDDEN: dict[str, Callable[[Path], object]] = {
    "png": lambda file: rgba(0).save(file),
    "webp": lambda file: rgba(0).save(file, lossless=True, exact=True),
    "tif": lambda file: rgba(0).save(file),
    "tga": lambda file: rgba(0).save(file),
    "gif": lambda file: rgba(0).save(file),
    "ico": lambda file: rgba(0).save(file, sizes=[(SIDE, SIDE)]),
}


@pytest.mark.parametrize("suffix", HIDDEN)
def test_what_is_hidden_under_alpha_is_white(tmp_path: Path, suffix: str) -> None:
    HIDDEN[suffix](tmp_path / f"image.{suffix}")
    found = pixels(tmp_path / f"image.{suffix}")
    assert (found[:, :8] == 255).all()
    assert (found[:, 8:] == (0, 0, 255)).all()


def test_half_transparent_pixels_are_blended_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (SIDE, SIDE), (200, 0, 0, 128)).save(tmp_path / "image.png")
    Image.new("LA", (SIDE, SIDE), (0, 51)).save(tmp_path / "grey.png")
    # 255 - 128 / 255 * (255 - 200) = 227.4; 255 - 128 = 127; 255 - 51 = 204
    assert np.abs(pixels(tmp_path / "image.png")[0, 0].astype(int) - (227, 127, 127)).max() <= 1
    assert pixels(tmp_path / "grey.png")[0, 0].tolist() == [204, 204, 204]


def test_a_transparent_colour_of_a_palette_of_grey_and_of_rgb_is_white(tmp_path: Path) -> None:
    palette = Image.new("P", (SIDE, SIDE), 1)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.save(tmp_path / "one.png", transparency=1)
    palette.save(tmp_path / "several.png", transparency=b"\xff\x00")
    Image.new("L", (SIDE, SIDE), 7).save(tmp_path / "grey.png", transparency=7)
    Image.new("RGB", (SIDE, SIDE), (1, 2, 3)).save(tmp_path / "rgb.png", transparency=(1, 2, 3))
    for file in tmp_path.iterdir():
        assert (pixels(file) == 255).all(), file.name


@pytest.mark.parametrize("suffix", ["gif", "apng", "tif", "webp"])
def test_of_several_frames_or_pages_the_first_is_read(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    kind = {"format": "PNG"} if suffix == "apng" else {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"image.{suffix}", save_all=True, append_images=frames[1:], **kind)
    assert (pixels(tmp_path / f"image.{suffix}") == (255, 0, 0)).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_other_modes_of_eight_bits_become_colour(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (SIDE, SIDE), "white").convert(mode).save(tmp_path / "image.tif")
    assert (pixels(tmp_path / "image.tif") >= 254).all()


# What cannot be read


def big_comment(file: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "a" * 2_000_000, zip=True)
    Image.fromarray(quarters()).save(file, pnginfo=info)


def half(file: Path) -> None:
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (64, 64, 3), np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def huge(file: Path) -> None:
    """A PNG of a few bytes that says it is of 3.6 gigapixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 99)))


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "comment.png": (big_comment, "ValueError: Decompressed data too large"),
    "half.jpg": (half, "truncated"),
    "half.png": (half, "truncated"),
    "huge.png": (huge, "DecompressionBombError"),
    "empty.png": (lambda file: file.touch(), "it is empty"),
    "page.jpg": (lambda file: file.write_text("<html>"), "no image that Pillow can decode"),
    "script.jpg": (lambda file: file.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "no image that"),
    "grey.png": (lambda file: Image.new("I;16", (9, 9)).save(file), "more than 8 bits a channel"),
    "float.tif": (lambda file: Image.new("F", (9, 9)).save(file), "more than 8 bits a channel"),
    "gone.png": (lambda file: None, "No such file"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path: Path, name: str) -> None:
    make, reason = UNREADABLE[name]
    make(tmp_path / name)
    found = decode(tmp_path / name, SIDE)
    assert isinstance(found, str)
    assert reason in found
    assert "\n" not in found


ERRORS = (SyntaxError, struct.error, MemoryError, OverflowError, zlib.error, IndexError, RecursionError, AssertionError)


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_a_decoder_raises_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def raises(*_: object) -> None:
        raise error("damaged")

    Image.fromarray(quarters()).save(tmp_path / "image.png")
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", raises)
    assert decode(tmp_path / "image.png", SIDE) == f"{error.__name__}: damaged"


def test_a_file_whose_name_says_nothing_is_told_by_its_content(tmp_path: Path) -> None:
    for name in ("IMG_1", "photo.jpg_large", "photo.2021"):
        Image.fromarray(quarters()).save(tmp_path / name, format="JPEG")
        assert is_image(tmp_path / name)
    (tmp_path / "other.dat").write_bytes(b"\x00\x00\x02\x00 perhaps a TGA, perhaps not")
    assert not is_image(tmp_path / "other.dat")
