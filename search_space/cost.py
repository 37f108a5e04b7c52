"""The exact cost of an architecture, by folding its plan: no network is built and nothing is traced.

1 FLOP = 1 multiply-add of convolution and linear layers, as in both ShuffleNet papers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.plan import Branch, Layer, Plan, Unit, plan_of
from search_space.precision import BYTES_PER_ELEMENT, FP32, PRECISIONS, bytes_of_weights, kib

_FP32_BYTES = BYTES_PER_ELEMENT[FP32]


class LayerCost(NamedTuple):
    """What one layer, or one join of branches, costs for a batch of one.

    Bytes are those at fp32. `live_bytes` are the activations that must exist while it runs: its input, its output, and
    what later layers of the unit still need; what is element-wise writes over its input. `memory_access_bytes` is what
    it reads and writes (Ma 2018, sec. 2, G1): input, weights, output. Batch norms and activations count 0 there: at
    inference they are folded into the layer before them.
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
    """What an architecture costs for one image; `macs` and `params` are exact, biases and batch norms' included.

    `peak_bytes` is its RAM at fp32. `weights` and `biases` are what is left of the parameters at inference, with batch
    norms folded in.
    """

    macs: int
    params: int
    peak_bytes: int
    memory_access_bytes: int
    weights: int
    biases: int
    _plan: Plan = field(repr=False, compare=False)
    _resolution: int = field(repr=False, compare=False)

    def ram_bytes(self, precision: str) -> int:
        """The most bytes of activations that live at once: see `RAM_IS`."""
        return self.peak_bytes // _FP32_BYTES * BYTES_PER_ELEMENT[precision]

    def flash_bytes(self, precision: str) -> int:
        """The bytes of the weights: see `FLASH_IS`."""
        return bytes_of_weights(self.weights, self.biases, precision)

    @property
    def memory(self) -> dict[str, dict[str, int]]:
        """RAM and flash in bytes at each precision, as plain JSON values."""
        return {
            precision: {"ram_bytes": self.ram_bytes(precision), "flash_bytes": self.flash_bytes(precision)}
            for precision in PRECISIONS
        }

    @property
    def memory_text(self) -> str:
        """RAM and flash at each precision: "RAM 1,764 KiB, flash 8,869.2 KiB at fp32; ..."."""
        return "; ".join(
            f"RAM {kib(self.ram_bytes(precision))}, flash {kib(self.flash_bytes(precision))} at {precision}"
            for precision in PRECISIONS
        )

    @property
    def resolution(self) -> int:
        """The pixels of the image's height and width."""
        return self._resolution

    @property
    def layers(self) -> tuple[LayerCost, ...]:
        """The cost by layer, in order; every sum above is over these. Made when asked for: the sums need no names."""
        layers: list[LayerCost] = []
        for names, rows, kept in _costed(self._plan, self._resolution):
            for name, (place, position, kind, macs, params, live, access, channels, size, *_) in product(names, rows):
                bytes_ = _FP32_BYTES * (live + kept), _FP32_BYTES * access
                layers.append(LayerCost(f"{name}.{place}.{position}", kind, macs, params, *bytes_, channels, size))
        return tuple(layers)


def cost_of(
    architecture: Architecture,
    resolution: int = 224,
    num_classes: int = 1000,
    in_channels: int = 3,
    stem_stride: int = 4,
) -> Cost:
    """The cost of one image of (in_channels, resolution, resolution), in sum and by layer.

    Where the architecture has a resolution of its own, that counts. For `num_classes` = `NO_CLASSIFIER` it is the cost
    of the backbone, whose three maps are kept until all are there.

    Raises:
        InputError: a resolution below 1, or a task that no network can be planned for.
    """
    if type(resolution) is not int or resolution < 1:
        raise InputError(f"resolution must be a whole number of pixels of at least 1, got {resolution!r}")
    resolution = architecture.pixels(resolution)
    plan = plan_of(architecture, num_classes, in_channels, stem_stride)
    macs = params = peak = memory_access = weights = biases = 0
    for names, rows, kept in _costed(plan, resolution):
        _, _, _, unit_macs, unit_params, live, access, _, _, unit_weights, unit_biases = zip(*rows, strict=True)
        macs += len(names) * sum(unit_macs)
        params += len(names) * sum(unit_params)
        memory_access += len(names) * sum(access)
        peak = max(peak, kept + max(live))
        weights += len(names) * sum(unit_weights)
        biases += len(names) * sum(unit_biases)
    return Cost(macs, params, _FP32_BYTES * peak, _FP32_BYTES * memory_access, weights, biases, plan, resolution)


