"""A study's front held against the truth: its picks and the hand-made networks trained alike, and fully.

python tests/benchmarks/front_truth.py --study NAME --data folder:cifar10-25k --epochs 30 --seeds 2 --out runs/truth

Each network is trained by the recipe `full` with so many epochs and every seed, one process a core; all are timed
together in turn with V2 1.0x. Printed at each pick: how far its accuracy lies above the interpolated front of all
references at the same measured latency, with the standard error; and drawn. A training is a file of --out, so that the
same line goes on where it was stopped, and several processes with the same --out share the work.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from torch import nn

from nas.cli.architectures import FOUND, NamedNetwork, named_network
from nas.cli.command import Parser, make_folder, run_command
from nas.search.outputs import findings_of
from proxies.counting import count
from proxies.data.load import ImageData, load, normalise
from proxies.data.names import EMBEDDED
from proxies.data.test_images import HeldOut, load_test
from proxies.latency.measure import Prepared, compare, prepare
from proxies.latency.setup import DEFAULT_RUNTIME
from proxies.network import build
from proxies.references.networks import build_reference
from proxies.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from proxies.training.recipes import RECIPES, Recipe
from proxies.training.result import TrainingError
from proxies.training.trainer import Trainer
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.files import write_json, write_whole
from search_space.presets import ANCHOR
from studies.front import front_of, pick
from studies.record import Record
from studies.report.figures import BLUE, GREY, ORANGE, styled
from studies.storage.studies import SETTINGS, load_study, open_storage, references_of

REFERENCES = (
    *("v1-0.5x-g3", "v1-1.0x-g3", "v1-1.0x-g8", "v2-0.5x", "v2-1.0x"),
    *("mobilenet-v2-0.15", "mobilenet-v2-0.4", "mobilenet-v2-0.6", "mobilenet-v3-small"),
)
FASTEST_THIRD = "fastest-third"
PICKS = (FASTEST_THIRD, "knee", "best")
BATCH = 250


# the front of the references, and the gap to it


@dataclass(frozen=True, slots=True)
class Point:
    """A network as trained and timed; `correct` (seeds, images) says which images each training tells right."""

    name: str
    latency_ms: float
    correct: np.ndarray

    @property
    def accuracy(self) -> float:
        """The mean over seeds and images, in [0, 1]."""
        return float(self.correct.mean())


@dataclass(frozen=True, slots=True)
class Gap:
    """How far an accuracy lies above the references' front at its latency, in [0, 1].

    `standard_error` is of seeds and images, or of images alone where no network has two seeds (`has_seeds`). `between`
    are the references that the front is interpolated from there; one where it ends, and is `extrapolated`.
    """

    gap: float
    front_accuracy: float
    standard_error: float
    has_seeds: bool
    between: tuple[str, ...]
    extrapolated: bool


def weights_at(front: Sequence[Point], latency_ms: float) -> tuple[dict[str, float], bool]:
    """The share of each point in the front's accuracy there, and whether the front does not reach so far.

    Linear over the logarithm of the latency from one point to the next; beyond its ends, the nearest end.
    """
    if not front:
        raise InputError("a gap needs a trained and timed reference, and there is none: let one be trained")
    if not front[0].latency_ms <= latency_ms <= front[-1].latency_ms:
        return {front[0 if latency_ms < front[0].latency_ms else -1].name: 1.0}, True
    for left, right in pairwise(front):
        if left.latency_ms < latency_ms < right.latency_ms:
            share = math.log(latency_ms / left.latency_ms) / math.log(right.latency_ms / left.latency_ms)
            return {left.name: 1 - share, right.name: share}, False
    return {next(point.name for point in front if point.latency_ms == latency_ms): 1.0}, False


def seed_variance(points: Sequence[Point]) -> float | None:
    """The variance of an accuracy from one seed to another, pooled over the networks; None with one seed each."""
    squares = degrees = 0.0
    for point in points:
        accuracies = point.correct.mean(axis=1)
        squares += float(((accuracies - accuracies.mean()) ** 2).sum())
        degrees += len(accuracies) - 1
    return squares / degrees if degrees else None


def gap_of(point: Point, references: Sequence[Point], variance: float | None) -> Gap:
    """The gap between a point and the references' front, whose shape is taken as it is seen.

    All networks are asked the same images, so the images' error is that of the difference image by image. It holds a
    part of the seeds' variance as well, so that the sum of both is rather too large than too small.
    """
    front = front_of(references)
    weights, extrapolated = weights_at(front, point.latency_ms)
    between = [each for each in front if each.name in weights]
    front_accuracy = sum(weights[each.name] * each.accuracy for each in between)
    by_image = point.correct.mean(axis=0) - sum(weights[each.name] * each.correct.mean(axis=0) for each in between)
    squared_error = float(by_image.var(ddof=1)) / by_image.size
    if variance is not None:
        shares = (1 / len(point.correct), *(weights[each.name] ** 2 / len(each.correct) for each in between))
        squared_error += variance * sum(shares)
    return Gap(
        point.accuracy - front_accuracy,
        front_accuracy,
        math.sqrt(squared_error),
        variance is not None,
        tuple(each.name for each in between),
        extrapolated,
    )


def picked(front: Sequence[Record], names: Sequence[str]) -> dict[str, Record]:
    """The front's records by the names of `studies.front.pick`, or "fastest-third": the slowest of that third."""
    third = front[max(0, math.ceil(len(front) / 3) - 1)] if front else None
    return {name: third if name == FASTEST_THIRD and third else pick(front, name) for name in names}


