"""The exact cost of an architecture, by folding its plan: no network is built and nothing is traced.

1 FLOP = 1 multiply-add of convolution and linear layers, as in both ShuffleNet papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.plan import Branch, Layer, Plan, Unit, plan_of

BYTES_PER_ELEMENT = 4
"""float32, for weights and activations."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer, or one join of branches, costs for a batch of one.

    `live_bytes` are the activations that must exist while it runs: its input, its output, and what later layers of the
    unit still need. `memory_access_bytes` is what it reads and writes (Ma 2018, sec. 2, G1): input, weights, output.
    Batch norms and activations count 0 there: at inference they are folded into the layer before them.
    """

    name: str
    kind: str
    macs: int
    params: int
    live_bytes: int
    memory_access_bytes: int
    channels: int
    size: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What an architecture costs for one image; `macs` and `params` are exact, biases and batch norms' included."""

    macs: int
    params: int
    peak_bytes: int
    memory_access_bytes: int
    layers: tuple[LayerCost, ...]


def cost_of(
    architecture: Architecture,
    resolution: int = 224,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem_stride: int = 4,
) -> Cost:
    """The cost of one image of (in_channels, resolution, resolution), in sum and by layer.

    Raises:
        InputError: a resolution below 1, or a task that no network can be planned for.
    """
    _check_resolution(resolution)
    rows: list[LayerCost] = []
    size = resolution
    for name, unit in plan_of(architecture, num_classes, in_channels, stem_stride).units():
        unit_rows, size = _unit_rows(name, unit, size)
        rows += unit_rows
    return Cost(
        macs=sum(row.macs for row in rows),
        params=sum(row.params for row in rows),
        peak_bytes=max(row.live_bytes for row in rows),
        memory_access_bytes=sum(row.memory_access_bytes for row in rows),
        layers=tuple(rows),
    )


def macs_and_params(plan: Plan, resolution: int) -> tuple[int, int]:
    """The two sums that budgets are made of, several times faster than `cost_of`: for solving widths."""
    size, macs, params = resolution, 0, 0
    for unit, count in _runs(plan):
        unit_macs, unit_params, size = unit_sums(unit, size)
        macs += unit_macs * count
        params += unit_params * count
    return macs, params


def unit_sums(unit: Unit, size: int) -> tuple[int, int, int]:
    """The multiply-adds and parameters of one unit whose input is `size` pixels high, and its output's size."""
    macs = params = 0
    size_out = size
    for branch in unit.branches:
        size_out = size
        for layer in branch.layers:
            size_out = _size_out(layer, size_out)
            kind = _KINDS[layer.kind]
            macs += kind.macs(layer, size_out * size_out)
            params += kind.params(layer)
    return macs, params, size_out


def _runs(plan: Plan) -> Iterator[tuple[Unit, int]]:
    """Units with how often they stand in a row; all but a stage's first keep the size of what comes in."""
    yield plan.stem, 1
    for stage in plan.stages:
        yield stage[0], 1
        if len(stage) > 1:
            yield stage[1], len(stage) - 1
    if plan.head is not None:
        yield plan.head, 1
    yield plan.classifier, 1


def _unit_rows(name: str, unit: Unit, size: int) -> tuple[list[LayerCost], int]:
    """The rows of one unit and the size of what it gives out. Branches run one after the other."""
    rows: list[LayerCost] = []
    x = unit.c_in * size * size
    passes = any(not branch.layers for branch in unit.branches)
    done = 0
    size_out = size
    for number, branch in enumerate(unit.branches):
        later = passes or branch.residual or number + 1 < len(unit.branches)
        branch_rows, size_out, elements = _branch_rows(
            f"{name}.branches.{number}", branch, size, x, done, x if later else 0
        )
        rows += branch_rows
        done += elements
    c_out = _width_out(unit)
    joined = c_out * size_out * size_out
    if len(unit.branches) > 1:
        access = done + x + joined if unit.join == "add" and passes else 2 * joined
        rows.append(_row(f"{name}.join", unit.join, done + (x if passes else 0) + joined, access, c_out, size_out))
    for number, layer in enumerate(unit.tail):
        rows.append(_layer_row(f"{name}.tail.{number}", layer, size_out, size_out, held=0))
    return rows, size_out


