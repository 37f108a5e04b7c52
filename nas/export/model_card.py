"""The model card of an exported network: what it is, costs and reaches, on what, and what is not known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.export.networks import Exported
from nas.search.provenance import commit_of
from proxies.data.names import EMBEDDED
from search_space.architecture import Architecture
from search_space.cost import cost_of
from studies.report.figures import stage_text

SCHEMA = 1
CODE_LICENCE = "MIT"
DATA_LICENCES = {EMBEDDED: "MIT (Zalando, Fashion-MNIST)"}
"""Those that are known; any other is the user's to state."""
PACKAGES = ("torch", "onnx", "onnxruntime", "safetensors")
UNKNOWN = "unknown"

Files = Sequence[tuple[str, Path, Mapping[str, Any]]]


def write_card(exported: Exported, files: Files, folder: Path) -> list[Path]:
    """The two files of the card: Markdown for people, and the same facts as JSON."""
    facts = facts_of(exported, files)
    name = exported.network.name
    card, data = folder / f"{name}.card.md", folder / f"{name}.card.json"
    card.write_text(card_text(facts), encoding="utf-8")
    data.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return [card, data]


def facts_of(exported: Exported, files: Files) -> dict[str, Any]:
    """What the card says, as plain JSON values; None is what is not known."""
    network, metrics = exported.network, exported.metrics
    about = network.about
    cost = cost_of(about.architecture, about.image_size, len(about.classes), about.channels, about.stem_stride)
    counts = {name: getattr(cost, name) for name in ("macs", "params", "peak_bytes", "memory_access_bytes")}
    data = metrics["data"]["name"] if metrics else None
    return {
        "schema": SCHEMA,
        "name": network.name,
        "key": about.architecture.key(),
        "trained": network.is_trained,
        "architecture": about.architecture.to_dict(),
        "input": {
            "shape": ["n", about.channels, about.image_size, about.image_size],
            "mean": list(about.mean),
            "std": list(about.std),
            "stem_stride": about.stem_stride,
        },
        "classes": list(about.classes),
        "cost": counts,
        "training": _training(metrics) if metrics else None,
        "data_licence": DATA_LICENCES.get(data) if data else None,
        "code_licence": CODE_LICENCE,
        "files": {name: {"file": file.name, **facts} for name, file, facts in files},
        "versions": {name: version(name) for name in PACKAGES},
        "commit": commit_of(Path(__file__).parent),
    }


def _training(metrics: Mapping[str, Any]) -> dict[str, Any]:
    names = ("data", "recipe", "seed", "device", "validation_accuracy", "test_accuracy", "no_test_because", "seconds")
    return {**{name: metrics[name] for name in names}, "command": metrics["command"], "versions": metrics["versions"]}


