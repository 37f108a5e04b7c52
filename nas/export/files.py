"""Networks written in the formats asked for, each file read back and compared, and a model card beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.export.model_card import write_card
from nas.export.networks import Exported
from proxies.batches import in_batches
from proxies.export import FORMATS
from proxies.export.network import ExportedNetwork, Options, as_taken
from proxies.latency.existing_onnx import prepare_file
from proxies.latency.measure import compare, prepare
from proxies.network import build
from search_space.files import file_name, write_whole
from search_space.presets import ANCHOR, PRESETS
from search_space.scratch import Scratch

VALIDATED = 2000
"""Validation images, at most, that the accuracy of an 8-bit file is counted on."""
ANCHOR_RESOLUTION = 224
"""What V2 1.0x is timed at beside every file."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file, how far its outputs are from the network's, and what was measured of it, as plain JSON values."""

    format: str
    file: Path
    facts: dict[str, Any]


def write_network(
    exported: Exported, formats: Sequence[str], folder: Path, options: Options, *, is_timed: bool
) -> list[Path]:
    """The files written to the folder for one network: one a format, and beside weights the model card in two.

    They come to the folder once all of them have been read back: where one is wrong, none does.

    Raises:
        WrongExport: a file does not compute what the network does, or says something else of itself than was asked.
    """
    with Scratch() as scratch:
        written = [_write(exported, name, Path(scratch), options) for name in formats]
        timed = [one for one in written if one.file.suffix == ".onnx" and options.batch in (None, 1)]
        if is_timed and timed:
            _time(timed, Path(scratch))
        files = [write_whole(folder / one.file.name, one.file.read_bytes()) for one in written]
    if not any(FORMATS[name].holds_weights for name in formats):
        return files
    return [*files, *write_card(exported, [(one.format, one.file, one.facts) for one in written], folder)]


def _write(exported: Exported, name: str, folder: Path, options: Options) -> Written:
    row, network = FORMATS[name], exported.network
    file = folder / f"{file_name(network.name if row.holds_weights else network.plain_name)}{row.suffix}"
    row.write(network, file, options)
    row.check(file, network, options)
    facts: dict[str, Any] = {"bytes": file.stat().st_size}
    batch = 1 if row.takes_one else options.batch
    if row.holds_weights and row.is_exact:
        facts["largest_difference"] = network.check(row.load(file, network), batch)
    elif row.holds_weights:
        facts |= _agreement(exported, row.load(file, network), batch)
    return Written(name, file, facts)


def _agreement(exported: Exported, run: Any, batch: int | None) -> dict[str, Any]:
    """Of a file that rounds: its accuracy and the network's own on validation images, and how often both agree."""
    network, data = exported.network, exported.data
    images = as_taken(data.val_images, network.about.channels, network.about.image_size)[:: _step(data.val_images)]
    labels = data.val_labels[:: _step(data.val_images)].numpy()
    normalised = network.normalised(images).numpy()
    found = in_batches(run, normalised, batch).argmax(axis=1)
    expected = in_batches(_in_torch(network), normalised, 250).argmax(axis=1)
    facts: dict[str, Any] = {"same_class_share": float(np.mean(found == expected)), "compared_images": len(labels)}
    facts |= {"calibration_images": len(network.calibration), "images": data.name, "fingerprint": data.fingerprint}
    if network.is_trained and tuple(data.classes) == network.about.classes:
        facts["validation_accuracy"] = float(np.mean(found == labels))
        facts["validation_accuracy_in_float32"] = float(np.mean(expected == labels))
    return facts


def _step(images: Any) -> int:
    return max(1, -(-len(images) // VALIDATED))


def _in_torch(network: ExportedNetwork) -> Any:
    import torch

    @torch.inference_mode()
    def run(images: Any) -> Any:
        return network.module(torch.from_numpy(images)).numpy()

    return run


def _time(written: Sequence[Written], scratch: Path) -> None:
    """Adds to each file's facts its latency, measured beside V2 1.0x."""
    anchor = prepare(build(PRESETS[ANCHOR]), scratch / "anchor", resolution=ANCHOR_RESOLUTION)
    for one in written:
        latency = compare(prepare_file(one.file), anchor)
        one.facts["latency"] = {
            **{name: getattr(latency, name) for name in ("latency_ms", "spread", "noisy", "runtime", "device")},
            **{name: getattr(latency, name) for name in ("runtime_version", "batch_size", "threads")},
            "times_v2_1.0x_at_224": latency.ratio,
        }
