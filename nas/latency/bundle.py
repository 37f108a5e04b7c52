"""`python -m nas.latency bundle` and `import`: latencies of a device that has Python and onnxruntime, and no more."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from nas.cli.architectures import named_architectures
from nas.cli.command import make_folder
from nas.cli.flags import task_of
from proxies.latency.bundle_script import MANIFEST, RESULTS_SCHEMA, sealed
from proxies.latency.protocol import DEFAULT_TIMING, Reading
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.files import write_json
from search_space.presets import ANCHOR, PRESETS
from search_space.task import Task
from studies.facts import LatencyFacts
from studies.ledger.latencies import Ledger, Measured
from studies.storage.database import engine_of

BUNDLE_SCHEMA = 1
SCRIPT = "measure.py"
CARRIED = ("protocol.py", "machine.py", "output_check.py", "onnx_session.py")
"""Files of `proxies` that need neither torch nor the rest of this project: a bundle holds them as they are."""


def bundle(flags: argparse.Namespace) -> int:
    """The exit status of bundling with these flags."""
    if flags.out.exists():
        raise InputError(f"a bundle is written anew, and {str(flags.out)!r} exists: name another --out, or remove it")
    task = task_of(flags)
    make_folder(flags.out.parent)
    chosen = {ANCHOR: PRESETS[ANCHOR], **dict(_chosen(flags))}
    architectures = {name: task.deployed(architecture) for name, architecture in chosen.items()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "bundle")
        _write_bundle(folder, architectures, task)
        if flags.out.suffix == ".zip":
            shutil.make_archive(str(flags.out.with_suffix("")), "zip", folder)
        else:
            shutil.move(folder, flags.out)
    print(f"wrote {flags.out}: {len(architectures)} networks; on the device, in that folder:")
    print(f"  python -m pip install onnxruntime && python {SCRIPT}")
    return 0


def _chosen(flags: argparse.Namespace) -> Iterator[tuple[str, Architecture]]:
    if not flags.architectures and not flags.storage:
        raise InputError("a bundle needs networks: name presets or JSON files, or a study's storage with --storage")
    yield from named_architectures(flags.architectures)
    if flags.storage:
        from nas.search.outputs import findings_of
        from studies.storage.studies import load_study, open_storage, references_of

        storage = open_storage(flags.storage, must_exist=True)
        study = load_study(storage, flags.study)
        findings = findings_of(study, references_of(study, storage))
        for record in (*findings.front, *findings.references):
            yield record.name, record.architecture


def _write_bundle(folder: Path, architectures: Mapping[str, Architecture], task: Task) -> None:
    (folder / "networks").mkdir(parents=True)
    rows = []
    for number, (name, architecture) in enumerate(architectures.items(), start=1):
        rows.append(_bundled(folder, name, architecture, task))
        size = (folder / rows[-1]["file"]).stat().st_size
        print(f"{number} of {len(architectures)} {name}: {size / 1e6:.1f} MB", file=sys.stderr)
    manifest = {
        "schema": BUNDLE_SCHEMA,
        "bundle": _identity_of(rows),
        "reference": architectures[ANCHOR].key(),
        "classes": task.num_classes,
        "resolution": task.resolution,
        "timing": asdict(DEFAULT_TIMING),
        "networks": rows,
    }
    write_json(folder / MANIFEST, manifest)
    _copy_script(folder)


def _bundled(folder: Path, name: str, architecture: Architecture, task: Task) -> dict[str, Any]:
    """What the manifest says of a network, which is written to the folder."""
    from proxies.backbone import deployed
    from proxies.latency.measure import prepare

    network = deployed(architecture, task.num_classes)
    ready = prepare(network, folder / "networks" / architecture.key(), resolution=task.resolution)
    return {
        "network": architecture.key(),
        "name": name,
        "architecture": architecture.to_dict(),
        "file": f"networks/{Path(ready.file).name}",
        "sha256": hashlib.sha256(Path(ready.file).read_bytes()).hexdigest(),
        "shape": ready.shape,
        "expected": asdict(ready.expected),
    }


def _copy_script(folder: Path) -> None:
    ours, package = files("proxies.latency"), folder / "proxies" / "latency"
    package.mkdir(parents=True)
    for each in (package.parent, package):
        (each / "__init__.py").write_text('"""What the measuring protocol needs."""\n', encoding="utf-8")
    for name in CARRIED:
        (package / name).write_text(ours.joinpath(name).read_text(encoding="utf-8"), encoding="utf-8")
    script = ours.joinpath("bundle_script.py").read_text(encoding="utf-8")
    (folder / SCRIPT).write_text(script, encoding="utf-8")


def _identity_of(rows: Any) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def import_results(flags: argparse.Namespace) -> int:
    """The exit status of an import with these flags."""
    results, manifest = _read_results(flags.results), _read_manifest(flags.bundle)
    measurements = list(_measurements(results, manifest, flags.device or results["fingerprint"], flags.results))
    new = Ledger(engine_of(flags.storage)).add(measurements)
    device = f"{results['device']['processor']} ({flags.device or results['fingerprint']})"
    print(f"{new} of {len(measurements)} latencies of {device} are new in {flags.storage}")
    for network, cause in results["failures"].items():
        print(f"not measured: {network}: {cause}")
    return 0


def _read_results(path: Path) -> dict[str, Any]:
    results = _read_json(path, lambda: path.read_text(encoding="utf-8"))
    if results.get("schema") != RESULTS_SCHEMA:
        raise InputError(f"results must be of schema {RESULTS_SCHEMA}, got {results.get('schema')!r} in {str(path)!r}")
    if sealed(results) != results:
        raise InputError(f"results must be as the device wrote them, and {str(path)!r} was changed: measure anew")
    return results


def _read_manifest(path: Path) -> dict[str, Any]:
    def text() -> str:
        if path.is_dir():
            return (path / MANIFEST).read_text(encoding="utf-8")
        with zipfile.ZipFile(path) as archive:
            return archive.read(MANIFEST).decode()

    manifest = _read_json(path, text)
    if manifest.get("bundle") != _identity_of(manifest.get("networks")):
        raise InputError(f"a bundle must be as it was written, and {str(path)!r} was changed: bundle anew")
    return manifest


def _read_json(path: Path, text: Any) -> dict[str, Any]:
    try:
        content = json.loads(text())
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{str(path)!r} must be a file of a bundle that can be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{str(path)!r} must hold a JSON object")
    return content


def _measurements(
    results: Mapping[str, Any], manifest: Mapping[str, Any], device: str, path: Path
) -> Iterator[Measured]:
    if results["bundle"] != manifest["bundle"]:
        raise InputError(
            f"results must be of the bundle given, and those in {str(path)!r} are of another: check --bundle"
        )
    rows = {row["network"]: row for row in manifest["networks"]}
    scale = results["readings"].get(manifest["reference"])
    if scale is None:
        raise InputError(f"results must hold the reference's own latency, and {str(path)!r} does not: measure anew")
    for network, reading in results["readings"].items():
        if network not in rows or reading["sha256"] != rows[network]["sha256"]:
            raise InputError(f"results must match what was bundled, and {network} in {str(path)!r} does not")
        yield _measured(rows[network], reading, scale["p10_ms"], results, manifest, device)


def _measured(
    row: Mapping[str, Any],
    reading: Mapping[str, Any],
    reference_ms: float,
    results: Mapping[str, Any],
    manifest: Mapping[str, Any],
    device: str,
) -> Measured:
    values = {field.name: reading[field.name] for field in fields(Reading)}
    if not all(0 < values[name] < math.inf for name in ("ratio", "p10_ms", "reference_p10_ms")):
        raise InputError(f"a latency must be a time above 0, got {values['p10_ms']!r} for {row['name']}")
    latency = {
        **values,
        "latency_ms": values["ratio"] * reference_ms,
        "reference_ms": reference_ms,
        "runs": manifest["timing"]["runs"],
        **{name: results[name] for name in ("runtime", "runtime_version", "fingerprint")},
        "device": results["device"]["processor"],
        "threads": 1,
        "precision": "float32",
        "batch_size": row["shape"][0],
        "resolution": row["shape"][-1],
    }
    architecture = Architecture.from_dict(row["architecture"])
    return Measured(row["network"], manifest["classes"], device, "bundle", LatencyFacts(latency), architecture)
