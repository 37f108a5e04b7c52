"""`python -m nas.latency explain`: where a network's time goes in ONNX Runtime, unit by unit, and which to change."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nas.cli.architectures import named_architecture
from nas.cli.command import check_folder, make_folder
from nas.cli.flags import precision_of, task_of
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import doing
from nas.cli.storage import storage_named
from nas.latency.flags import EXPLAINED_RUNTIME
from proxies.latency.machine import device_facts, fingerprint
from proxies.latency.measure import prepare
from proxies.latency.profile.blocks import Blocks
from proxies.latency.profile.findings import Unfilled, unfilled
from proxies.latency.profile.graph import LAYOUT
from proxies.latency.profile.take import NodeTime, Profile, profile_of
from proxies.latency.runtimes import RUNTIMES, check_runtime
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.errors import InputError
from search_space.files import write_json
from search_space.plan import Plan, plan_of, unit_of
from search_space.precision import INT8
from search_space.scratch import Scratch
from search_space.task import Task
from studies.latency.model import ExpectedLatency
from studies.latency.prior import expected_latency
from studies.latency.unit_times import PartTime, layer_times, unit_times
from studies.ledger.latencies import Ledger, medians_of
from studies.storage.studies import ledger_to_read
from studies.text_table import table_text

FILE, SCHEMA = "explain.json", 1
NUMBERS = ("channels", "px", "MFLOPs", "FLOPs %", "ms", "time %", "fitted %", "time : FLOPs")
MOST_NAMED = 3
LEAST_SHARE = 0.005
"""What costs a smaller share of the time is counted, not shown."""
LAYOUT_NAME = "changes of layout"


@dataclass(frozen=True, slots=True)
class Explained:
    """A network's profile, and its parts: by layer as they run, by unit, and channels that do not fill blocks."""

    profile: Profile
    layers: tuple[PartTime, ...]
    units: tuple[PartTime, ...]
    findings: tuple[Unfilled, ...]


def explain(flags: argparse.Namespace) -> int:
    """The exit status of explaining a network with these flags."""
    _check_runtime(flags)
    task = task_of(flags)
    name, architecture = named_architecture(flags.network)
    architecture = task.deployed(architecture)
    task = replace(task, resolution=architecture.resolution or task.resolution)
    own = None
    if flags.out:
        check_folder(flags.out)
        own = OwnFiles(flags.out, "nas.latency explain")
        own.check(FILE)
    model, fitted_to = _model(flags, task)
    explained = explain_network(architecture, task, model)
    if own:
        make_folder(flags.out)
        own.take(FILE)
        file = write_json(flags.out / FILE, _to_json(name, architecture, task, explained, fitted_to))
    _show(f"{name} at {task.description}", explained, fitted_to, flags.layers)
    if own:
        print(f"wrote {file}")
    return 0


def explain_network(architecture: Architecture, task: Task, model: ExpectedLatency) -> Explained:
    """The network profiled on this machine, beside the times that the model gives its layers."""
    from proxies.backbone import deployed

    with Scratch() as folder, doing("profiling"):
        network = deployed(architecture, task.num_classes)
        profile = profile_of(prepare(network, Path(folder, "network"), resolution=task.resolution))
    plan = plan_of(architecture, task.num_classes)
    costs = cost_of(architecture, task.resolution, task.num_classes).layers
    macs = {layer.name: layer.macs for layer in costs}
    work = {layer.name: layer.macs or layer.channels * layer.size**2 for layer in costs}
    fitted = {layer for layer, ms in model.ms_by_layer(architecture).items() if ms}
    parts = ms_by_part(profile, plan, macs, fitted)
    added = {each: ms for each, ms in parts.items() if unit_of(each) not in dict(plan.units())}
    by_kind: dict[str, float] = {each: ms for each, ms in parts.items() if each not in added}
    for node in profile.nodes:
        if node.ms and (part := _part_of(node, plan, macs)) in added:
            kind = LAYOUT_NAME if node.node.kind in LAYOUT else part
            by_kind[kind] = by_kind.get(kind, 0.0) + node.ms
    return Explained(
        profile,
        layer_times(architecture, parts, model),
        unit_times(architecture, by_kind, model),
        tuple(unfilled(profile, dict(plan.layers()), work)),
    )


def ms_by_part(profile: Profile, plan: Plan, macs: Mapping[str, int], fitted: Collection[str] = ()) -> dict[str, float]:
    """The milliseconds of each layer as the network runs, and of each node that stands for none.

    A node that computes several layers counts as the one with multiply-adds, or the first. Of the others those that are
    `fitted` a time have 0 ms.
    """
    from proxies.onnx_graph import layer_of

    parts: dict[str, float] = {}
    for each in profile.nodes:
        part = _part_of(each, plan, macs)
        parts[part] = parts.get(part, 0.0) + each.ms
        for written in each.node.does:
            if (layer := layer_of(written, plan)) in fitted:
                parts.setdefault(layer, 0.0)
    return parts


def _part_of(each: NodeTime, plan: Plan, macs: Mapping[str, int]) -> str:
    from proxies.onnx_graph import layer_of

    node = each.node
    layers = [layer for written in node.does if (layer := layer_of(written, plan))]
    if layers:
        return next((layer for layer in layers if macs.get(layer)), layers[0])
    side = "after" if node.kind == "ReorderOutput" else "before"
    return f"{node.kind} {side} {node.beside}" if node.beside else node.name


