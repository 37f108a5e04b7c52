"""Which folders are splits and which are classes, from their names alone; what could be read in two ways is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from proxies.data.folder.known_names import (
    TEST,
    TRAIN,
    VALIDATION,
    are_images_and_labels,
    as_text,
    cannot_be_text,
    class_name,
    is_no_image,
    is_system_file,
    is_system_folder,
    is_usual_image,
    look_of,
    split_of,
    split_within,
)
from proxies.data.folder.left_out import CIRCLES, HIDDEN, NO_IMAGE, OUTSIDE, SYSTEM, LeftOut
from proxies.data.folder.tree import File, Folder
from search_space.errors import InputError

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders that hold the classes: to train on, to validate on and to test on, where there are the latter."""

    train: Folder
    validation: Folder | None = None
    test: Folder | None = None


def layout_of(root: Folder) -> Layout:
    """How the folder is laid out: folders of classes, or `train/`, `val/` and `test/` by their usual names with those.

    Raises:
        InputError: two folders are one split, one beside them is none, or there is none to train on.
    """
    splits = [each for each in root.folders if split_of(each.name)]
    # A folder "train" full of images, beside cars and planes, is a class: only class folders make it the split.
    if not any(each.folders for each in splits) and len(splits) < 2:
        return Layout(root)
    by_split: dict[str, Folder] = {}
    for each in splits:
        split = split_of(each.name) or ""
        if split in by_split:
            text = listed([by_split[split].name, each.name])
            raise InputError(
                f"a split must be one folder, but {as_text(root.path)} holds {text}, both for {_USES[split]}; "
                "join them, or move one out"
            )
        by_split[split] = each
    _refuse_what_is_beside(root, splits)
    if TRAIN not in by_split:
        text = listed(each.name for each in splits)
        raise InputError(f"splits need one to train on, but {as_text(root.path)} holds {text} and no train/; add it")
    return Layout(by_split[TRAIN], by_split.get(VALIDATION), by_split.get(TEST))


_USES: Mapping[str, str] = {TRAIN: "training", VALIDATION: "validation", TEST: "testing"}


def classes_of(split: Folder) -> dict[str, Folder]:
    """The folder of each class in a split, by the class's name, sorted.

    Raises:
        InputError: there are not two classes, one has a name that cannot be one, or the folders may be no classes.
    """
    classes: dict[str, Folder] = {}
    looks: set[str] = set()
    for each in split.folders:
        name = class_name(each.name)
        if reason := cannot_be_text(each.name):
            raise InputError(f"a class's name must be plain text, but {as_text(each.path)} {reason}; rename the folder")
        if look_of(name) in looks:
            raise InputError(
                f"a class must be one folder, but {as_text(split.path)} holds {as_text(name)} twice, in spellings that "
                "look the same; join the two, or rename one"
            )
        looks.add(look_of(name))
        classes[name] = each
    _refuse_too_few(split, classes)
    _refuse_doubtful(split, list(classes.values()))
    return dict(sorted(classes.items()))


def without_system(folder: Folder) -> tuple[Folder, LeftOut]:
    """The folder without hidden folders and files and what systems have put there, and how many files that were."""
    left_out = LeftOut()
    left_out.add(CIRCLES, "", folder.circles)
    kept = []
    for each in folder.folders:
        if is_system_folder(each.name):
            left_out.add(SYSTEM, as_text(each.name), sum(1 for _ in each.all_files()))
            continue
        inner, of_inner = without_system(each)
        kept.append(inner)
        left_out.add_all(of_inner)
    files = tuple(file for file in folder.files if not is_system_file(file.path.name))
    left_out.add(HIDDEN, "", len(folder.files) - len(files))
    return replace(folder, folders=tuple(kept), files=files, circles=0), left_out


def outside(root: Folder, layout: Layout) -> LeftOut:
    """The files that lie beside splits and classes."""
    left_out = LeftOut()
    splits = [split for split in (layout.train, layout.validation) if split is not None]
    held = [] if layout.train == root else [each for each in root.folders if split_of(each.name) is None]
    loose = [*(root.files if layout.train != root else ()), *(file for split in splits for file in split.files)]
    for file in [*loose, *(file for each in held for file in each.all_files())]:
        what = file.path.suffix.lower() if is_no_image(file.path.name) else ""
        left_out.add(NO_IMAGE if what else OUTSIDE, what)
    return left_out