# trainings


@dataclass(frozen=True, slots=True)
class Task:
    """How all networks are trained: on which data (name and fingerprint), by which recipe, kept in which folder."""

    data: str
    fingerprint: str
    recipe: Recipe
    folder: Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """A training that is wanted."""

    network: NamedNetwork
    macs: int
    seed: int


def file_of(wanted: Wanted, task: Task) -> Path:
    """Where the training's result is kept; another recipe or other data mean another file."""
    method = json.dumps([wanted.network.network.to_dict(), task.fingerprint, task.recipe.to_dict()], sort_keys=True)
    digest = hashlib.sha256(method.encode()).hexdigest()[:8]
    return task.folder / f"{wanted.network.name}-seed{wanted.seed}-{digest}.json"


def in_order(networks: Sequence[NamedNetwork], seeds: int) -> list[Wanted]:
    """All trainings by the first seed, then by the second; of a seed, those of fewest FLOPs first."""
    macs = {network.name: count(_built(network, 1000), (1, 3, 224, 224))[0] for network in networks}
    wanted = [Wanted(network, macs[network.name], seed) for network in networks for seed in range(1, seeds + 1)]
    return sorted(wanted, key=lambda each: (each.seed, each.macs))


def train_all(wanted: Sequence[Wanted], task: Task, cores: Sequence[int]) -> None:
    """Makes the missing trainings, a process a core."""
    missing = [each for each in wanted if not file_of(each, task).exists()]
    print(f"{len(wanted) - len(missing)} of {len(wanted)} trainings are there", flush=True)
    if not missing:
        return
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=train_missing, args=(missing, task, core)) for core in cores]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def train_missing(wanted: Sequence[Wanted], task: Task, core: int) -> None:
    """Makes the trainings that nobody else has made or is making, on this core with what time others leave of it."""
    os.sched_setaffinity(0, {core})
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    torch.set_num_threads(1)
    data, test = load(task.data), load_test(task.data)
    for each in wanted:
        with claimed(file_of(each, task)) as is_ours:
            if is_ours and not file_of(each, task).exists():
                try:
                    result = trained(each, task, data, test)
                except TrainingError as error:
                    print(f"{each.network.name}, seed {each.seed}: {error}", flush=True)
                else:
                    write_whole(file_of(each, task), (json.dumps(result) + "\n").encode())
                    _checkpoint_of(each, task).unlink(missing_ok=True)


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether this process may work on the file; it may until it leaves the block or ends."""
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def trained(wanted: Wanted, task: Task, data: ImageData, test: HeldOut | None) -> dict[str, Any]:
    """The training's result as plain JSON; goes on from its checkpoint where there is one."""
    network = wanted.network.network
    architecture = network if isinstance(network, Architecture) else partial(_reference, network.name)
    checkpoint, identity = _checkpoint_of(wanted, task), {"data": data.fingerprint}
    name, epochs = f"{wanted.network.name}, seed {wanted.seed}", task.recipe.epochs
    with closing(Trainer(architecture, data, task.recipe, seed=wanted.seed)) as trainer:
        if checkpoint.exists():
            trainer.load_state_dict(read_checkpoint(checkpoint).trainer)
        while not trainer.is_done:
            trainer.run_epoch()
            write_checkpoint(checkpoint, Checkpoint(identity, trainer.state_dict()))
            if trainer.epoch % 5 == 0 or trainer.epoch == 1:
                print(f"{time.strftime('%H:%M')} {name}: epoch {trainer.epoch}, {trainer.seconds:.0f} s", flush=True)
        images, labels = test or (data.val_images, data.val_labels)
        correct = told_right(trainer.trained_network, images, labels, trainer.data)
    accuracy = float(correct.mean())
    print(f"{name}: {100 * accuracy:.2f} % after {epochs} epochs, {trainer.seconds:.0f} s", flush=True)
    return {
        "name": wanted.network.name,
        "seed": wanted.seed,
        "macs": wanted.macs,
        "data": data.fingerprint,
        "split": "test" if test else "validation",
        "accuracy": accuracy,
        "images": len(correct),
        "correct": np.packbits(correct).tobytes().hex(),
        "training": trainer.training.to_dict(),
    }


