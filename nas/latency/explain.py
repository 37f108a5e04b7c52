"""`python -m nas.latency explain`: where a network's time goes in ONNX Runtime, unit by unit, and which to change."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

from nas.cli.architectures import named_network
from nas.cli.command import check_folder, make_folder
from nas.cli.flags import precision_of, task_of
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import doing
from nas.cli.storage import storage_named
from nas.latency.flags import EXPLAINED_RUNTIME
from proxies.latency.existing_onnx import prepare_file
from proxies.latency.machine import device_facts, fingerprint
from proxies.latency.measure import prepare
from proxies.latency.process import Prepared
from proxies.latency.profile.blocks import Blocks
from proxies.latency.profile.findings import Unfilled, in_blocks, unfilled
from proxies.latency.profile.graph import RunNode, node_name
from proxies.latency.profile.parts import (
    PartTime,
    graph_parts,
    layer_times,
    ms_by_part,
    planned_parts,
    unit_times,
)
from proxies.latency.profile.take import Profile, profile_of
from proxies.latency.runtimes import RUNTIMES, check_runtime
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.files import write_json
from search_space.hand_designed import HandDesigned
from search_space.plan import NO_CLASSIFIER
from search_space.precision import FP32
from search_space.scratch import Scratch
from search_space.task import CLASSIFICATION, Task
from studies.latency.prior import ENOUGH, expected_latency, shipped_prior
from studies.ledger.latencies import Ledger, medians_of
from studies.storage.studies import ledger_to_read
from studies.text_table import table_text

FILE, SCHEMA = "explain.json", 1
NUMBERS = ("channels", "px", "MFLOPs", "FLOPs %", "ms", "time %", "fitted %", "time : FLOPs")
MOST_NAMED = 3
LEAST_SHARE = 0.005
"""What costs a smaller share of the time is counted, not shown."""
LAYOUT, PRECISION = "changes of layout", "changes of precision"
PRECISION_KINDS = ("QuantizeLinear", "DequantizeLinear", "Cast")


@dataclass(frozen=True, slots=True)
class Explained:
    """A network's profile, and its parts: by layer as they run, by unit, and channels that do not fill blocks.

    `unit_of` names the unit of each node of the file, `unit` is the architecture's, None of no architecture.
    """

    profile: Profile
    layers: tuple[PartTime, ...]
    units: tuple[PartTime, ...]
    findings: tuple[Unfilled, ...]
    unit_of: Mapping[str, str]
    unit: str | None


def explain(flags: argparse.Namespace) -> int:
    """The exit status of explaining a network with these flags."""
    _check_runtime(flags)
    network, title = _network(flags)
    own = None
    if flags.out:
        check_folder(flags.out)
        own = OwnFiles(flags.out, "nas.latency explain")
        own.check(FILE)
    fitted, fitted_to = _fitted(flags, network)
    explained = explain_network(network, fitted)
    if own:
        make_folder(flags.out)
        own.take(FILE)
        file = write_json(flags.out / FILE, _to_json(title, network, explained, fitted_to))
    _show(title, explained, fitted_to, flags.layers)
    if own:
        print(f"wrote {file}")
    return 0


@dataclass(frozen=True, slots=True)
class ToExplain:
    """What is explained: an architecture or a hand-designed network for a task, or an ONNX file as it is."""

    network: Architecture | HandDesigned | Path
    task: Task
    precision: str = FP32


def explain_network(network: ToExplain, fitted_ms: Mapping[str, float]) -> Explained:
    """The network profiled on this machine, beside the times that a model gives its layers (none for no model)."""
    with Scratch() as folder, doing("profiling"):
        prepared = _prepared(network, Path(folder, "network"))
        written = onnx.load(prepared.file, load_external_data=False)
        profile = profile_of(prepared)
    chosen, task = network.network, network.task
    if isinstance(chosen, Architecture):
        nodes = map(node_name, written.graph.node)
        parts = planned_parts(chosen, task.resolution, task.num_classes, nodes)
    else:
        parts = graph_parts(written)
    ms = ms_by_part(profile, parts, fitted_ms)
    layers = layer_times(parts, ms, fitted_ms)
    unit = chosen.unit if isinstance(chosen, Architecture) else None
    kinds = {parts.of(each): _added(each.node) for each in profile.nodes if not parts.all_of(each)}
    units = _merged(unit_times(parts, layers), kinds)
    unit_of = {node: parts.layers[layer].unit for node, layer in parts.of_node.items()}
    return Explained(profile, layers, units, tuple(unfilled(profile, parts)), unit_of, unit)


def _added(node: RunNode) -> str:
    """What a node is called that stands for no layer, together with others of its kind."""
    return LAYOUT if node.is_layout else PRECISION if node.kind in PRECISION_KINDS else node.kind


def _merged(units: Sequence[PartTime], kinds: Mapping[str, str]) -> tuple[PartTime, ...]:
    """The units, and what is of none of them as one part for each of its kinds."""
    rest = [unit for unit in units if unit.name not in kinds]
    sums: dict[str, list[float]] = {}
    for unit in units:
        if unit.name in kinds:
            both = sums.setdefault(kinds[unit.name], [0.0, 0.0])
            both[0] += unit.ms
            both[1] += unit.ms_share
    return (*rest, *(PartTime(kind, 0, 0, 0, 0.0, ms, share, None) for kind, (ms, share) in sums.items()))


def _prepared(network: ToExplain, stem: Path) -> Prepared:
    chosen, task = network.network, network.task
    if isinstance(chosen, Path):
        return prepare_file(chosen)
    if isinstance(chosen, Architecture):
        from proxies.backbone import deployed

        module = deployed(chosen, task.num_classes)
    else:
        from proxies.references.networks import build_reference

        module = build_reference(chosen.name, task.num_classes)
    return prepare(module, stem, resolution=task.resolution, precision=network.precision)


def _network(flags: argparse.Namespace) -> tuple[ToExplain, str]:
    """The network that the flags name, and what it is called.

    Raises:
        InputError: there is none, or it is not for that task.
    """
    task, precision = task_of(flags), precision_of(flags)
    if flags.network.endswith(".onnx"):
        given = flags.resolution, flags.classes, flags.task, flags.precision
        if given != (None, None, CLASSIFICATION, None):
            raise InputError(
                f"an ONNX file is explained as it is, got {flags.network!r}: leave --task, --resolution, --classes and "
                "--precision out"
            )
        return ToExplain(Path(flags.network), task), flags.network
    named = named_network(flags.network)
    chosen = named.network
    if isinstance(chosen, Architecture):
        chosen = task.deployed(chosen)
        task = task.of(chosen)
    elif task.num_classes == NO_CLASSIFIER:
        raise InputError(
            f"backbones are made of architectures of the space alone, and {flags.network!r} is a hand-designed "
            f"network: leave --task {flags.task} out"
        )
    of_precision = f", {precision}" if precision != FP32 else ""
    return ToExplain(chosen, task, precision), f"{named.name} at {task.description}{of_precision}"


def _check_runtime(flags: argparse.Namespace) -> None:
    """Refuses runtimes without a profile.

    Raises:
        InputError: there is no such runtime, or none of its nodes is timed here.
    """
    runtime, device, precision = flags.runtime, flags.device, precision_of(flags)
    check_runtime(runtime, device, precision)
    if (runtime, device) != (EXPLAINED_RUNTIME, "cpu"):
        raise InputError(
            f"only {EXPLAINED_RUNTIME} on the CPU says here what each node takes, got {runtime} on {device}: "
            "leave --runtime and --device out"
        )


def _fitted(flags: argparse.Namespace, network: ToExplain) -> tuple[Mapping[str, float], str]:
    """What each layer takes by a model, and what that is fitted to, in words: nothing for none of the space."""
    chosen, task = network.network, network.task
    if not isinstance(chosen, Architecture):
        return {}, ""
    fitted_to, prior = "the latencies that ship", shipped_prior(network.precision)
    if url := storage_named(flags):
        conditions: dict[str, str | int] = {
            **{"runtime": flags.runtime, "precision": RUNTIMES[flags.runtime].computes_in(network.precision)},
            **{"fingerprint": fingerprint(device_facts()), "resolution": task.resolution, "batch_size": 1},
        }
        found = Ledger(ledger_to_read(url), to_read=True).measurements(**conditions)
        if measured := [each for each in found if each.architecture and each.classes == task.num_classes]:
            architectures, latencies_ms = medians_of(measured)
            anchor_ms = measured[-1].latency.reference_ms
            model = expected_latency(architectures, latencies_ms, anchor_ms, task.resolution, task.num_classes, prior)
            own = f"networks measured on this device: {len(architectures)}"
            corrected = f"{fitted_to}, corrected by " if len(architectures) < ENOUGH else ""
            return model.ms_by_layer(chosen), corrected + own
        fitted_to += ", for none in the storage was measured alike on this device"
    return expected_latency((), (), 1.0, task.resolution, task.num_classes, prior).ms_by_layer(chosen), fitted_to


# What is printed


def _show(title: str, explained: Explained, fitted_to: str, with_layers: bool) -> None:
    profile = explained.profile
    print(f"{title}, onnxruntime {RUNTIMES['onnxruntime'].version()} on {device_facts()['processor']}, 1 thread")
    hidden = () if fitted_to else ("fitted %",)
    if with_layers:
        print(_table("layer", map(_cells, explained.layers), hidden))
    print(_table("unit", [*map(_cells, explained.units), _sum_cells(explained.units)], hidden))
    longer = 100 * (profile.profiled_ms / profile.plain_ms - 1)
    print(
        f"A run takes {profile.plain_ms:.3f} ms, and {profile.profiled_ms:.3f} ms with the profile, {longer:.0f} % "
        f"more ({profile.runs} runs in {profile.processes} processes). The profile's own "
        f"{1000 * profile.own_ms:.1f} microseconds in each of {len(profile.nodes)} nodes are taken off."
    )
    if fitted_to:
        print(f"fitted %: by {fitted_to}; the stem's holds what every call takes.")
    print("*: much time for its FLOPs.")
    for line in (*_slow(explained), *_layout(explained), *_blocks(explained)):
        print(line)


def _table(first: str, rows: Iterable[Sequence[str]], hidden: Collection[str]) -> str:
    """The rows under their headings, without the hidden columns."""
    columns = (first, *NUMBERS)
    shown = [number for number, name in enumerate(columns) if name not in hidden]
    return table_text([columns[n] for n in shown], ([row[n] for n in shown] for row in rows), NUMBERS)


def _cells(part: PartTime) -> tuple[str, ...]:
    return tuple(_texts(part))


def _texts(part: PartTime) -> Iterator[str]:
    ratio = part.ms_share / part.macs_share if part.macs_share else None
    yield part.name
    yield from (f"{part.channels}", f"{part.size_px}") if part.channels else ("", "")
    yield from (f"{part.macs / 1e6:.2f}", f"{100 * part.macs_share:.1f}") if part.macs else ("", "")
    yield from (f"{part.ms:.3f}", f"{100 * part.ms_share:.1f}") if part.ms else ("fused", "")
    yield "" if part.fitted_share is None else f"{100 * part.fitted_share:.1f}"
    yield "" if ratio is None else f"{ratio:.1f}{' *' if part.takes_much else '  '}"


def _sum_cells(parts: Sequence[PartTime]) -> tuple[str, ...]:
    macs, ms = sum(part.macs for part in parts), sum(part.ms for part in parts)
    shares = [100 * sum(part.macs_share for part in parts), 100 * sum(part.ms_share for part in parts)]
    fitted = 100 * sum(part.fitted_share or 0.0 for part in parts)
    return (
        "sum",
        "",
        "",
        f"{macs / 1e6:.2f}",
        f"{shares[0]:.1f}",
        f"{ms:.3f}",
        f"{shares[1]:.1f}",
        f"{fitted:.1f}",
        "",
    )


def _slow(explained: Explained) -> Iterator[str]:
    slow = [unit for unit in explained.units if unit.takes_much and unit.channels]
    slow.sort(key=lambda unit: unit.macs_share - unit.ms_share)
    if slow:
        named = ", ".join(
            f"{unit.name} ({100 * unit.ms_share:.1f} % of the time, {100 * unit.macs_share:.1f} % of the FLOPs)"
            for unit in slow[:MOST_NAMED]
        )
        yield f"Most time beyond their FLOPs: {named}."


def _layout(explained: Explained) -> Iterator[str]:
    moved = [each for each in explained.profile.nodes if each.node.is_layout]
    if not moved:
        return
    by_unit: dict[str, float] = {}
    for each in moved:
        unit = explained.unit_of.get(each.node.beside, each.node.beside)
        by_unit[unit] = by_unit.get(unit, 0.0) + each.ms
    most = sorted(by_unit.items(), key=lambda pair: -pair[1])[:MOST_NAMED]
    named = ", ".join(f"{unit} {ms:.3f} ms" for unit, ms in most)
    yield (
        f"Changes of layout (nodes: {len(moved)}): convolutions take maps in another order of values, in blocks of "
        f"channels or with channels last, than shuffles, slices and joins do. Most for {named}."
    )


def _blocks(explained: Explained) -> Iterator[str]:
    blocks, total_ms = explained.profile.blocks, explained.profile.nodes_ms
    if not in_blocks(explained.profile):
        why = "in int8" if blocks.size > 1 else "on this machine"
        yield f"Blocks: ONNX Runtime computes convolutions {why} without blocks of channels."
        return
    yield (
        f"Blocks: ONNX Runtime computes {blocks.size} channels at a time on this machine, where they are a multiple of "
        f"{blocks.step}; a grouped convolution where each group fills blocks."
    )
    least = LEAST_SHARE * total_ms
    shown = [each for each in explained.findings if each.most_ms > least]
    for each in shown:
        yield f"- {finding_text(each, blocks, total_ms)}"
    if rest := len(explained.findings) - len(shown):
        yield f"- {rest} more cost less than {100 * LEAST_SHARE:.1f} % each"
    if shown and explained.unit is not None:
        yield f"These are channels of layers: {_WIDTHS[explained.unit]}."


def finding_text(found: Unfilled, blocks: Blocks, total_ms: float) -> str:
    """What does not fill the blocks, what that costs of `total_ms`, and which channels would, in a sentence."""
    where = found.units[0] if len(found.units) == 1 else f"{found.units[0]} to {found.units[-1]}"
    kind = _WORDS.get(found.kind, f"{found.kind} convolution")
    what = f"{where}, {f'{found.layers} {kind}s' if found.layers > 1 else kind}"
    lost = f"about {found.lost_ms:.3f} ms lost, {100 * found.lost_ms / total_ms:.1f} % of the time"
    channels = next((each for each in found.channels if each % blocks.size), found.channels[0])
    if found.filled:
        pairs = " and ".join(f"{a} channels as {b}" for a, b in zip(found.channels, found.filled, strict=True))
        more = f"{100 * found.more:.0f} % more multiply-adds"
        return f"{what}: computed with {pairs}, {more}, {lost}; {_multiples(channels, blocks.size)} fill blocks"
    line = f"{what}: {found.why or 'for a reason not known here'}, so without blocks, {found.ms:.3f} ms"
    if found.times is not None:
        of = "value" if found.kind in _WORDS else "multiply-add"
        line += f", {found.times:.1f} times as long a {of} as in blocks, {lost}"
    if found.kind.startswith("grouped"):
        return f"{line}; groups of {_multiples(min(found.channels), blocks.size)} fill blocks"
    if found.kind in _WORDS:
        return f"{line}; {_multiples(channels, blocks.size)} fill blocks"
    return f"{line}; {_multiples(channels, blocks.step)} run in blocks, {_multiples(channels, blocks.size)} fill them"


_WIDTHS = {
    "v1": "a V1 unit's are its stage's width times the bottleneck within, and the width behind it",
    "v2": "a V2 unit's are its stage's width times the split in the main branch, and the rest in the other",
}
"""What the channels of layers are of a stage's width."""
_WORDS = {"maxpool": "max pool", "avgpool": "average pool"}