def _branch_rows(
    name: str, branch: Branch, size: int, x: int, done: int, x_later: int
) -> tuple[list[LayerCost], int, int]:
    """The rows of one branch, the size it gives out and the elements it leaves behind (0 where it only passes)."""
    rows: list[LayerCost] = []
    elements = 0
    for number, layer in enumerate(branch.layers):
        first = number == 0
        size_out = _size_out(layer, size)
        # The first layer reads the unit's input itself, which is live whole even where a slice of it is read.
        held = done + (x - layer.c_in * size * size if first else x_later)
        rows.append(_layer_row(f"{name}.{number}", layer, size, size_out, held))
        size = size_out
        elements = layer.c_out * size * size
    if branch.residual:
        c = branch.stop - branch.start
        rows.append(_row(f"{name}.add", "add", done + x_later + 2 * elements, 3 * elements, c, size))
    return rows, size, elements


def _layer_row(name: str, layer: Layer, size: int, size_out: int, held: int) -> LayerCost:
    kind = _KINDS[layer.kind]
    read, written = layer.c_in * size * size, layer.c_out * size_out * size_out
    live = read + held if kind.folded else read + written + held
    return LayerCost(
        name=name,
        kind=layer.kind,
        macs=kind.macs(layer, size_out * size_out),
        params=kind.params(layer),
        live_bytes=BYTES_PER_ELEMENT * live,
        memory_access_bytes=0 if kind.folded else BYTES_PER_ELEMENT * (kind.reads * read + written + kind.params(layer)),
        channels=layer.c_out,
        size=size_out,
    )


def _row(name: str, kind: str, live: int, access: int, channels: int, size: int) -> LayerCost:
    return LayerCost(name, kind, 0, 0, BYTES_PER_ELEMENT * live, BYTES_PER_ELEMENT * access, channels, size)


def _width_out(unit: Unit) -> int:
    widths = [branch.layers[-1].c_out if branch.layers else branch.stop - branch.start for branch in unit.branches]
    return widths[0] if unit.join == "add" else sum(widths)


def _size_out(layer: Layer, size: int) -> int:
    # With an odd kernel padded by kernel // 2 only the stride matters.
    return 1 if layer.kind == "globalpool" else -(-size // layer.stride)


def _check_resolution(resolution: int) -> None:
    if not isinstance(resolution, int) or resolution < 1:
        raise InputError(f"resolution must be a whole number of pixels of at least 1, got {resolution!r}")


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of layer is counted; `reads` is how often it goes through its input."""

    macs: Callable[[Layer, int], int]
    params: Callable[[Layer], int]
    reads: int = 1
    folded: bool = False


def _weights(layer: Layer) -> int:
    return layer.kernel * layer.kernel * layer.c_in // layer.groups * layer.c_out


def _nothing(layer: Layer, pixels: int = 0) -> int:
    return 0


_ACTIVATION = _Kind(_nothing, _nothing, folded=True)
_MOVE = _Kind(_nothing, _nothing)
_KINDS = {
    "conv": _Kind(lambda layer, pixels: pixels * _weights(layer), _weights),
    "linear": _Kind(lambda layer, pixels: _weights(layer), lambda layer: _weights(layer) + layer.c_out),
    "se": _Kind(
        lambda layer, pixels: 2 * layer.c_in * layer.squeeze,
        lambda layer: 2 * layer.c_in * layer.squeeze + layer.squeeze + layer.c_in,
        reads=2,
    ),
    "batchnorm": _Kind(_nothing, lambda layer: 2 * layer.c_out, folded=True),
    "relu": _ACTIVATION,
    "hardswish": _ACTIVATION,
    "shuffle": _MOVE,
    "maxpool": _MOVE,
    "avgpool": _MOVE,
    "globalpool": _MOVE,
}