@torch.inference_mode()
def told_right(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, data: ImageData) -> np.ndarray:
    """Which of the uint8 images (n, c, h, w) the network tells right: n booleans."""
    network.eval()
    parts = zip(images.split(BATCH), labels.split(BATCH), strict=True)
    right = [network(normalise(part, *data.channel_stats)).argmax(dim=1) == targets for part, targets in parts]
    return torch.cat(right).numpy()


def results_of(wanted: Sequence[Wanted], task: Task) -> dict[str, list[dict[str, Any]]]:
    """The results that are there, by the network's name: a list over seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in wanted:
        if (path := file_of(each, task)).exists():
            found.setdefault(each.network.name, []).append(json.loads(path.read_text(encoding="utf-8")))
    return found


def _checkpoint_of(wanted: Wanted, task: Task) -> Path:
    return file_of(wanted, task).with_suffix(".pt")


def _reference(name: str, num_classes: int, in_channels: int, stem_stride: int, seed: int) -> nn.Module:
    return build_reference(name, num_classes, in_channels, stem_stride, seed=seed)


def _built(network: NamedNetwork, classes: int) -> nn.Module:
    given = network.network
    return build(given, classes) if isinstance(given, Architecture) else build_reference(given.name, classes)


# latencies


def latencies_of(
    networks: Sequence[NamedNetwork], folder: Path, passes: int, settings: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """How each network was timed, by name: all in one go, in random order, each in turn with V2 1.0x.

    What the folder holds of an earlier go stands where it holds all of them. `latency_ms` is the mean over the passes,
    `spread` twice the standard error as a share of it: the protocol's own, or what the passes differ by if more. Passes
    do not lessen the former, for it is mostly of the machine's state, the same in all of them.
    """
    kept = folder / "latencies.json"
    if kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if {network.name for network in networks} <= found.keys():
            return found
    with tempfile.TemporaryDirectory() as files:
        ready = {each.name: _prepared(each, Path(files, f"network-{i}"), settings) for i, each in enumerate(networks)}
        found = _timed(ready, passes)
    write_json(kept, found)
    return found


def _prepared(network: NamedNetwork, stem: Path, settings: Mapping[str, Any]) -> Prepared:
    built = _built(network, settings["classes"])
    return prepare(built, stem, resolution=settings["resolution"], runtime=settings["runtime"])


def _timed(ready: Mapping[str, Prepared], passes: int) -> dict[str, dict[str, Any]]:
    readings: dict[str, list[dict[str, Any]]] = {name: [] for name in ready}
    anchor_ms = compare(ready[ANCHOR], ready[ANCHOR]).p10_ms
    for number in range(passes):
        for name in random.Random(number).sample(sorted(ready), len(ready)):
            latency = compare(ready[name], ready[ANCHOR], reference_ms=anchor_ms, seed=number).to_dict()
            readings[name].append(latency)
            text = f"{latency['latency_ms']:.3f} ms ±{50 * latency['spread']:.1f} %, load {latency['load_average']:.1f}"
            print(f"pass {number + 1} of {passes}, {name}: {text}", flush=True)
    return {name: _over_passes(each) for name, each in readings.items()}


def _over_passes(readings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    times = [reading["latency_ms"] for reading in readings]
    mean = statistics.fmean(times)
    own = statistics.fmean(reading["spread"] for reading in readings)
    between = 2 * statistics.stdev(times) / math.sqrt(len(times)) / mean if len(times) > 1 else 0.0
    return {"latency_ms": mean, "spread": max(own, between), "passes": list(readings)}


# what is printed, written and drawn


def points_of(results: Mapping[str, list[dict[str, Any]]], latencies: Mapping[str, Mapping[str, Any]]) -> list[Point]:
    """The networks that were trained and timed, fastest first."""
    points = [Point(name, latencies[name]["latency_ms"], _right(rows)) for name, rows in results.items()]
    return sorted(points, key=lambda point: point.latency_ms)


def _right(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    packed = [np.frombuffer(bytes.fromhex(row["correct"]), dtype=np.uint8) for row in rows]
    return np.array([np.unpackbits(each, count=row["images"]) for each, row in zip(packed, rows, strict=True)])


def table_of(points: Sequence[Point], macs: Mapping[str, int], picks: Mapping[str, str], anchor_ms: float) -> str:
    """A row for each network: what it costs, its accuracy by each seed, and which pick it is."""
    lines = [f"{'network':24}{'MFLOPs':>8}{'ms':>8}{'of V2 1.0x':>12}{'accuracy, %':>13}  by seed"]
    for point in points:
        seeds = " ".join(f"{100 * each:.2f}" for each in point.correct.mean(axis=1))
        cost = f"{macs[point.name] / 1e6:8.1f}{point.latency_ms:8.3f}{point.latency_ms / anchor_ms:12.3f}"
        which = ", ".join(name for name, of in picks.items() if of == point.name)
        lines.append(f"{point.name:24}{cost}{100 * point.accuracy:13.2f}  {seeds}  {which}".rstrip())
    return "\n".join(lines)


def gap_line(pick_name: str, point: Point, gap: Gap) -> str:
    """The pick's gap in a line."""
    where = " and ".join(gap.between)
    where = (
        f"extrapolated from {where}" if gap.extrapolated else f"between {where}" if "and" in where else f"at {where}"
    )
    of = "" if gap.has_seeds else " (of the images alone: no network has two seeds)"
    return (
        f"{pick_name} ({point.name}, {point.latency_ms:.3f} ms): {100 * gap.gap:+.2f} points "
        f"±{100 * gap.standard_error:.2f}{of} above the references' front, {100 * gap.front_accuracy:.2f} %, {where}"
    )


