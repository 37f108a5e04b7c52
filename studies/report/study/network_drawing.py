"""Drawings of a network: its units as slabs in a row, and what is inside one unit. Read from the plan alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from search_space.cost import LayerCost
from search_space.plan import Branch, Layer, Plan, Unit
from studies.report.study.drawing import Drawing, Shape
from studies.report.study.layer_rows import kind_of, text_of

_COLUMN, _BOX, _GAP, _TOP = 146, 34, 12, 24
_LEAST_BLOCK, _BLOCK_GAP, _SLAB_GAP = 92, 18, 3
_LOWEST, _TALLEST, _LARGEST_PX = 10, 118, 128
"""Slabs are this low for one pixel, and this tall for so many or more."""


class _Box(NamedTuple):
    """A box of a unit's drawing: what it is, what comes out of it, and its CSS class."""

    text: str
    fine: str
    kind: str


class _Slab(NamedTuple):
    block: str
    channels: int
    size_px: int


def network_drawing(plan: Plan, layers: Sequence[LayerCost], *, labels: bool = True) -> Drawing:
    """The network as a row of slabs, one a unit: as tall as its output's resolution, as thick as its channels.

    `layers` are the plan's costs; heights and thicknesses go with the logarithm. With `labels` each block is named.
    """
    blocks: dict[str, list[_Slab]] = {}
    for slab in _slabs(plan, layers):
        blocks.setdefault(slab.block, []).append(slab)
    shapes: list[Shape] = []
    x = 0.0
    for name, slabs in blocks.items():
        widths = [_thickness(slab.channels) + _SLAB_GAP for slab in slabs]
        room = max(sum(widths), _LEAST_BLOCK) if labels else sum(widths)
        shapes += _block(name, slabs, x, labels)
        x += room + (_BLOCK_GAP if labels else 6)
    height = _TALLEST + (62 if labels else 0)
    return Drawing(round(x), height, network_text(blocks), tuple(shapes), is_fluid=not labels)


def network_text(blocks: dict[str, list[_Slab]]) -> str:
    """The same in words."""
    return "; ".join(f"{name}: {', '.join(_block_lines(slabs))}" for name, slabs in blocks.items())


def unit_drawing(unit: Unit) -> Drawing:
    """What is inside a unit: its branches side by side, a box for each layer, the join, and what follows it.

    A batch norm follows every convolution and has no box; an activation stands in the box before it.
    """
    columns = [list(_boxes(branch)) for branch in unit.branches]
    tall = max(len(boxes) for boxes in columns)
    bottom = _TOP + tall * (_BOX + _GAP) + _GAP
    width = len(columns) * (_COLUMN + _GAP) - _GAP
    shapes: list[Shape] = []
    for number, (branch, boxes) in enumerate(zip(unit.branches, columns, strict=True)):
        shapes += _branch_shapes(unit, branch, boxes, number * (_COLUMN + _GAP), bottom)
    y = bottom
    after = [_join_box(unit)] if len(columns) > 1 else []
    for box in [*after, *_merged(unit.tail)]:
        shapes += _box_shapes(box, 0, y, width, height=24)
        y += 24 + 4
    return Drawing(width, y, unit_text(unit), tuple(shapes))


def unit_text(unit: Unit) -> str:
    """The same in words: "58 of 116 channels: passed on; 58 of 116 channels: 1x1 (58 channels, relu), ..."."""
    parts = [
        f"{_came_in(unit, branch)}: {', '.join(map(_words, _boxes(branch))) or 'passed on'}" for branch in unit.branches
    ]
    after = [_join_box(unit)] if len(parts) > 1 else []
    return "; ".join([*parts, *(box.text for box in [*after, *_merged(unit.tail)])])


def _slabs(plan: Plan, layers: Sequence[LayerCost]) -> Iterator[_Slab]:
    for name, _ in plan.units():
        last = [layer for layer in layers if layer.name.startswith(f"{name}.")][-1]
        yield _Slab(name.partition(".")[0].replace("stage", "stage "), last.channels, last.size)


def _thickness(channels: int) -> float:
    return max(4.0, 5 * math.log2(channels) - 14)


