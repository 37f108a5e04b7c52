"""Decodes one image file to the pixels that people see: the first frame, upright, on white, RGB, of one size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

VERSION = "2"
"""Part of the cache's keys: raise it when decoding changes, so that no old cache is read."""
_NOT_DECODED = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
"""Pillow only recognises these, or has another program run them."""
_SURE = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PSD", "QOI")
"""Formats that begin in a way no other file does: known by content where a name says nothing."""
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by its EXIF orientation."""


@cache
def formats() -> tuple[str, ...]:
    """Returns Pillow's names of the formats that it decodes."""
    Image.init()
    return tuple(name for name in Image.ID if name not in _NOT_DECODED)


@cache
def suffixes() -> frozenset[str]:
    """Returns the suffixes of files in these formats, in lower case."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in formats())


def is_image(file: Path) -> bool:
    """Returns whether the file is an image by its suffix, or, where that says nothing, by how it begins."""
    if file.suffix.lower() in suffixes():
        return True
    try:
        with quiet(), Image.open(file, formats=[name for name in _SURE if name in formats()]):
            return True
    except Exception:  # decoders raise whatever they like
        return False


def decode(file: Path, size: int) -> NDArray[np.uint8] | str:
    """Returns the image, uint8 ``(3, size, size)``, or why it cannot be read, in words."""
    try:
        with Image.open(file, formats=formats()) as image:
            if image.mode[0] in "IF":  # converting these to RGB would clip nearly all their values to white
                return f"it has more than 8 bits a channel (mode {image.mode}); convert it"
            image.draft(None, (2 * size, 2 * size))  # a large JPEG then decodes far faster, at a fraction of its size
            image.load()
            return fit(_on_white(_upright(image)), size)
    except UnidentifiedImageError:
        return "it is empty" if file.stat().st_size == 0 else "it is no image that Pillow can decode here"
    except Exception as error:  # whatever a decoder raises, among it SyntaxError, struct.error and MemoryError
        text = " ".join(str(error).split())
        return text if text and isinstance(error, OSError) else f"{type(error).__name__}: {text}".removesuffix(": ")


@contextmanager
def quiet() -> Iterator[None]:
    """Pillow says nothing, in all threads, of what is wrong with files that it reads all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def fit(image: Image.Image, size: int | None) -> NDArray[np.uint8]:
    """Returns the image as ``(c, h, w)``; with a ``size``, its shorter side is resized to it and the centre kept."""
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF that is damaged; the pixels are not
        turn = None
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> Image.Image:
    """The image in RGB, blended on white where it is transparent, as pages show it."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    clear = image.convert("RGBA")
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, clear).convert("RGB")