def picture(points: Sequence[Point], picks: Mapping[str, str], variance: float | None) -> go.Figure:
    """Accuracy against latency: the picks, every reference by name, and the front of the references as a line."""
    found = [point for point in points if point.name in picks.values()]
    references = [point for point in points if point.name not in picks.values()]
    labels = {name: ", ".join(each for each, of in picks.items() if of == name) for name in picks.values()}
    front = front_of(references)
    line = go.Scatter(
        name="front of the references",
        x=[point.latency_ms for point in front],
        y=[100 * point.accuracy for point in front],
        mode="lines",
        line={"color": ORANGE},
    )
    hand_made = _drawn("hand-made", references, variance, {point.name: point.name for point in references}, GREY)
    searched = _drawn("searched", found, variance, labels, BLUE).update(marker_size=12)
    figure = styled(go.Figure([line, hand_made, searched]), "measured latency, ms", "accuracy, fully trained, %")
    return figure.update_xaxes(type="log", tickformat="~g", dtick="D1")


def _drawn(
    name: str, points: Sequence[Point], variance: float | None, labels: Mapping[str, str], colour: str
) -> go.Scatter:
    errors = [100 * math.sqrt((variance or 0.0) / len(point.correct)) for point in points]
    return go.Scatter(
        name=name,
        x=[point.latency_ms for point in points],
        y=[100 * point.accuracy for point in points],
        error_y={"type": "data", "array": errors, "thickness": 1, "width": 3, "visible": variance is not None},
        text=[labels[point.name] for point in points],
        mode="markers+text",
        textposition="top center",
        cliponaxis=False,
        marker={"color": colour, "size": 9},
    )


