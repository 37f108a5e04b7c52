"""`python -m nas.latency references`: the hand-designed networks counted and timed, and how far FLOPs mislead."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.cli.command import check_folder, make_folder
from nas.cli.flags import precision_of
from nas.cli.folders import OwnFiles
from nas.cli.heartbeat import Steps, doing
from nas.cli.storage import storage_named
from nas.search.outputs import FLOP
from proxies.latency.measure import Prepared, Timing, check_runtime, compare, prepare
from proxies.latency.protocol import DEFAULT_TIMING
from proxies.references.names import FAMILIES, REFERENCE_FAMILIES, REFERENCE_NAMES, SHUFFLENET_V1, SHUFFLENET_V2
from search_space.errors import InputError
from search_space.files import write_json
from search_space.precision import FP32, precision_named
from search_space.presets import ANCHOR, PRESETS
from search_space.scratch import Scratch
from studies.checked_facts import LEDGERED, checked_latency
from studies.latency.flops_verdict import FailedNetwork, TimedNetwork, Verdict, verdict_of
from studies.ledger.latencies import Ledger, Measured
from studies.report.reference_page import ReferenceStudy, render_references, write_reference_page
from studies.storage.database import engine_of
from studies.storage.studies import check_storage

SCHEMA = 1
GROUPS = {"all": FAMILIES, "ShuffleNets": (SHUFFLENET_V1, SHUFFLENET_V2)}
"""What a verdict is given on: name -> the families in it."""

Result = TimedNetwork | FailedNetwork


@dataclass(frozen=True, slots=True)
class Conditions:
    """What all networks of a run are built for and timed under."""

    runtime: str
    device: str
    resolution: int
    classes: int
    seed: int
    precision: str = FP32
    timing: Timing = DEFAULT_TIMING


def run(flags: argparse.Namespace) -> int:
    """The exit status of a run with these flags: 1 where no network could be timed.

    Raises:
        InputError: a flag that cannot be used, found before anything is built or written.
        KeyboardInterrupt: on Ctrl-C, after what was timed so far has been printed and written.
    """
    conditions = _conditions(flags)
    names = names_of(flags.only)
    check_folder(flags.out)
    own = OwnFiles(flags.out, "nas.latency references")
    own.check("references.json", "references.html")
    keep = _keeper(storage_named(flags), flags.classes)
    make_folder(flags.out)
    own.take("references.json", "references.html")
    results: list[Result] = []
    steps = Steps(len(names))
    try:
        with doing("timing", steps.seconds_left):
            for result in time_networks(names, conditions):
                keep(result)
                results.append(result)
                steps.done += 1
                print(_progress_line(result, steps), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        _show(results, conditions, flags.out)
        raise
    _show(results, conditions, flags.out)
    return 0 if any(isinstance(result, TimedNetwork) for result in results) else 1


def names_of(only: str | None) -> tuple[str, ...]:
    """The references that `--only` means, in the order of `REFERENCE_NAMES`: each name once; all for None.

    Raises:
        InputError: a part of it is no name and begins none.
    """
    if only is None:
        return REFERENCE_NAMES
    chosen: set[str] = set()
    for part in only.split(","):
        text = part.strip()
        # A name stands for itself, also where it begins others.
        found = [text] if text in REFERENCE_NAMES else [name for name in REFERENCE_NAMES if name.startswith(text)]
        if not text or not found:
            raise InputError(
                f"--only takes names or beginnings of names, joined by commas; {text!r} begins none of "
                f"{', '.join(REFERENCE_NAMES)}"
            )
        chosen.update(found)
    return tuple(name for name in REFERENCE_NAMES if name in chosen)


def time_networks(names: Sequence[str], conditions: Conditions) -> Iterator[Result]:
    """Each network counted and timed against the anchor, or its failure, as soon as it is known.

    The anchor's own 10th percentile is measured first and fixes the scale of all.
    """
    with Scratch() as folder, doing(f"timing {ANCHOR}") as at:
        anchor = _prepared(_built(ANCHOR, conditions), Path(folder, "anchor"), conditions)
        anchor_ms = compare(anchor, anchor, timing=conditions.timing, seed=conditions.seed).p10_ms
        for name in names:
            at.now(f"timing {name}")
            yield _time_network(name, conditions, anchor, anchor_ms)


def study_of(results: Sequence[Result], conditions: Conditions) -> ReferenceStudy:
    """The results in order, with a verdict on each of `GROUPS` that has two timed networks or more."""
    timed = sorted(
        (result for result in results if isinstance(result, TimedNetwork)), key=lambda network: network.latency_ms
    )
    verdicts: list[tuple[str, Verdict]] = []
    for group, families in GROUPS.items():
        verdict = verdict_of([network for network in timed if network.family in families])
        # A group of all that were timed would say everything twice.
        if verdict and (not verdicts or verdict.networks < len(timed)):
            verdicts.append((group, verdict))
    failed = tuple(result for result in results if isinstance(result, FailedNetwork))
    return ReferenceStudy(tuple(timed), failed, tuple(verdicts), _where(timed, conditions))


def to_json(study: ReferenceStudy, conditions: Conditions) -> dict[str, Any]:
    """All that a reader needs to judge the numbers, as plain JSON."""
    return {
        "schema": SCHEMA,
        "flop": FLOP,
        "anchor": ANCHOR,
        "conditions": asdict(conditions),
        "networks": [
            {**asdict(network), "latency": dict(network.latency.plain), "macs_per_ms": network.macs_per_ms}
            for network in study.timed
        ],
        "failures": [asdict(network) for network in study.failed],
        "verdicts": {group: _verdict_json(verdict) for group, verdict in study.verdicts},
    }


def _conditions(flags: argparse.Namespace) -> Conditions:
    precision = precision_of(flags)
    check_runtime(flags.runtime, flags.device, precision)
    return Conditions(flags.runtime, flags.device, flags.resolution, flags.classes, flags.seed, precision)


def _keeper(storage: str | None, classes: int) -> Callable[[Result], None]:
    """What keeps each result as soon as it is known."""
    if storage is None:
        return lambda result: None
    check_storage(storage)
    ledger = Ledger(engine_of(storage))

    def keep(result: Result) -> None:
        if isinstance(result, TimedNetwork):
            architecture = PRESETS.get(result.name)
            network = architecture.key() if architecture else result.name
            device = result.latency.fingerprint
            ledger.add([Measured(network, classes, device, "references", result.latency, architecture)])

    return keep


def _built(name: str, conditions: Conditions) -> Any:
    from proxies.references.networks import build_reference

    return build_reference(name, conditions.classes, seed=conditions.seed)


def _prepared(network: Any, stem: Path, conditions: Conditions) -> Prepared:
    return prepare(
        network,
        stem,
        resolution=conditions.resolution,
        runtime=conditions.runtime,
        device=conditions.device,
        precision=conditions.precision,
        seed=conditions.seed,
    )


def _time_network(name: str, conditions: Conditions, anchor: Prepared, anchor_ms: float) -> Result:
    from proxies.counting import count

    started = time.perf_counter()
    family = REFERENCE_FAMILIES[name]
    counts: tuple[int, int] | tuple[None, None] = (None, None)
    try:
        network = _built(name, conditions)
        counts = count(network, (1, 3, conditions.resolution, conditions.resolution))
        with Scratch() as folder:
            candidate = _prepared(network, Path(folder, "candidate"), conditions)
            timing, seed = conditions.timing, conditions.seed
            latency = compare(candidate, anchor, timing=timing, reference_ms=anchor_ms, seed=seed)
        how = checked_latency({**latency.to_dict(), "seconds": time.perf_counter() - started}, LEDGERED)
    except Exception as error:  # whatever an exporter or a runtime raises costs one row, not the run
        return FailedNetwork(name, family, " ".join(f"{type(error).__name__}: {error}".split()), *counts)
    return TimedNetwork(name, family, *counts, latency.latency_ms, how)


def _progress_line(result: Result, steps: Steps) -> str:
    if isinstance(result, TimedNetwork):
        text = f"{result.latency_ms:.3f} ms {result.latency.spread_text}"
    else:
        text = f"failed: {result.cause[:200]}"
    return f"{steps.done} of {steps.total}: {result.name}: {text} | {steps.left()}"


def _show(results: Sequence[Result], conditions: Conditions, out: Path) -> None:
    study = study_of(results, conditions)
    data = write_json(out / "references.json", to_json(study, conditions))
    page = write_reference_page(out / "references.html", study, FAMILIES)
    print(render_references(study))
    for path in (data, page):
        print(f"wrote {path}")


def _where(timed: Sequence[TimedNetwork], conditions: Conditions) -> str:
    task = f"One image of {conditions.resolution} px, {conditions.classes} classes"
    if not timed:
        return f"{task}, {conditions.runtime} on {conditions.device}, {conditions.precision}."
    how = timed[0].latency
    return (
        f"{task}, {how.runtime} {how.runtime_version} on {how.device}, {how.threads} thread, "
        f"{precision_named(how.precision)}; each timed in turn with {ANCHOR}, whose {how.reference_ms:.3f} ms fix the "
        "scale."
    )


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    worst = verdict.worst
    return {
        "networks": verdict.networks,
        "tau_macs": verdict.tau_macs,
        "tau_params": verdict.tau_params,
        "pairs": verdict.pairs,
        "misled": verdict.misled,
        "worst": worst
        and {
            "fewer_macs": worst.fewer.name,
            "more_macs": worst.more.name,
            "macs_ratio": worst.macs_ratio,
            "latency_ratio": worst.latency_ratio,
        },
        "alike": verdict.alike and [network.name for network in verdict.alike],
        "fastest": verdict.fastest.name,
        "slowest": verdict.slowest.name,
        "speed_spread": verdict.speed_spread,
    }
