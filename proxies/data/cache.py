"""Where decoded and downloaded images are kept between runs: a help, never a duty.

What is kept is checked when it is read, written whole, made anew where it is damaged, and bounded in size.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from proxies.data.names import CACHE_VARIABLE
from search_space.errors import InputError
from search_space.files import replacing

MOST_BYTES = 10 * 10**9
"""Of all decoded images that are kept; those used last stay, and the newest at any rate."""
_FOLDER = "shufflenet-nas"
_CHUNK = 2**24
_IMAGES, _KEY = "images.npy", "key"


def cache_folder(given: Path | None = None) -> Path | None:
    """The folder for what is kept, which may not exist yet: the one given, else ``NAS_CACHE``, else the user's own.

    The user's own lies in ``XDG_CACHE_HOME`` or ``~/.cache``. None for a user without a home.
    """
    if given is None and (named := os.environ.get(CACHE_VARIABLE)):
        given = Path(named)
    if given is not None:
        with suppress(RuntimeError):  # a ~ whose home nobody knows stays one
            return given.expanduser()
        return given
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if shared.is_absolute():  # the specification leaves out any other
        return shared / _FOLDER
    try:
        home = Path.home()
        is_own = home.is_dir() and home != Path(home.anchor)  # containers say "/" for a user without a home
        return home / ".cache" / _FOLDER if is_own else None
    except (OSError, RuntimeError):  # nobody knows this user, as in a container that runs as any number
        return None


@dataclass(frozen=True, slots=True)
class Decoded:
    """What images are decoded from: whose they are, such as a folder's at a size, and their exact state, as texts."""

    source: str
    state: str

    def file_in(self, folder: Path) -> Path:
        """Where they are kept."""
        return folder / f"{self.start}{_digest(self.state)}.npz"

    @property
    def start(self) -> str:
        """What the names of files of the same source begin with, whatever its state."""
        return f"images-{_digest(self.source)[:16]}-"


def kept_images(
    decoded: Decoded, shape: tuple[int, ...], make: Callable[[], NDArray[np.uint8]], folder: Path | None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Returns the images, uint8 of that shape, and lines for the user: read from ``folder``, else made and kept there.

    ``make`` is called where there are none, or none that are whole. That they cannot be kept is said in a line.
    """
    if folder is None:
        return make(), (_not_kept("there is no home folder to keep them in"),)
    path = decoded.file_in(folder)
    lines: tuple[str, ...] = ()
    try:
        is_there = path.is_file()
        if not is_there and path.is_symlink() | path.exists():
            return make(), (_not_kept(f"{path} is no file"),)
    except OSError as error:
        return make(), (_not_kept(f"{folder} cannot be read ({error.strerror})"),)
    if is_there:
        try:
            images = _read(path, decoded, shape)
            with suppress(OSError):  # so that what is used is not taken for old
                os.utime(path)
            return images, ()
        except Exception as error:  # whatever a damaged file makes its readers raise
            reason = " ".join(str(error).split()) or type(error).__name__
            lines = (f"images that were kept in {path} are damaged ({reason}) and were decoded anew",)
    images = make()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, decoded, images)
    except (OSError, InputError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return images, (*lines, _not_kept(f"{folder} cannot be written to ({reason})"))
    _remove_old(folder, path, decoded)
    return images, lines


def _not_kept(reason: str) -> str:
    return f"images are decoded anew by each run, for {reason}; name another folder by --cache or {CACHE_VARIABLE}"


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _read(path: Path, decoded: Decoded, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The images in the file; whatever is raised says that they are not those, whole.

    Raises:
        ValueError: they are others, or of another shape.
        BadZipFile: a checksum is not that of what was written.
    """
    with zipfile.ZipFile(path) as archive:
        if archive.read(_KEY).decode() != _digest(decoded.source + decoded.state):
            raise ValueError("it holds other images")
        with archive.open(_IMAGES) as file:
            if npy.read_magic(file) != (1, 0):
                raise ValueError("it holds no images")
            found, is_fortran, dtype = npy.read_array_header_1_0(file)
            if (found, is_fortran, dtype) != (shape, False, np.dtype(np.uint8)):
                raise ValueError(f"it holds {found} of {dtype} for {shape} of uint8")
            images = np.empty(shape, np.uint8)
            flat, start = images.reshape(-1), 0
            while chunk := file.read(_CHUNK):  # at the very end the checksum is compared
                flat[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
                start += len(chunk)
    if start < flat.size:
        raise ValueError("it has another length")
    return images


def _write(path: Path, decoded: Decoded, images: NDArray[np.uint8]) -> None:
    with replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        archive.writestr(_KEY, _digest(decoded.source + decoded.state))
        with archive.open(_IMAGES, "w", force_zip64=True) as file:
            npy.write_array(file, np.ascontiguousarray(images), version=(1, 0), allow_pickle=False)


def _remove_old(folder: Path, newest: Path, decoded: Decoded) -> None:
    """Removes what was kept of the same source in another state, by versions before, and what is too much in all."""
    with suppress(OSError):  # what another process removes meanwhile need not be removed
        left = MOST_BYTES - newest.stat().st_size
        for file in sorted(folder.glob("images-*.np[yz]"), key=lambda file: -file.stat().st_mtime):
            if file == newest:
                continue
            left -= file.stat().st_size
            if left < 0 or file.suffix == ".npy" or file.name.startswith(decoded.start):
                file.unlink(missing_ok=True)