def counts_of(
    architecture: Architecture, resolution: int = 224, num_classes: int = 1000, in_channels: int = 3
) -> tuple[int, int]:
    """The multiply-adds and parameters alone, as `cost_of` counts them, in half the time: sizing asks for twenty."""
    plan = plan_of(architecture, num_classes, in_channels)
    macs, params, size = unit_sums(plan.stem, architecture.pixels(resolution))
    for first, *others in plan.stages:
        unit_macs, unit_params, size = unit_sums(first, size)
        macs, params = macs + unit_macs, params + unit_params
        if others:  # which are one object
            unit_macs, unit_params, size = unit_sums(others[0], size)
            macs, params = macs + len(others) * unit_macs, params + len(others) * unit_params
    for unit in filter(None, (plan.head, plan.classifier)):
        unit_macs, unit_params, size = unit_sums(unit, size)
        macs, params = macs + unit_macs, params + unit_params
    return macs, params


def unit_sums(unit: Unit, size: int) -> tuple[int, int, int]:
    """The multiply-adds and parameters of one unit whose input is `size` pixels high, and its output's size."""
    macs = params = 0
    size_out = size
    for chain in (*(branch.layers for branch in unit.branches), unit.tail):
        at = size_out if chain is unit.tail else size
        for layer in chain:
            kind, _, _, _, stride, _, _ = layer
            at = 1 if kind == "globalpool" else -(-at // stride)
            if kind in _COUNTED:
                layer_macs, layer_params, _, _ = _COUNTED[kind](layer, at * at)
                macs += layer_macs
                params += layer_params
        size_out = at if chain else size_out
    return macs, params, size_out


def unit_memory(unit: Unit, size: int, *, keeps_input: bool = False) -> tuple[int, int, int]:
    """The most elements that live in one unit whose input is `size` pixels high, and its weights and biases."""
    rows, _ = _unit_rows(unit, size, keeps_input)
    _, _, _, _, _, live, _, _, _, weights, biases = zip(*rows, strict=True)
    return max(live), sum(weights), sum(biases)


_Row = tuple[str, int, str, int, int, int, int, int, int, int, int]
"""A `LayerCost` named by place and position in its unit, in elements, not bytes, then its weights and biases: plain, a
search makes millions."""


_READS_A_MAP = ("stage3.0", "stage4.0")
"""The units whose input is what a stage before them gives out."""


def _costed(plan: Plan, resolution: int) -> Iterator[tuple[list[str], list[_Row], int]]:
    """Units that are alike and stand in a row: their names, the rows of one, and the elements of maps kept beside.

    Of a backbone each stage's map is one of its outputs: the next stage reads it, and it stays.
    """
    size, kept = resolution, 0
    is_backbone = plan.classifier is None
    runs: dict[int, tuple[Unit, list[str]]] = {}
    for name, unit in plan.units():
        runs.setdefault(id(unit), (unit, []))[1].append(name)
    for unit, names in runs.values():
        reads_map = is_backbone and names[0] in _READS_A_MAP
        rows, size_out = _unit_rows(unit, size, reads_map)
        yield names, rows, kept
        kept += unit.c_in * size * size if reads_map else 0
        size = size_out


def _unit_rows(unit: Unit, size: int, keeps_input: bool = False) -> tuple[list[_Row], int]:
    """The rows of one unit and the size of what it gives out. Branches run one after the other.

    Branches over some of the channels are given copies of those, and the unit's input is done with. Making these takes
    no more than the join, which reads as much as it writes.
    """
    rows: list[_Row] = []
    x = unit.c_in * size * size
    is_split = any(branch.stop - branch.start < unit.c_in for branch in unit.branches)
    done = c_out = 0
    size_out = size
    for number, branch in enumerate(unit.branches):
        if not branch.layers:
            c_out += branch.stop - branch.start
            continue
        others = [each for each in unit.branches[number + 1 :] if each.layers]
        held = _inputs(unit, others, size) if is_split else 0  # else they read what the first layer reads
        again = [*others, branch] if branch.residual else others
        held_later = x if keeps_input else _inputs(unit, again, size)
        place = f"branches.{number}"
        size_out = _chain_rows(rows, place, branch.layers, size, done + held, done + held_later)
        c_branch = branch.layers[-1].c_out
        elements = c_branch * size_out * size_out
        if branch.residual:
            live = done + held_later + elements
            rows.append((place, len(branch.layers), "add", 0, 0, live, 3 * elements, c_branch, size_out, 0, 0))
        done += elements
        c_out += c_branch
    if len(unit.branches) > 1:
        adds = unit.join == "add"
        c_out = unit.branches[0].layers[-1].c_out if adds else c_out
        joined = c_out * size_out * size_out
        live = done + (x if keeps_input else _inputs(unit, (), size)) + (0 if adds else joined)
        rows.append(("join", 0, unit.join, 0, 0, live, (3 if adds else 2) * joined, c_out, size_out, 0, 0))
    kept = x if keeps_input else 0
    _chain_rows(rows, "tail", unit.tail, size_out, kept, kept)
    return rows, size_out


def _inputs(unit: Unit, readers: Sequence[Branch], size: int) -> int:
    """The elements of the unit's input that these branches have yet to read, and those that pass to the join."""
    waiting = [*readers, *(branch for branch in unit.branches if not branch.layers)]
    widths = [branch.stop - branch.start for branch in waiting]
    shared = [width for width in widths if width == unit.c_in]
    return (sum(widths) - sum(shared) + max(shared, default=0)) * size * size


def _chain_rows(rows: list[_Row], place: str, layers: tuple[Layer, ...], size: int, held: int, held_later: int) -> int:
    """The size that a chain of layers gives out; adds its rows.

    `held` are the elements that are live beside the first layer's input and output, `held_later` beside the others'.
    """
    pixels_in = size * size
    for position, layer in enumerate(layers):
        kind, c_in, c_out, _, stride, _, _ = layer
        count, reads = _KINDS[kind]
        # With an odd kernel padded by kernel // 2 only the stride matters.
        size = 1 if kind == "globalpool" else -(-size // stride)
        pixels = size * size
        macs, params, weights, biases = count(layer, pixels)
        read = c_in * pixels_in
        written = c_out * pixels if reads else 0
        access = reads * read + written + weights
        # Squeeze-and-excitation scales its input in place; beside it live the means and what they are squeezed to.
        live = held + read + (c_out + layer.squeeze if kind == "se" else written)
        rows.append((place, position, kind, macs, params, live, access, c_out, size, weights, biases))
        pixels_in, held = pixels, held_later
    return size


def _conv(layer: Layer, pixels: int) -> tuple[int, int, int, int]:
    _, c_in, c_out, kernel, _, groups, _ = layer
    weights = kernel * kernel * (c_in // groups) * c_out
    return weights * pixels, weights, weights, 0


def _linear(layer: Layer, pixels: int) -> tuple[int, int, int, int]:
    weights = layer.c_in * layer.c_out
    return weights, weights + layer.c_out, weights, layer.c_out


def _se(layer: Layer, pixels: int) -> tuple[int, int, int, int]:
    weights = 2 * layer.c_in * layer.squeeze
    biases = layer.squeeze + layer.c_in
    return weights, weights + biases, weights, biases


def _batchnorm(layer: Layer, pixels: int) -> tuple[int, int, int, int]:
    return 0, 2 * layer.c_out, 0, layer.c_out  # of which one a channel is left, the bias it is folded into


def _free(layer: Layer, pixels: int) -> tuple[int, int, int, int]:
    return 0, 0, 0, 0


_Count = Callable[[Layer, int], tuple[int, int, int, int]]
_KINDS: dict[str, tuple[_Count, int]] = {
    "conv": (_conv, 1),
    "linear": (_linear, 1),
    "se": (_se, 2),
    "batchnorm": (_batchnorm, 0),
    "relu": (_free, 0),
    "hardswish": (_free, 0),
    "shuffle": (_free, 1),
    "maxpool": (_free, 1),
    "avgpool": (_free, 1),
    "globalpool": (_free, 1),
}
"""Kind -> its multiply-adds, parameters, weights, biases; and how often it goes through its input (0: folded away)."""
_COUNTED = {kind: count for kind, (count, _) in _KINDS.items() if count is not _free}
