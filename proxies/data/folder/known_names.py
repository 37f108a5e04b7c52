"""What the names of files and folders tell: a split, the system's own, no image; and names that cannot be classes."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import PurePath

TRAIN, VALIDATION, TEST = "train", "validation", "test"

_SPLITS = {
    **dict.fromkeys(("train", "training", "trainval", "trn"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst"), TEST),
}
_AFTER_A_SPLIT = re.compile(r"(?<=.)(set|data|dataset|images|imgs|split)$")

_SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "@__thumb", "#recycle", "#snapshot", "~snapshot"),
        *("$recycle.bin", "recycler", "recycled", "system volume information", "lost+found", "found.000"),
        *("__macosx", "network trash folder", "temporary items", "_gsdata_"),
        *("thumbs", "thumbnails", "__thumbnails", "__pycache__", "node_modules"),
    }
)
"""In lower case. `trash` and `thumb` are not among them: data sets have classes of these names."""
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"})

_NO_IMAGES = frozenset(
    {
        *(".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".html", ".htm"),
        *(".ini", ".cfg", ".log", ".db", ".lst", ".py", ".sh", ".ipynb", ".pdf", ".url", ".nfo"),
        *(".xmp", ".aae", ".thm"),
    }
)
"""Texts, labels and what cameras leave beside a picture."""

_BESIDE = frozenset({".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".mov", ".mp4"})
"""What cameras keep of the moment of a picture: raw data and films."""

_USUAL = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".jp2"),
        *(".ppm", ".pgm", ".tga", ".heic", ".heif", ".cr2", ".cr3", ".nef", ".arw", ".dng"),
    }
)
"""What images usually end in, whether they are decoded here or not."""

_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that change the direction of what follows."""

_PICTURES = frozenset({"image", "images", "img", "imgs", "jpegimages"})
_LABELS = frozenset(
    {
        *("label", "labels", "annotation", "annotations", "mask", "masks", "gt", "groundtruth", "bboxes", "boxes"),
        *("imagesets", "segmentationclass", "segmentationobject"),
    }
)


def split_of(name: str) -> str | None:
    """The split that a folder of this name is, in whatever case: train, validation or test; None for another name."""
    letters = re.sub(r"[\s_.-]+|\d+$", "", name.casefold())
    return _SPLITS.get(letters) or _SPLITS.get(_AFTER_A_SPLIT.sub("", letters))


def split_within(name: str) -> str | None:
    """The split that a word within the name tells, as in `seg_train` and `Test2017`; None without one."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return next((_SPLITS[word.casefold()] for word in words if word.casefold() in _SPLITS), None)


def is_system_folder(name: str) -> bool:
    """Whether it is hidden, or holds what an operating system, a NAS or a viewer has put there."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FOLDERS


def is_system_file(name: str) -> bool:
    """Whether it is hidden, or an operating system's own."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FILES


def is_no_image(name: str) -> bool:
    """Whether the name says that it is a text or labels."""
    return PurePath(name).suffix.lower() in _NO_IMAGES


def is_usual_image(name: str) -> bool:
    """Whether the name ends as those of images do."""
    return PurePath(name).suffix.lower() in _USUAL


def is_beside_picture(name: str) -> bool:
    """Whether a camera keeps such a file beside the picture of the same name."""
    return PurePath(name).suffix.lower() in _BESIDE


def are_images_and_labels(names: list[str]) -> bool:
    """Whether these are the folders of data for detection or segmentation."""
    found = {re.sub(r"[\s_.-]+", "", name.casefold()) for name in names}
    return bool(found & _PICTURES) and bool(found & _LABELS)


def class_name(name: str) -> str:
    """The class that a folder of this name holds: spelt in one way, Unicode's NFC, whatever the disk has."""
    return unicodedata.normalize("NFC", name)


def look_of(name: str) -> str:
    """What of a class's name people can see: names of one look are refused beside each other."""
    return " ".join(re.sub("[\u00ad\u200b\u2060\ufeff]", "", class_name(name)).split())


def cannot_be_text(name: str) -> str | None:
    """Why the name of a class or a path cannot stand in tables, pages and files; None where it can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return "has control characters" if any(map(_is_control, name)) else None


def as_text(path: PurePath | str) -> str:
    """The path as any terminal and file takes it: what is not UTF-8, or would steer a terminal, is spelt out."""
    text = os.fsencode(path).decode(errors="backslashreplace")
    return "".join(each.encode("unicode_escape").decode() if _is_control(each) else each for each in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp") or character in _TURNING
