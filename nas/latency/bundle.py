"""`python -m nas.latency bundle` and `import`: latencies of a device that has Python and onnxruntime, and no more."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from nas.cli.architectures import named_architectures
from nas.cli.command import make_folder
from nas.cli.flags import task_of
from nas.cli.storage import needed_storage, storage_named
from proxies.latency.bundle_script import MANIFEST, RESULTS_SCHEMA, sealed
from proxies.latency.protocol import DEFAULT_TIMING, Reading
from proxies.latency.runtimes import RUNTIMES
from proxies.latency.setup import DEFAULT_RUNTIME
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.files import PARTIAL, replacing, write_json, write_text
from search_space.precision import FP32, PRECISIONS
from search_space.presets import ANCHOR, PRESETS
from search_space.reading import LARGE, Fields, parse_json, read_bytes, read_json, read_zipped, shown
from search_space.scratch import Scratch
from search_space.task import Task
from studies.checked_facts import LEDGERED, ImpossibleFacts, checked_latency
from studies.ledger.latencies import Ledger, Measured
from studies.storage.database import engine_of
from studies.storage.secrets import shown_url
from studies.storage.studies import check_storage

BUNDLE_SCHEMA = 1
SCRIPT = "measure.py"
CARRIED = ("protocol.py", "lifetime.py", "machine.py", "output_check.py", "onnx_session.py")
"""Files of `proxies` that need neither torch nor the rest of this project: a bundle holds them as they are."""

A_FILE = "what a device measured comes as a JSON file beside its bundle"
FINGERPRINT = "[0-9a-f]{1,64}"
LONGEST_CAUSE = 10_000
MOST_ROUNDS, MOST_CLASSES, LARGEST_SIDE = 10**9, 10**7, 10**6


def bundle(flags: argparse.Namespace) -> int:
    """The exit status of bundling with these flags."""
    if flags.out.exists():
        raise InputError(f"a bundle is written anew, and {str(flags.out)!r} exists: name another --out, or remove it")
    task, precision = task_of(flags), flags.precision or FP32
    chosen = {ANCHOR: PRESETS[ANCHOR], **dict(_chosen(flags))}
    make_folder(flags.out.parent)
    architectures = {name: task.deployed(architecture) for name, architecture in chosen.items()}
    with Scratch(flags.out.parent, PARTIAL) as scratch:
        folder = Path(scratch, "bundle")
        _write_bundle(folder, architectures, task, precision)
        if flags.out.suffix == ".zip":
            with replacing(flags.out) as partial:
                _zip(folder, partial)
        else:
            folder.rename(flags.out)
    print(f"wrote {flags.out}: {len(architectures)} networks; on the device, in that folder:")
    print(f"  python -m pip install onnxruntime && python {SCRIPT}")
    return 0


def _zip(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))


def _chosen(flags: argparse.Namespace) -> Iterator[tuple[str, Architecture]]:
    # A variable that is set for other commands adds no front to networks that are named.
    url = flags.storage if flags.architectures and not flags.study else storage_named(flags)
    if not flags.architectures and not url:
        raise InputError("a bundle needs networks: name presets or JSON files, or a study's storage with --storage")
    yield from named_architectures(flags.architectures)
    if url:
        from nas.search.outputs import findings_of
        from studies.storage.studies import load_study, open_to_read, references_of

        storage = open_to_read(url)
        study = load_study(storage, flags.study)
        findings = findings_of(study, references_of(study, storage))
        for record in (*findings.front, *findings.references):
            yield record.name, record.architecture


def _write_bundle(folder: Path, architectures: Mapping[str, Architecture], task: Task, precision: str) -> None:
    (folder / "networks").mkdir(parents=True)
    rows = []
    for number, (name, architecture) in enumerate(architectures.items(), start=1):
        rows.append(_bundled(folder, name, architecture, task, precision))
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


def _bundled(folder: Path, name: str, architecture: Architecture, task: Task, precision: str) -> dict[str, Any]:
    """What the manifest says of a network, which is written to the folder."""
    from proxies.backbone import deployed
    from proxies.latency.measure import prepare

    network = deployed(architecture, task.num_classes)
    file = folder / "networks" / architecture.key()
    ready = prepare(network, file, resolution=task.of(architecture).resolution, precision=precision)
    return {
        "network": architecture.key(),
        "name": name,
        "architecture": architecture.to_dict(),
        "file": f"networks/{Path(ready.file).name}",
        "sha256": hashlib.sha256(Path(ready.file).read_bytes()).hexdigest(),
        "shape": ready.shape,
        **({} if precision == FP32 else {"precision": precision}),
        "expected": asdict(ready.expected),
    }


def _copy_script(folder: Path) -> None:
    ours, package = files("proxies.latency"), folder / "proxies" / "latency"
    package.mkdir(parents=True)
    for each in (package.parent, package):
        write_text(each / "__init__.py", '"""What the measuring protocol needs."""\n')
    for name in CARRIED:
        write_text(package / name, ours.joinpath(name).read_text(encoding="utf-8"))
    write_text(folder / SCRIPT, ours.joinpath("bundle_script.py").read_text(encoding="utf-8"))


def _identity_of(rows: Any) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def import_results(flags: argparse.Namespace) -> int:
    """The exit status of an import with these flags."""
    results, manifest = _read_results(flags.results), _read_manifest(flags.bundle)
    device = flags.device or results.text("fingerprint", pattern=FINGERPRINT)
    measurements = list(_measurements(results, manifest, device))
    failures = results.fields("failures")
    causes = {network: failures.text(network, longest=LONGEST_CAUSE) for network in failures.plain}
    processor = results.fields("device").text("processor")
    url = needed_storage(flags)
    check_storage(url)
    new = Ledger(engine_of(url)).add(measurements)
    print(f"{new} of {len(measurements)} latencies of {processor} ({device}) are new in {shown_url(url)}")
    for network, cause in causes.items():
        print(f"not measured: {network}: {cause}")
    return 0


def _read_results(path: Path) -> Fields:
    results = _object(read_json(path, A_FILE, LARGE), path)
    if results.plain.get("schema") != RESULTS_SCHEMA:
        schema = shown(results.plain.get("schema"))
        raise InputError(f"results must be of schema {RESULTS_SCHEMA}, got {schema} in {str(path)!r}")
    if sealed(results.plain) != results.plain:
        raise InputError(f"results must be as the device wrote them, and {str(path)!r} was changed: measure anew")
    return results


def _read_manifest(path: Path) -> Fields:
    if path.is_dir():
        content = read_bytes(path / MANIFEST, A_FILE, LARGE)
    else:
        content = read_zipped(path, MANIFEST, A_FILE, LARGE)
    manifest = _object(parse_json(content, A_FILE, f"{MANIFEST} in {str(path)!r}"), path)
    if manifest.plain.get("bundle") != _identity_of(manifest.plain.get("networks")):
        raise InputError(f"a bundle must be as it was written, and {str(path)!r} was changed: bundle anew")
    return manifest


def _object(content: Any, path: Path) -> Fields:
    return Fields(content, repr(str(path)))


def _measurements(results: Fields, manifest: Fields, device: str) -> Iterator[Measured]:
    if results.value("bundle") != manifest.value("bundle"):
        raise InputError(
            f"results must be of the bundle given, and those in {results.where} are of another: check --bundle"
        )
    rows = {row.text("network"): row for row in manifest.objects("networks")}
    readings = dict(results.each("readings"))
    scale = readings.get(manifest.text("reference"))
    if scale is None:
        raise InputError(f"results must hold the reference's own latency, and {results.where} does not: measure anew")
    for network, reading in readings.items():
        if network not in rows or reading.value("sha256") != rows[network].value("sha256"):
            raise InputError(f"results must match what was bundled, and {shown(network)} in {results.where} does not")
        yield _measured(rows[network], _values(reading), _values(scale)["p10_ms"], results, manifest, device)


def _values(reading: Fields) -> dict[str, Any]:
    """A reading's values by name, each of its type."""
    found: dict[str, Any] = {}
    for field in fields(Reading):
        if field.type == "bool":
            found[field.name] = reading.flag(field.name)
        elif field.type == "int":
            found[field.name] = reading.whole(field.name, 1, MOST_ROUNDS)
        elif field.type == "str":
            found[field.name] = reading.text(field.name)
        elif field.type == "float | None" and reading.value(field.name) is None:
            found[field.name] = None
        else:
            found[field.name] = reading.number(field.name)
    return found


