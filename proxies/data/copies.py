"""Images that are the same, pixel by pixel, though they lie in several places: found by content, reported in lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxies.data.labelled import Labelled

_GRID = 8
"""Images are first compared by a grid of so many pixels a side."""


@dataclass(frozen=True, slots=True)
class Split:
    """Images by what they are for, such as "validation", with the names of their files, where these are known."""

    use: str
    labelled: Labelled
    files: Sequence[str] = ()

    def rows(self, use: str, chosen: NDArray[np.bool_]) -> Split:
        """The chosen ones, for this use."""
        files = [file for file, is_chosen in zip(self.files, chosen, strict=True) if is_chosen]
        return Split(use, self.labelled.rows(chosen), files)


@dataclass(frozen=True, slots=True)
class _Copy:
    split: Split
    row: int

    @property
    def file(self) -> str:
        return self.split.files[self.row] if self.split.files else ""

    @property
    def label(self) -> int:
        return int(self.split.labelled.labels[self.row])


def across(earlier: Split, later: Split) -> Iterator[str]:
    """The line for images of one split that stand in another one too; none where there are none."""
    groups = [group for group in _groups([earlier, later]) if {each.split.use for each in group} > {later.use}]
    if groups:
        count = sum(each.split is later for group in groups for each in group)
        pair = [next(each for each in groups[0] if each.split is split) for split in (earlier, later)]
        yield (
            f"{count} of {len(later.labelled.labels)} {later.use} images are {earlier.use} images too, pixel by pixel"
            f"{_such_as(pair)}: accuracy on them says too much; remove them"
        )


def within(splits: Sequence[Split]) -> Iterator[str]:
    """The lines for copies within each split, and for images that stand in two classes of any."""
    for split in splits:
        groups = list(_groups([split]))
        if groups:
            count = sum(len(group) - 1 for group in groups)
            total = len(split.labelled.labels)
            yield f"{count} of {total} {split.use} images are copies of others{_such_as(groups[0][:2])}"
    torn = [group for group in _groups(splits) if len({each.label for each in group}) > 1]
    if torn:
        first = torn[0][0]
        other = next(each for each in torn[0] if each.label != first.label)
        count = sum(map(len, torn))
        yield f"{count} images stand in several classes and are the same{_such_as([first, other])}; keep one of each"


def _such_as(pair: Sequence[_Copy]) -> str:
    return f", such as {' and '.join(each.file for each in pair)}" if all(each.file for each in pair) else ""


def _groups(splits: Sequence[Split]) -> Iterator[list[_Copy]]:
    """The images that are the same, two or more at a time."""
    alike: dict[bytes, list[_Copy]] = {}
    for split in splits:
        images = split.labelled.images
        step = max(1, images.shape[-1] // _GRID)
        for row, grid in enumerate(np.ascontiguousarray(images[:, :, ::step, ::step])):
            alike.setdefault(grid.tobytes(), []).append(_Copy(split, row))
    for rows in alike.values():
        if len(rows) > 1:
            same: dict[bytes, list[_Copy]] = {}
            for each in rows:
                same.setdefault(each.split.labelled.images[each.row].tobytes(), []).append(each)
            yield from (group for group in same.values() if len(group) > 1)
