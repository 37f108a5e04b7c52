"""The model card of an exported network: what it is, costs and reaches, on what, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.export.networks import Exported
from nas.search.provenance import commit_of
from proxies.data.names import EMBEDDED
from search_space.architecture import Architecture
from search_space.cost import cost_of
from search_space.files import file_name, write_json, write_text
from search_space.precision import FLASH_IS, RAM_IS, kib
from studies.display import options_of, stage_text
from studies.report.rendering import render_markdown

SCHEMA = 1
CODE_LICENCE = "MIT"
DATA_LICENCES = {EMBEDDED: "MIT (Zalando, Fashion-MNIST)"}
"""Those that are known; any other is the user's to state."""
PACKAGES = ("torch", "onnx", "onnxruntime", "safetensors")
_PAPERS = {"v1": "V1 (Zhang et al. 2017)", "v2": "V2 (Ma et al. 2018)"}

Files = Sequence[tuple[str, Path, Mapping[str, Any]]]


def write_card(exported: Exported, files: Files, folder: Path) -> list[Path]:
    """The two files of the card: Markdown for people, and the same facts as JSON."""
    facts = facts_of(exported, files)
    name = file_name(exported.network.name)
    card = write_text(folder / f"{name}.card.md", card_text(facts))
    return [card, write_json(folder / f"{name}.card.json", facts)]


def facts_of(exported: Exported, files: Files) -> dict[str, Any]:
    """What the card says, as plain JSON values; None is what is not known."""
    network, metrics = exported.network, exported.metrics
    about = network.about
    cost = cost_of(
        about.architecture.without_resolution(), about.image_size, len(about.classes), about.channels, about.stem_stride
    )
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
        "cost": {**counts, "memory": cost.memory},
        "training": _training(metrics) if metrics else None,
        **({"finalist": exported.finalist.to_dict()} if exported.finalist else {}),
        "data_licence": DATA_LICENCES.get(data) if data else None,
        "code_licence": CODE_LICENCE,
        "files": {name: {"file": file.name, **facts} for name, file, facts in files},
        "versions": {name: version(name) for name in PACKAGES},
        "commit": commit_of(Path(__file__).parent),
    }


def _training(metrics: Mapping[str, Any]) -> dict[str, Any]:
    names = ("data", "recipe", "seed", "device", "validation_accuracy", "test_accuracy", "no_test_because", "seconds")
    int8 = {"int8": metrics["int8"]} if "int8" in metrics else {}
    return {
        **{name: metrics[name] for name in names},
        **int8,
        "command": metrics["command"],
        "versions": metrics["versions"],
    }


def card_text(facts: Mapping[str, Any]) -> str:
    """The card in Markdown."""
    architecture = Architecture.from_dict(facts["architecture"])
    values = {
        **facts,
        "paper": _PAPERS[architecture.unit],
        "architecture": architecture,
        "stages": list(map(stage_text, architecture.stages)),
        "options": options_of(architecture),
        "kib": kib,
        "ram_is": RAM_IS,
        "flash_is": FLASH_IS,
    }
    return render_markdown("nas.export", "card.md", **values)