def _multiples(channels: int, of: int) -> str:
    """The multiples around so many channels: "112 or 128"."""
    below = channels // of * of
    return f"{below} or {below + of}" if below else f"{below + of}"


# What is kept


def _to_json(title: str, network: ToExplain, explained: Explained, fitted_to: str) -> dict[str, Any]:
    """All that is printed, as plain JSON."""
    profile, chosen = explained.profile, network.network
    return {
        "schema": SCHEMA,
        "network": title,
        "architecture": chosen.to_dict() if isinstance(chosen, Architecture) else None,
        "task": None if isinstance(chosen, Path) else asdict(network.task),
        "precision": network.precision,
        "runtime": EXPLAINED_RUNTIME,
        "runtime_version": RUNTIMES[EXPLAINED_RUNTIME].version(),
        "device": device_facts()["processor"],
        "fingerprint": fingerprint(device_facts()),
        "fitted_to": fitted_to or None,
        "blocks": asdict(profile.blocks),
        "nodes_ms": profile.nodes_ms,
        **{key: getattr(profile, key) for key in ("own_ms", "plain_ms", "profiled_ms", "runs", "processes")},
        "units": [asdict(part) for part in explained.units],
        "layers": [asdict(part) for part in explained.layers],
        "nodes": [{**asdict(each.node), "ms": each.ms, "told_ms": each.told_ms} for each in profile.nodes],
        "not_in_whole_blocks": [{**asdict(each), "lost_ms": each.lost_ms} for each in explained.findings],
    }
