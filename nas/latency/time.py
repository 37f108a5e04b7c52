"""`python -m nas.latency time`: the latency of ONNX files as they are, whoever wrote them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nas.cli.heartbeat import Steps, doing
from proxies.latency.existing_onnx import prepare_file
from proxies.latency.measure import Latency, compare, prepare
from search_space.bounds import plain
from search_space.presets import ANCHOR, PRESETS
from search_space.scratch import Scratch

RESOLUTION, CLASSES = 224, 1000
"""What V2 1.0x is timed at beside every file, whatever the file takes: so that one number compares all."""


def time_files(flags: argparse.Namespace) -> int:
    """The exit status of timing files with these flags; each gets a line, V2 1.0x beside it."""
    ready = [prepare_file(file, flags.runtime) for file in flags.files]
    from proxies.network import build

    steps = Steps(len(ready))
    with Scratch() as folder, doing(f"writing {ANCHOR}", steps.seconds_left) as at:
        network = build(PRESETS[ANCHOR], CLASSES)
        anchor = prepare(network, Path(folder, "anchor"), resolution=RESOLUTION, runtime=flags.runtime)
        for number, candidate in enumerate(ready, start=1):
            print(f"{number} of {len(ready)}: about ten seconds", file=sys.stderr, flush=True)
            at.now(f"timing {candidate.file}, {number} of {len(ready)}")
            latency = compare(candidate, anchor, seed=number)
            steps.done += 1
            print(_line(candidate.file, candidate.shape, latency), flush=True)
    return 0


def _line(file: str, shape: tuple[int, ...], latency: Latency) -> str:
    noisy = " noisy" if latency.noisy else ""
    size = "x".join(map(str, shape[1:]))
    return (
        f"{file}: {size}, {latency.latency_ms:.3f} ms ±{50 * latency.spread:.1f} %{noisy}, "
        f"{plain(latency.ratio, 3)} times "
        f"{ANCHOR} at {RESOLUTION} px ({latency.reference_p10_ms:.3f} ms), {latency.runtime} {latency.runtime_version}"
    )
