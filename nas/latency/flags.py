"""The flags of each subcommand of `nas.latency`. Without optuna and plotly, which take seconds to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from nas.cli.architectures import ARCHITECTURES
from nas.cli.architectures import NETWORKS as NAMED_NETWORKS
from nas.cli.command import Parser
from nas.cli.flags import (
    Number,
    add_classifier_flags,
    add_precision_flag,
    add_runtime_flags,
    add_seed_flag,
    add_space_flag,
    add_task_flags,
    between,
    duration,
)
from nas.cli.storage import add_storage_flag
from proxies.latency.protocol import TIMINGS
from proxies.latency.setup import DEFAULT_RUNTIME
from proxies.references.names import REFERENCE_NAMES
from search_space.bounds import BATCHES, CLASSES, NETWORKS, RESOLUTIONS, Bounds
from search_space.plan import NO_CLASSIFIER
from search_space.precision import kept_precision

EXPLAINED_RUNTIME = "onnxruntime"
"""The runtime that says here what each node of a network takes."""
CONDITIONS = ("quiet", "loaded")
FILTERS: Mapping[str, Bounds | None] = MappingProxyType(
    {
        **dict.fromkeys(("device", "runtime", "precision")),
        "resolution": RESOLUTIONS,
        "batch_size": BATCHES,
        "classes": replace(CLASSES, least=NO_CLASSIFIER),
    }
)
"""What measurements are chosen by, each with the bounds of those that are numbers."""


def _check(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--time",
        type=duration,
        default="5m",
        help="how long it may take, such as 5m; Ctrl-C ends it earlier with what there is",
    )
    add("--repeats", type=between(2, 10_000), default=10, help="most measurements of each network in each condition")
    add(
        "--conditions", default=",".join(CONDITIONS), help="quiet: as the machine is; loaded: work on every core beside"
    )
    add("--depths", default=",".join(TIMINGS), help="quick: as a search times candidates; full: as it times its front")
    add_runtime_flags(parser)
    add("--resolution", type=Number(RESOLUTIONS), default=224, help="pixels of the square input")
    add("--out", type=Path, default=Path("runs/latency-check"), help="folder for all measurements as JSON")


def _measure(parser: Parser) -> None:
    add = parser.add_argument
    add("architectures", nargs="*", help=ARCHITECTURES)
    drawn = "so many random architectures of the space too"
    add("--random", type=Number(replace(NETWORKS, least=0)), default=0, help=drawn)
    add("--budget", default="140mflops", help="what random architectures keep to")
    add_space_flag(parser)
    add_seed_flag(parser, "seed of the first random architecture; the next has the next seed")
    add_runtime_flags(parser)
    add_task_flags(parser, "latency is measured")
    add("--batch-size", type=Number(BATCHES), default=1, help="images that run at once")
    add_storage_flag(parser, "of the ledger that keeps each measurement", "none is kept")


def _time(parser: Parser) -> None:
    add = parser.add_argument
    add("files", nargs="+", type=Path, help="ONNX files, such as those of nas.export")
    add("--runtime", default=DEFAULT_RUNTIME, help="onnxruntime or openvino")


def _explain(parser: Parser) -> None:
    add = parser.add_argument
    add("network", metavar="NETWORK", help=f"{NAMED_NETWORKS}; ONNX files")
    add_runtime_flags(parser)
    add_task_flags(parser, "latency is measured")
    add("--layers", action="store_true", help="print each layer, and each node that the runtime adds, as they run")
    add_storage_flag(parser, "of the ledger whose latencies the fitted shares are of", "the prior that ships")
    add("--out", type=Path, help="folder for explain.json (default: none is written)")


def _references(parser: Parser) -> None:
    add = parser.add_argument
    add_runtime_flags(parser)
    add_classifier_flags(parser, "networks are counted and timed")
    add("--only", help=f"names or beginnings of names, joined by commas, of: {', '.join(REFERENCE_NAMES)}")
    add_seed_flag(parser, "seed of weights, input and order")
    add_storage_flag(parser, "of the ledger that keeps each measurement", "none is kept")
    add("--out", type=Path, default=Path("runs/references"), help="folder for references.json and references.html")


def _bundle(parser: Parser) -> None:
    add = parser.add_argument
    add("architectures", nargs="*", help=ARCHITECTURES)
    add_storage_flag(parser, "of a study whose front is bundled too", "none; the variable counts with --study alone")
    add("--study", help="the study's name (default: the only one in the storage)")
    add_task_flags(parser, "latency is measured")
    add_precision_flag(parser)
    add("--out", type=Path, default=Path("bundle"), help="a folder, or a file that ends in .zip")


def _import(parser: Parser) -> None:
    add = parser.add_argument
    add("results", type=Path, help="the results file that the bundle's script wrote")
    add("--bundle", type=Path, required=True, help="the bundle that was measured: folder or .zip")
    add_storage_flag(parser, "of the ledger")
    add("--device", help="a name for the device (default: its fingerprint)")


def _agent(parser: Parser) -> None:
    add = parser.add_argument
    add_storage_flag(parser, "of the study that asks")
    add("--device", required=True, help="the name that searches call this device by, with --latency-from")
    add("--idle", type=duration, help="end after this long without work, such as 1h (default: serve until stopped)")


def _list(parser: Parser) -> None:
    add_storage_flag(parser, "of the ledger")


def _predict(parser: Parser) -> None:
    add = parser.add_argument
    add("architectures", nargs="*", help=f"{ARCHITECTURES}, to predict the latency of")
    add_storage_flag(parser, "of the ledger")
    for name, bounds in FILTERS.items():
        kind = Number(bounds) if bounds else kept_precision if name == "precision" else str
        add(f"--{name.replace('_', '-')}", type=kind, help=f"only measurements of this {name.replace('_', ' ')}")


FLAGS: Mapping[str, Callable[[Parser], None]] = MappingProxyType(
    {
        "check": _check,
        "measure": _measure,
        "time": _time,
        "explain": _explain,
        "references": _references,
        "bundle": _bundle,
        "import": _import,
        "agent": _agent,
        "list": _list,
        "predict": _predict,
    }
)
"""Subcommand -> what adds its flags to its parser."""
