"""Drawings of a network as SVG: its units as slabs in a row, and what is inside one unit. Read from the plan alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from search_space.cost import LayerCost
from search_space.plan import Branch, Layer, Plan, Unit
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


def network_svg(plan: Plan, layers: Sequence[LayerCost], *, labels: bool = True) -> str:
    """The network as a row of slabs, one a unit: as tall as its output's resolution, as thick as its channels.

    `layers` are the plan's costs; heights and thicknesses go with the logarithm. With `labels` each block is named.
    """
    blocks: dict[str, list[_Slab]] = {}
    for slab in _slabs(plan, layers):
        blocks.setdefault(slab.block, []).append(slab)
    drawn, x = "", 0.0
    for name, slabs in blocks.items():
        widths = [_thickness(slab.channels) + _SLAB_GAP for slab in slabs]
        room = max(sum(widths), _LEAST_BLOCK) if labels else sum(widths)
        drawn += _block(name, slabs, x, labels)
        x += room + (_BLOCK_GAP if labels else 6)
    height = _TALLEST + (62 if labels else 0)
    size = f'width="{x:.0f}" height="{height}" ' if labels else ""
    return f'<svg {size}viewBox="0 0 {x:.0f} {height}" {_described(network_text(blocks))}>{drawn}</svg>'


def network_text(blocks: dict[str, list[_Slab]]) -> str:
    """The same in words."""
    return "; ".join(f"{name}: {', '.join(_block_lines(slabs))}" for name, slabs in blocks.items())


def unit_svg(unit: Unit) -> str:
    """What is inside a unit: its branches side by side, a box for each layer, the join, and what follows it.

    A batch norm follows every convolution and has no box; an activation stands in the box before it.
    """
    columns = [list(_boxes(branch)) for branch in unit.branches]
    tall = max(len(boxes) for boxes in columns)
    bottom = _TOP + tall * (_BOX + _GAP) + _GAP
    width = len(columns) * (_COLUMN + _GAP) - _GAP
    drawn = ""
    for number, (branch, boxes) in enumerate(zip(unit.branches, columns, strict=True)):
        drawn += _branch_svg(unit, branch, boxes, number * (_COLUMN + _GAP), bottom)
    y = bottom
    after = [_join_box(unit)] if len(columns) > 1 else []
    for box in [*after, *_merged(unit.tail)]:
        drawn += _box_svg(box, 0, y, width, height=24)
        y += 24 + 4
    return f'<svg width="{width}" height="{y}" viewBox="0 0 {width} {y}" {_described(unit_text(unit))}>{drawn}</svg>'


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


def _block(name: str, slabs: Sequence[_Slab], x: float, labels: bool) -> str:
    kind = {"stem": "spatial", "head": "dense", "classifier": "linear"}.get(name, "depthwise")
    drawn, at = "", x
    for slab in slabs:
        drawn += _slab_svg(slab, at, kind)
        at += _thickness(slab.channels) + _SLAB_GAP
    if labels:
        for number, line in enumerate([name, *_block_lines(slabs)]):
            fine = ' class="fine"' if number else ""
            drawn += f'<text{fine} x="{x:.1f}" y="{_TALLEST + 16 + 14 * number}">{escape(line)}</text>'
    return drawn


def _slab_svg(slab: _Slab, x: float, kind: str) -> str:
    height = _LOWEST + (_TALLEST - _LOWEST) * math.log2(slab.size_px) / math.log2(max(slab.size_px, _LARGEST_PX))
    place = f'x="{x:.1f}" y="{(_TALLEST - height) / 2:.1f}"'
    return f'<rect class="kind {kind}" {place} width="{_thickness(slab.channels):.1f}" height="{height:.1f}" rx="2"/>'


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


def _branch_svg(unit: Unit, branch: Branch, boxes: Sequence[_Box], x: int, bottom: int) -> str:
    middle = x + _COLUMN / 2
    drawn = f'<path class="wire" d="M{middle} {_TOP - 6}V{bottom}"/>'
    drawn += f'<text class="fine" x="{middle}" y="12" text-anchor="middle">{_came_in(unit, branch)}</text>'
    for number, box in enumerate(boxes):
        drawn += _box_svg(box, x, _TOP + _GAP // 2 + number * (_BOX + _GAP), _COLUMN, height=_BOX)
    return drawn


def _box_svg(box: _Box, x: int, y: int, width: int, height: int) -> str:
    drawn = f'<rect class="box" x="{x + 0.5}" y="{y + 0.5}" width="{width - 1}" height="{height - 1}" rx="5"/>'
    drawn += f'<rect class="kind {box.kind}" x="{x + 1}" y="{y + 1}" width="5" height="{height - 2}" rx="2"/>'
    two = bool(box.fine) and height >= _BOX
    drawn += f'<text x="{x + 13}" y="{y + (14 if two else height / 2 + 4):.0f}">{escape(box.text)}</text>'
    if two:
        drawn += f'<text class="fine" x="{x + 13}" y="{y + 27}">{escape(box.fine)}</text>'
    return drawn


def _described(text: str) -> str:
    return f'role="img" aria-label="{escape(text)}"'
