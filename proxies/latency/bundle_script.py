"""Measures a bundle of networks on this device and writes one results file.

Needs Python 3.9 and onnxruntime, and what lies beside it. In a bundle it is `measure.py`:

    python measure.py                    # writes results.json; run again, it goes on where it stopped
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from proxies.latency.lifetime import end_with_parent, ending_with_this
from proxies.latency.machine import (
    StealCounter,
    device_facts,
    fingerprint,
    load_average,
    pin_to,
    quietest_core,
    raise_priority,
)
from proxies.latency.onnx_session import cpu_run, session_of
from proxies.latency.output_check import Expected, example
from proxies.latency.protocol import Series, Timed, Timing, core_timed, measure_until_steady, take_rounds

RESULTS_SCHEMA = 1
LONGEST_SECONDS = 1800
MANIFEST = "manifest.json"


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """The content with a seal over all of it: whoever changes a number by hand breaks that."""
    rest = {name: value for name, value in content.items() if name != "seal"}
    return {**rest, "seal": hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}


def measure_all(folder: Path, out: Path) -> int:
    """How many networks failed; the file `out` holds the results so far after every network."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    results = _results_so_far(out, manifest["bundle"])
    reference = next(row for row in manifest["networks"] if row["network"] == manifest["reference"])
    # The reference comes first, against itself: its own time is the scale of all others.
    rows = [reference, *(row for row in manifest["networks"] if row is not reference)]
    for number, row in enumerate(rows, start=1):
        if row["network"] in results["readings"]:
            continue
        started = time.monotonic()
        try:
            reading = _measure(folder, row, reference, manifest["timing"])
            results["readings"][row["network"]] = {**reading, "sha256": row["sha256"]}
            results["failures"].pop(row["network"], None)
            text = f"{reading['p10_ms']:.3f} ms" + (", noisy" if reading["noisy"] else "")
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            text = results["failures"][row["network"]] = " ".join(str(error).split())
        print(f"{number} of {len(rows)} {row['name']}: {text}, {time.monotonic() - started:.0f} s", file=sys.stderr)
        partial = out.with_name(out.name + ".partial")
        partial.write_text(json.dumps(sealed(results), indent=1) + "\n", encoding="utf-8")
        partial.replace(out)
    return len(results["failures"])


def _results_so_far(out: Path, bundle: str) -> dict[str, Any]:
    import onnxruntime

    facts = device_facts()
    fresh = {
        "schema": RESULTS_SCHEMA,
        "bundle": bundle,
        "device": facts,
        "fingerprint": fingerprint(facts),
        "runtime": "onnxruntime",
        "runtime_version": onnxruntime.__version__,
        "python": platform.python_version(),
        "readings": {},
        "failures": {},
    }
    if not out.exists():
        return fresh
    try:
        kept: dict[str, Any] = dict(json.loads(out.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise SystemExit(f"{out} holds no results of this script ({error}): move it away") from error
    same = all(kept.get(name) == fresh[name] for name in ("schema", "bundle", "fingerprint", "runtime_version"))
    if not same or sealed(kept) != kept:
        raise SystemExit(f"{out} holds results of another bundle, device or version, or was changed: move it away")
    return kept


def _measure(folder: Path, row: dict[str, Any], reference: dict[str, Any], timing: dict[str, Any]) -> dict[str, Any]:
    core = quietest_core()

    def take(number: int) -> Series:
        request = {"networks": [row, reference], "timing": timing, "seed": number, "core": core}
        finished = subprocess.run(
            [sys.executable, __file__, "--series"],
            input=json.dumps(request),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=folder,
            env={**os.environ, **ending_with_this()},
            timeout=LONGEST_SECONDS,
        )
        if finished.returncode:
            said = finished.stderr.strip().splitlines() or [f"exit status {finished.returncode}"]
            raise RuntimeError(f"the measuring process died: {said[-1]}")
        return Series.from_dict(json.loads(finished.stdout.splitlines()[-1]))

    return asdict(measure_until_steady(take, Timing(**timing)))


def _take_series(request: dict[str, Any]) -> Series:
    started_at, load = time.time(), load_average()
    pin_to(request["core"])
    priority = raise_priority()
    candidate, reference = (_checked(row) for row in request["networks"])
    gc.disable()
    steal = StealCounter(request["core"])
    summaries = take_rounds(candidate, reference, Timing(**request["timing"]), request["seed"])
    return Series(*summaries, started_at, load, steal.share(), priority)


def _checked(row: dict[str, Any]) -> Timed:
    content = Path(row["file"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != row["sha256"]:
        raise RuntimeError(f"the file {row['file']} is not the one that was bundled: copy the bundle anew")
    expected = Expected(**row["expected"])
    run = cpu_run(session_of(row["file"]), example(row["shape"], expected.seed))
    expected.check(run())
    return core_timed(run)


def main() -> int:
    """The exit status: 1 where a network failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results.json"), help="the results file")
    parser.add_argument("--series", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may know ASCII alone
    if flags.series:
        end_with_parent()
        print(json.dumps(asdict(_take_series(json.load(sys.stdin)))))
        return 0
    failed = measure_all(Path(__file__).resolve().parent, flags.out)
    print(f"wrote {flags.out}; bring it back: python -m nas.latency import {flags.out} --bundle BUNDLE --storage URL")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