def _check_runtime(flags: argparse.Namespace) -> None:
    """Refuses runtimes without a profile.

    Raises:
        InputError: there is no such runtime, or none of its nodes is timed here.
    """
    runtime, device, precision = flags.runtime, flags.device, precision_of(flags)
    check_runtime(runtime, device, precision)
    if precision == INT8:
        raise InputError("networks are explained in fp32 so far, got --precision int8: leave it out")
    if (runtime, device) != (EXPLAINED_RUNTIME, "cpu"):
        raise InputError(
            f"only {EXPLAINED_RUNTIME} on the CPU says here what each node takes, got {runtime} on {device}: "
            "leave --runtime and --device out"
        )


def _model(flags: argparse.Namespace, task: Task) -> tuple[ExpectedLatency, str]:
    """What shares out the latency, and what that is fitted to, in words."""
    if url := storage_named(flags):
        conditions: dict[str, str | int] = {
            **{"runtime": flags.runtime, "precision": RUNTIMES[flags.runtime].precision},
            **{"fingerprint": fingerprint(device_facts()), "resolution": task.resolution, "batch_size": 1},
        }
        found = Ledger(ledger_to_read(url), to_read=True).measurements(**conditions)
        measured = [each for each in found if each.architecture and each.classes == task.num_classes]
        if measured:
            architectures, latencies_ms = medians_of(measured)
            anchor_ms = measured[-1].latency.reference_ms
            model = expected_latency(architectures, latencies_ms, anchor_ms, task.resolution, task.num_classes)
            return model, f"{len(architectures)} networks measured on this device"
    none = "" if url is None else ", for none in the storage was measured alike on this device"
    return expected_latency((), (), 1.0, task.resolution, task.num_classes), f"the latencies that ship{none}"


# What is printed


def _show(title: str, explained: Explained, fitted_to: str, with_layers: bool) -> None:
    profile = explained.profile
    print(f"{title}, onnxruntime {RUNTIMES['onnxruntime'].version()} on {device_facts()['processor']}, 1 thread")
    if with_layers:
        print(table_text(("layer", *NUMBERS), map(_cells, explained.layers), NUMBERS))
    print(table_text(("unit", *NUMBERS), [*map(_cells, explained.units), _sum_cells(explained.units)], NUMBERS))
    longer = 100 * (profile.profiled_ms / profile.plain_ms - 1)
    print(
        f"A run takes {profile.plain_ms:.3f} ms, and {profile.profiled_ms:.3f} ms with the profile, {longer:.0f} % "
        f"more ({profile.runs} runs in {profile.processes} processes). The profile's own "
        f"{1000 * profile.own_ms:.1f} microseconds in each of {len(profile.nodes)} nodes are taken off."
    )
    print(f"fitted %: by {fitted_to}; the stem's holds what every call takes. *: much time for its FLOPs.")
    for line in (*_slow(explained), *_layout(explained), *_blocks(explained)):
        print(line)


def _cells(part: PartTime) -> Iterator[str]:
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
    moved = [each for each in explained.profile.nodes if each.node.kind in LAYOUT]
    if not moved:
        return
    by_unit: dict[str, float] = {}
    for each in moved:
        unit = unit_of(each.node.beside)
        by_unit[unit] = by_unit.get(unit, 0.0) + each.ms
    most = sorted(by_unit.items(), key=lambda pair: -pair[1])[:MOST_NAMED]
    named = ", ".join(f"{unit} {ms:.3f} ms" for unit, ms in most)
    yield (
        f"Changes of layout, {len(moved)} nodes: maps go into blocks of channels for convolutions, and out of them for "
        f"shuffles, slices, joins and what runs without blocks. Most for {named}."
    )


def _blocks(explained: Explained) -> Iterator[str]:
    blocks, total_ms = explained.profile.blocks, explained.profile.nodes_ms
    if blocks.size == 1:
        yield "Blocks: ONNX Runtime computes convolutions on this machine without blocks of channels."
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


_WORDS = {"maxpool": "max pool", "avgpool": "average pool"}


def _multiples(channels: int, of: int) -> str:
    """The multiples around so many channels: "112 or 128"."""
    below = channels // of * of
    return f"{below} or {below + of}" if below else f"{below + of}"


# What is kept


def _to_json(name: str, architecture: Architecture, task: Task, explained: Explained, fitted_to: str) -> dict[str, Any]:
    """All that is printed, as plain JSON."""
    profile = explained.profile
    return {
        "schema": SCHEMA,
        "network": name,
        "architecture": architecture.to_dict(),
        "task": asdict(task),
        "runtime": EXPLAINED_RUNTIME,
        "runtime_version": RUNTIMES[EXPLAINED_RUNTIME].version(),
        "device": device_facts()["processor"],
        "fingerprint": fingerprint(device_facts()),
        "fitted_to": fitted_to,
        "blocks": asdict(profile.blocks),
        "nodes_ms": profile.nodes_ms,
        **{key: getattr(profile, key) for key in ("own_ms", "plain_ms", "profiled_ms", "runs", "processes")},
        "units": [asdict(part) for part in explained.units],
        "layers": [asdict(part) for part in explained.layers],
        "nodes": [{**asdict(each.node), "ms": each.ms, "told_ms": each.told_ms} for each in profile.nodes],
        "not_in_whole_blocks": [{**asdict(each), "lost_ms": each.lost_ms} for each in explained.findings],
    }