def _measured(
    row: Fields,
    values: Mapping[str, Any],
    reference_ms: float,
    results: Fields,
    manifest: Fields,
    device: str,
) -> Measured:
    shape = row.rows("shape", 4)
    if len(shape) != 4 or not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in shape):
        raise InputError(f"'shape' in {row.where} must be 4 whole numbers above 0, got {shown(shape)}")
    precision = row.one_of("precision", PRECISIONS) if "precision" in row.plain else FP32
    latency = {
        **values,
        "latency_ms": values["ratio"] * reference_ms,
        "reference_ms": reference_ms,
        "runs": manifest.fields("timing").whole("runs", 1, MOST_ROUNDS),
        **{name: results.text(name) for name in ("runtime", "runtime_version", "fingerprint")},
        "device": results.fields("device").text("processor"),
        "threads": 1,
        "precision": RUNTIMES[DEFAULT_RUNTIME].computes_in(precision),
        "batch_size": shape[0],
        "resolution": shape[-1],
    }
    architecture = Architecture.from_dict(row.value("architecture"))
    classes = manifest.whole("classes", 0, MOST_CLASSES)
    try:
        checked = checked_latency(latency, LEDGERED)
    except ImpossibleFacts as error:
        raise InputError(f"{row.text('name')} in {results.where} cannot be: {error}") from error
    if architecture.key() != row.value("network"):
        raise InputError(f"a bundle's networks must have the keys of their architectures, and {row.where} has not")
    return Measured(row.text("network"), classes, device, "bundle", checked, architecture)