def card_text(facts: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    sections = (
        f"# {facts['name']}\n\n{_summary(facts)}",
        f"## Architecture\n\n{_architecture(Architecture.from_dict(facts['architecture']))}",
        f"## Input and output\n\n{_task(facts)}",
        f"## Cost\n\n{_cost(facts)}",
        f"## Accuracy\n\n{_accuracy(facts)}",
        f"## Files\n\n{_files(facts)}",
        f"## Use and limits\n\n{_limits(facts)}",
        f"## Provenance\n\n{_provenance(facts)}",
    )
    return "\n\n".join(sections) + "\n"


def _summary(facts: Mapping[str, Any]) -> str:
    paper = {"v1": "V1 (Zhang et al. 2017)", "v2": "V2 (Ma et al. 2018)"}[facts["architecture"]["unit"]]
    weights = "trained" if facts["trained"] else "**Untrained: its weights are random, and it is for timing alone.**"
    text = f"An image classifier of ShuffleNet {paper} units, key `{facts['key']}`"
    return f"{text}, {weights}." if facts["trained"] else f"{text}. {weights}"


def _architecture(architecture: Architecture) -> str:
    options = [name for name in ("residual", "pre_depthwise") if getattr(architecture, name)]
    options += [] if architecture.shuffle else ["no shuffle"]
    lines = [f"- stem: {architecture.stem} channels"]
    lines += [f"- stage {number}: {stage_text(stage)}" for number, stage in enumerate(architecture.stages, start=2)]
    lines += [
        f"- head: {architecture.head or 'none'}",
        f"- activation: {', '.join([architecture.activation, *options])}",
    ]
    return "\n".join(lines)


def _task(facts: Mapping[str, Any]) -> str:
    given = facts["input"]
    shape = " x ".join(map(str, given["shape"]))
    mean, std = (", ".join(f"{value:.4g}" for value in given[name]) for name in ("mean", "std"))
    shown = ", ".join(facts["classes"][:20]) + (", ..." if len(facts["classes"]) > 20 else "")
    return (
        f"Images of {shape}, float32: pixels on a scale of 0 to 1, minus mean ({mean}), divided by std ({std}). "
        f"Output: a logit for each of {len(facts['classes'])} classes: {shown}."
    )


def _cost(facts: Mapping[str, Any]) -> str:
    cost = facts["cost"]
    return (
        f"{cost['macs'] / 1e6:.1f} MFLOPs (1 FLOP = 1 multiply-add of convolution and linear layers), "
        f"{cost['params']:,} parameters, {cost['peak_bytes'] / 1e6:.2f} MB of activations at most (float32), for one "
        f"image of this size."
    )


def _accuracy(facts: Mapping[str, Any]) -> str:
    training = facts["training"]
    if not facts["trained"]:
        return "None: it is not trained."
    if training is None:
        return "Unknown: its training's `metrics.json` did not lie beside the weights."
    recipe = ", ".join(f"{name} {value}" for name, value in training["recipe"].items())
    test = training["test_accuracy"]
    tested = f"{100 * test:.2f} % of the test images" if test is not None else f"unknown: {training['no_test_because']}"
    data = training["data"]
    return (
        f"Validation: {100 * training['validation_accuracy']:.2f} % of {data['validation_images']} images. "
        f"Test: {tested}. One training (seed {training['seed']}, {training['device']}) on "
        f"{data['training_images']} images of {data['name']} (fingerprint {data['fingerprint']}), "
        f"{training['seconds']:.0f} s. Recipe: {recipe}."
    )


def _files(facts: Mapping[str, Any]) -> str:
    lines = ["| file | bytes | compared with torch | latency |", "|---|---|---|---|"]
    for row in facts["files"].values():
        lines.append(f"| `{row['file']}` | {row['bytes']:,} | {_compared(row)} | {_latency(row.get('latency'))} |")
    return "\n".join(lines)


def _compared(row: Mapping[str, Any]) -> str:
    if "largest_difference" in row:
        return f"largest difference {row['largest_difference']:.2g}, on real images"
    if "same_class_share" not in row:
        return "holds no weights"
    text = f"same class for {100 * row['same_class_share']:.1f} % of {row['compared_images']} validation images"
    if "validation_accuracy" in row:
        own, theirs = row["validation_accuracy"], row["validation_accuracy_in_float32"]
        text += f"; {100 * own:.2f} % right, {100 * theirs:.2f} % in float32"
    return text


def _latency(latency: Mapping[str, Any] | None) -> str:
    if latency is None:
        return "not measured"
    noisy = ", noisy" if latency["noisy"] else ""
    return (
        f"{latency['latency_ms']:.3f} ms ±{50 * latency['spread']:.1f} %{noisy}, one image, one thread, "
        f"{latency['runtime']} {latency['runtime_version']} on {latency['device']}"
    )


def _limits(facts: Mapping[str, Any]) -> str:
    return (
        "For images like those it was trained on, in the classes named above; on others it names one of them all the "
        "same. Nothing was measured of bias, of robustness or of images from elsewhere. A latency is that of the "
        "device and runtime named beside it."
    )


def _provenance(facts: Mapping[str, Any]) -> str:
    training, versions = facts["training"], ", ".join(f"{name} {text}" for name, text in facts["versions"].items())
    lines = [f"- exported with {versions}; commit {facts['commit'] or UNKNOWN}"]
    lines += [f"- trained by `{training['command']}`"] if training else []
    lines += [f"- licence of the data: {facts['data_licence'] or UNKNOWN}; weights may fall under it"]
    return "\n".join([*lines, f"- licence of the code: {facts['code_licence']}"])