def make_parser() -> Parser:
    """The parser of the flags."""
    parser = Parser(prog="front_truth.py", description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--study", help="name of the study whose front is held against the truth")
    add("--storage", help="its database URL (default: runs/STUDY/study.db)")
    add("--data", help=f"images to train on (default: the study's, or {EMBEDDED})")
    add("--epochs", type=int, default=30, help="epochs of the recipe full")
    add("--images", type=int, help="train on so many of the training images, the same for every network (default: all)")
    add("--seeds", type=int, default=2, help="trainings of each network")
    add("--picks", default=",".join(PICKS), help="of the front: these, fastest, or beginnings of keys")
    add("--references", default=",".join(REFERENCES), help="what it is held against, as nas.compare names them")
    add("--train-only", metavar="NAMES", help="only train these networks, named as references are; no study is needed")
    add("--trained-so-far", action="store_true", help="train nothing: tell and draw what there is")
    add("--passes", type=int, default=2, help="times that all networks are timed")
    add("--cores", help="train on these cores, such as 0,1 (default: all)")
    add("--png", type=Path, help="draw the picture here as well; needs kaleido and Chromium or Chrome")
    add("--out", type=Path, default=Path("runs/truth"), help="folder for trainings, latencies, truth.json and picture")
    return parser


def run(flags: Namespace) -> int:
    """The exit status: 1 where a training is missing."""
    settings: Mapping[str, Any] = {}
    found: dict[str, Record] = {}
    if not flags.train_only:
        if not flags.study:
            raise InputError("a front must be named by --study, or networks by --train-only: give one")
        storage = open_storage(flags.storage or f"sqlite:///runs/{flags.study}/study.db", must_exist=True)
        study = load_study(storage, flags.study)
        settings = study.user_attrs[SETTINGS]
        found = picked(findings_of(study, references_of(study, storage)).front, flags.picks.split(","))
    recipe = replace(RECIPES["full"], epochs=flags.epochs, max_images=flags.images)
    data = flags.data or settings.get("data", EMBEDDED)
    task = Task(data, load(data).fingerprint, recipe, make_folder(flags.out))
    named = [named_network(name) for name in (flags.train_only or flags.references).split(",")]
    searched = {record.name: NamedNetwork(record.name, FOUND, record.architecture) for record in found.values()}
    wanted = in_order([*searched.values(), *named], flags.seeds)
    if not flags.trained_so_far:
        train_all(wanted, task, _cores(flags.cores))
    results = results_of(wanted, task)
    missing = len(wanted) - sum(map(len, results.values()))
    if missing:
        print(f"{missing} of {len(wanted)} trainings are missing: failed, or being made elsewhere", file=sys.stderr)
    if found:
        trained_networks = [each for each in (*searched.values(), *named) if each.name in results]
        _tell(flags, {**_DEPLOYMENT, **settings}, found, trained_networks, results)
    return 1 if missing else 0


_DEPLOYMENT = {"resolution": 224, "classes": 1000, "runtime": DEFAULT_RUNTIME}


def _tell(
    flags: Namespace,
    settings: Mapping[str, Any],
    found: Mapping[str, Record],
    networks: Sequence[NamedNetwork],
    results: Mapping[str, list[dict[str, Any]]],
) -> None:
    anchor = NamedNetwork(ANCHOR, "", named_network(ANCHOR).network)
    latencies = latencies_of(
        [*{each.name: each for each in (*networks, anchor)}.values()], flags.out, flags.passes, settings
    )
    points = points_of(results, latencies)
    picks = {name: record.name for name, record in found.items()}
    references = [point for point in points if point.name not in picks.values()]
    variance = seed_variance(points)
    macs = {name: rows[0]["macs"] for name, rows in results.items()}
    print(table_of(points, macs, picks, latencies[ANCHOR]["latency_ms"]))
    gaps = {}
    for name, of in picks.items():
        for point in points:
            if point.name == of:
                gaps[name] = gap_of(point, references, variance)
                print(gap_line(name, point, gaps[name]))
    text = {"picks": picks, "gaps": {name: asdict(gap) for name, gap in gaps.items()}, "seed_variance": variance}
    rows = {
        name: {"accuracies": [row["accuracy"] for row in rows], "macs": macs[name]} for name, rows in results.items()
    }
    timed = {name: {"latency_ms": each["latency_ms"], "spread": each["spread"]} for name, each in latencies.items()}
    content = {"command": sys.argv, "settings": dict(settings), **text, "trainings": rows, "latencies": timed}
    write_json(flags.out / "truth.json", content)
    figure = picture(points, picks, variance)
    figure.write_html(flags.out / "front_truth.html", include_plotlyjs=True)
    print(f"wrote {flags.out / 'truth.json'} and {flags.out / 'front_truth.html'}")
    if flags.png:
        figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", font_color="#222222")
        figure.write_image(flags.png, width=900, height=480, scale=2)
        print(f"wrote {flags.png}")


def _cores(text: str | None) -> list[int]:
    allowed = sorted(os.sched_getaffinity(0))
    cores = [int(each) for each in text.split(",")] if text else allowed
    if not set(cores) <= set(allowed):
        raise InputError(f"--cores must be some of {', '.join(map(str, allowed))}, got {text!r}")
    return cores


def main() -> int:
    """The exit status."""
    return run_command(make_parser(), run, None)


if __name__ == "__main__":
    sys.exit(main())