def _block(name: str, slabs: Sequence[_Slab], x: float, labels: bool) -> Iterator[Shape]:
    kind = {"stem": "spatial", "head": "dense", "classifier": "linear"}.get(name, "depthwise")
    at = x
    for slab in slabs:
        yield _slab_shape(slab, at, kind)
        at += _thickness(slab.channels) + _SLAB_GAP
    if labels:
        yield Shape("text", {"x": f"{x:.1f}", "y": _TALLEST + 16}, name)
        for number, line in enumerate(_block_lines(slabs), start=1):
            yield Shape("text", {"class": "fine", "x": f"{x:.1f}", "y": _TALLEST + 16 + 14 * number}, line)


def _slab_shape(slab: _Slab, x: float, kind: str) -> Shape:
    height = _LOWEST + (_TALLEST - _LOWEST) * math.log2(slab.size_px) / math.log2(max(slab.size_px, _LARGEST_PX))
    place = {"x": f"{x:.1f}", "y": f"{(_TALLEST - height) / 2:.1f}"}
    size = {"width": f"{_thickness(slab.channels):.1f}", "height": f"{height:.1f}"}
    return Shape("rect", {"class": f"kind {kind}", **place, **size, "rx": 2})


def _block_lines(slabs: Sequence[_Slab]) -> list[str]:
    last = slabs[-1]
    units = [f"{len(slabs)} units"] if len(slabs) > 1 else []
    return [*units, f"{last.channels} channels", f"{last.size_px} px"]


def _boxes(branch: Branch) -> Iterator[_Box]:
    yield from _merged(branch.layers)
    if branch.residual:
        yield _Box("add its input", "", "join")


def _merged(layers: Sequence[Layer]) -> list[_Box]:
    boxes: list[_Box] = []
    for layer in layers:
        if layer.kind == "batchnorm":
            continue
        if kind_of(layer) == "norm" and boxes:
            boxes[-1] = boxes[-1]._replace(fine=f"{boxes[-1].fine}, {text_of(layer)}")
        else:
            stride = f", stride {layer.stride}" if layer.stride > 1 else ""
            text = text_of(layer._replace(stride=1))
            boxes.append(_Box(text, f"{layer.c_out} channels{stride}", kind_of(layer)))
    return boxes


def _words(box: _Box) -> str:
    return f"{box.text} ({box.fine})" if box.fine else box.text


def _join_box(unit: Unit) -> _Box:
    return _Box({"concat": "concatenate"}.get(unit.join, unit.join), "", "join")


def _came_in(unit: Unit, branch: Branch) -> str:
    taken = branch.stop - branch.start
    return f"{taken} of {unit.c_in} channels" if taken < unit.c_in else f"{taken} channels"


def _branch_shapes(unit: Unit, branch: Branch, boxes: Sequence[_Box], x: int, bottom: int) -> Iterator[Shape]:
    middle = x + _COLUMN / 2
    yield Shape("path", {"class": "wire", "d": f"M{middle} {_TOP - 6}V{bottom}"})
    yield Shape("text", {"class": "fine", "x": middle, "y": 12, "text-anchor": "middle"}, _came_in(unit, branch))
    for number, box in enumerate(boxes):
        yield from _box_shapes(box, x, _TOP + _GAP // 2 + number * (_BOX + _GAP), _COLUMN, height=_BOX)


def _box_shapes(box: _Box, x: int, y: int, width: int, height: int) -> Iterator[Shape]:
    outline = {"x": x + 0.5, "y": y + 0.5, "width": width - 1, "height": height - 1}
    yield Shape("rect", {"class": "box", **outline, "rx": 5})
    edge = {"x": x + 1, "y": y + 1, "width": 5, "height": height - 2}
    yield Shape("rect", {"class": f"kind {box.kind}", **edge, "rx": 2})
    two = bool(box.fine) and height >= _BOX
    yield Shape("text", {"x": x + 13, "y": f"{y + (14 if two else height / 2 + 4):.0f}"}, box.text)
    if two:
        yield Shape("text", {"class": "fine", "x": x + 13, "y": y + 27}, box.fine)