def listed(names: Iterable[str]) -> str:
    """Such as "cat/, dog/ and 3 more"."""
    texts = [f"{as_text(name)}/" for name in names]
    shown, more = texts[:_MOST_NAMED], len(texts) - _MOST_NAMED
    rest = [f"{more} more"] if more > 0 else [shown.pop()] if len(shown) > 1 else []
    return " and ".join([", ".join(shown), *rest])


def _refuse_what_is_beside(root: Folder, splits: Sequence[Folder]) -> None:
    beside = [each.name for each in root.folders if each not in splits and _has_usual_images(each)]
    if beside:
        raise InputError(
            f"splits must hold all images, but beside {listed(each.name for each in splits)} {as_text(root.path)} "
            f"holds {listed(beside)}; move that into the splits, or out of the folder"
        )


def _refuse_too_few(split: Folder, classes: Mapping[str, Folder]) -> None:
    path = as_text(split.path)
    if not classes:
        loose = sum(1 for file in split.files if _may_be_image(file))
        held = f"{loose} files and none" if loose else "none"
        raise InputError(f"an image folder must hold a folder for each class, but {path} holds {held}; add them")
    if len(classes) > 1:
        return
    inner = _past_wrappers(split)
    cure = "add another"
    if sum(map(_is_full, inner.folders)) > 1:
        cure += f", or, if {as_text(inner.path)} is the data set, name that folder or move up what it holds"
    raise InputError(f"at least 2 classes are needed, but {path} holds only {', '.join(map(as_text, classes))}; {cure}")


def _refuse_doubtful(split: Folder, classes: Sequence[Folder]) -> None:
    path = as_text(split.path)
    if are_images_and_labels([each.name for each in classes]):
        raise InputError(
            f"images must lie in a folder for each class, but {path} holds {listed(each.name for each in classes)}, as "
            "data for detection or segmentation do; sort the images into classes, or name the folder that has these"
        )
    inner = [(each, listed(has.name for has in each.folders if split_of(has.name))) for each in classes if _split(each)]
    if inner:
        first, splits = inner[0]
        raise InputError(
            f"a split must stand above its classes, but {as_text(first.path)} holds {splits}; move its images to such "
            f"folders as train/{as_text(first.name)}/, or name it if it is a data set of its own"
        )
    deep = [each for each in classes if each.folders and not any(map(_may_be_image, each.files))]
    named = [each for each in classes if split_within(each.name)]
    if len({split_within(each.name) for each in named}) > 1 and (len(named) == len(classes) or set(named) <= set(deep)):
        text = listed(each.name for each in named)
        raise InputError(f"splits must be called train/, val/ and test/, but {path} holds {text}; rename them")
    if len(deep) == len(classes) and len(shared := _shared(classes)) > 1:
        raise InputError(
            f"folders beside each other must be classes, but all of {listed(each.name for each in classes)} in {path} "
            f"hold {listed(shared)}: if these are the classes, name one of the folders above, such as "
            f"{as_text(classes[0].path)}; else put each class's images into one folder"
        )


def _split(folder: Folder) -> bool:
    return any(split_of(each.name) and _is_full(each) for each in folder.folders)


def _shared(classes: Sequence[Folder]) -> list[str]:
    """The names of folders that all of these hold, past folders that hold but one."""
    names = [{each.name for each in _past_wrappers(folder).folders if _is_full(each)} for folder in classes]
    return sorted(set.intersection(*names))


def _past_wrappers(folder: Folder) -> Folder:
    """The first folder on the way down that holds more than one folder, or files."""
    while len(folder.folders) == 1 and not any(map(_may_be_image, folder.files)):
        folder = folder.folders[0]
    return folder


def _is_full(folder: Folder) -> bool:
    return any(map(_may_be_image, folder.all_files()))


def _has_usual_images(folder: Folder) -> bool:
    return any(is_usual_image(file.path.name) for file in folder.all_files())


def _may_be_image(file: File) -> bool:
    return not is_no_image(file.path.name)


def folders_within(classes: Mapping[str, Folder]) -> list[Path]:
    """The folders inside those of the classes, whose images are the class's too."""
    return [each.path for folder in classes.values() for each in folder.folders if _is_full(each)]
