"""Which of the choices beside the default space's pay: pairs of networks of equal FLOPs, with and without each.

    python tests/benchmarks/wider_choices.py --data folder:cifar10-25k --out runs/wider --pairs 8

A pair's first network is the best of 20 random ones of the default space by the accuracy that its architecture lets
expect, with all of the budget used; the other has the same parameters and one choice more, and widths that use as much
of the budget again. Both are trained alike and timed in turn. Printed of each choice: how many points the network with
it is better, its latency over the other's, and what is left at equal latency, where a network of the same kind would
have used the time for more FLOPs (0.32 log-odds a unit of log FLOPs, as both papers' tables have it).

A training is a file of --out: the same line goes on where it was stopped, and several processes with the same --out
share the work.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nas.cli.command import Parser, run_command
from proxies.data.load import ImageData, load
from proxies.latency.measure import compare, prepare
from proxies.latency.protocol import QUICK, TIMINGS
from proxies.network import build
from proxies.training.recipes import Recipe
from proxies.training.trainer import train
from search_space import Architecture, Budget, SearchSpace, cost_of
from search_space.architecture import parse_bottleneck
from search_space.choices import Choices
from search_space.choosers import FixedChooser, PinnedChooser
from search_space.files import write_json
from studies.calibration.accuracy_fit import AccuracyFit
from studies.calibration.known_trainings import shipped_fit
from studies.text_table import table_text

DRAWN = 20
SLOPE = 0.32
"""Log-odds of accuracy a unit of log FLOPs."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A unit's architectures with these parameters beside those of the default space."""

    unit: str
    params: Mapping[str, Any]


STAGES = (2, 3, 4)
GROUPS = {"v2": (1, 2), "v1": (1, 2, 4, 8)}
"""Those of the plain networks: what wins in v2 has few, and a stem of 16 channels can be followed by all of them."""
CHOICES: Mapping[str, Choice] = {
    "xception, all stages": Choice("v2", {f"xception_{number}": True for number in STAGES}),
    "xception, stage 4": Choice("v2", {"xception_4": True}),
    "residual": Choice("v2", {"residual": True}),
    "pre_depthwise": Choice("v2", {"pre_depthwise": True}),
    "no shuffle": Choice("v2", {"shuffle": False}),
    "resolution 160": Choice("v2", {"resolution": 160}),
    "stem 16": Choice("v2", {"stem": 16}),
    "bottleneck 1/2": Choice("v1", {"bottleneck": "1/2"}),
    "bottleneck 1/8": Choice("v1", {"bottleneck": "1/8"}),
}
WITHOUT = "without"


def space_with(params: Mapping[str, Any], budget: Budget) -> SearchSpace:
    """The default space with these values for what it does not choose."""
    choices = Choices.default()
    given = {"stem": (params.get("stem", choices.stem[0]),), "shuffle": (params.get("shuffle", True),)}
    given |= {name: (params[name],) for name in ("residual", "pre_depthwise") if name in params}
    if "resolution" in params:
        given["resolutions"] = (params["resolution"],)
    if "bottleneck" in params:
        given["bottlenecks"] = (parse_bottleneck(params["bottleneck"]),)
    if any(name.startswith("xception") for name in params):
        given["xception"] = (False, True)
    if given["stem"] != choices.stem:
        given["groups"] = tuple(groups for groups in choices.groups if given["stem"][0] % groups == 0)
    return SearchSpace(replace(choices, **given), budget)


def base_params(unit: str, budget: Budget, pair: int, prior: AccuracyFit) -> dict[str, Any]:
    """The parameters of the best of some random networks of the unit, by what its architecture lets expect."""
    choices = replace(Choices.default(), units=(unit,), groups=GROUPS[unit])
    space = SearchSpace(choices, budget)
    found = []
    for number in range(DRAWN):
        chooser = PinnedChooser(DRAWN * pair + number, {"fill_percent": 100})
        architecture = space.suggest(chooser)
        found.append((prior.expect(architecture, cost_of(architecture).macs).log_odds, chooser.params))
    return max(found, key=lambda each: each[0])[1]


def pair_of(choice: Choice, params: Mapping[str, Any], budget: Budget) -> Architecture:
    """The network of these parameters with the choice."""
    off = {f"xception_{number}": False for number in STAGES}
    return space_with(choice.params, budget).suggest(FixedChooser({**off, **params, **choice.params}))


def networks_of(
    pair: int, budget: Budget, prior: AccuracyFit, names: Sequence[str]
) -> Iterator[tuple[str, str, Architecture]]:
    """Unit, name of the choice and network: the plain one of each unit, and those with a choice more."""
    for unit in ("v2", "v1"):
        params = base_params(unit, budget, pair, prior)
        yield unit, WITHOUT, pair_of(Choice(unit, {}), params, budget)
        for name, choice in CHOICES.items():
            if choice.unit == unit and name in names:
                yield unit, name, pair_of(choice, params, budget)


def trained(architecture: Architecture, data: ImageData, recipe: Recipe) -> dict[str, float]:
    """What the training came to, on images as much smaller as the network's own are than 224 pixels."""
    share = (architecture.resolution or 224) / 224
    sized = data.resized(round(share * data.image_size))
    _, training = train(
        architecture, sized, replace(recipe, stem_stride=recipe.stem_stride_at(data.image_size)), seed=0
    )
    return {
        "accuracy": training.validation_accuracies[-1],
        "loss": training.validation_losses[-1],
        "training_loss": training.training_losses[-1],
        "seconds": training.seconds,
    }


def ratio_to(base: Architecture, architecture: Architecture, seed: int) -> float:
    """The latency over the base's, in ONNX Runtime, timed in turn."""
    with tempfile.TemporaryDirectory() as folder:
        ready = [
            prepare(build(one), Path(folder, name), resolution=one.resolution or 224)
            for name, one in (("one", architecture), ("base", base))
        ]
        return compare(ready[0], ready[1], timing=TIMINGS[QUICK], seed=seed).ratio


def work(flags: Namespace) -> None:
    """Trains and times what no file of `--out` holds yet, pair by pair."""
    budget, prior = Budget.parse(flags.budget), shipped_fit("short")
    data = load(flags.data)
    recipe = Recipe(
        *("pairs", flags.epochs, 0.05), max_images=flags.images, image_scale=flags.scale, validate_every=flags.epochs
    )
    flags.out.mkdir(parents=True, exist_ok=True)
    for pair in range(flags.pairs):
        bases: dict[str, Architecture] = {}
        for unit, name, architecture in networks_of(pair, budget, prior, flags.choices):
            bases.setdefault(unit, architecture)
            file = flags.out / f"{pair}-{unit}-{name.replace(' ', '_').replace('/', '_').replace(',', '')}.json"
            lock = FileLock(file.with_suffix(".lock"), blocking=False)
            with suppress(Timeout), lock:
                if file.exists():
                    continue
                row = {"pair": pair, "unit": unit, "choice": name, "macs": cost_of(architecture).macs}
                row |= trained(architecture, data, recipe)
                row["ratio"] = 1.0 if name == WITHOUT else ratio_to(bases[unit], architecture, seed=pair)
                write_json(file, {**row, "architecture": architecture.to_dict()})
                print(row, file=sys.stderr)


def table(folder: Path) -> str:
    """What each choice came to, over the pairs that are whole."""
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    by_name = {(row["pair"], row["unit"], row["choice"]): row for row in rows}
    lines = []
    for name, choice in CHOICES.items():
        pairs = [
            (by_name[row["pair"], row["unit"], WITHOUT], row)
            for row in rows
            if row["choice"] == name and (row["pair"], choice.unit, WITHOUT) in by_name
        ]
        if not pairs:
            continue
        points = [100 * (row["accuracy"] - base["accuracy"]) for base, row in pairs]
        log_odds = [logit(row["accuracy"]) - logit(base["accuracy"]) for base, row in pairs]
        ratios = [math.log(row["ratio"]) for _, row in pairs]
        left = [gain - SLOPE * ratio for gain, ratio in zip(log_odds, ratios, strict=True)]
        losses = [row["loss"] - base["loss"] for base, row in pairs]
        lines.append(
            (
                choice.unit,
                name,
                str(len(pairs)),
                with_error(points, "{:+.2f}"),
                with_error(losses, "{:+.3f}"),
                f"{math.exp(statistics.mean(ratios)):.2f}",
                with_error(left, "{:+.3f}"),
            )
        )
    heads = ("unit", "choice", "pairs", "points", "validation loss", "latency, times", "log-odds at equal latency")
    return table_text(heads, lines, heads[2:])


def logit(share: float) -> float:
    """The log-odds."""
    return math.log(share / (1 - share))


def with_error(values: list[float], form: str) -> str:
    """The mean, and its standard error where there are several values."""
    mean = form.format(statistics.mean(values))
    if len(values) < 2:
        return mean
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean} ±{form.format(error).lstrip('+')}"


def make_parser() -> Parser:
    """The script's parser."""
    parser = Parser(prog="wider_choices.py", description="Which choices beside the default space's pay.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--budget", default="40mflops")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--scale", type=float, default=0.75, help="of the images' height and width")
    parser.add_argument("--choices", nargs="+", choices=CHOICES, default=tuple(CHOICES), metavar="CHOICE")
    parser.add_argument("--out", type=Path, default=Path("runs/wider"))
    parser.add_argument("--only-print", action="store_true", help="train nothing more")
    return parser


def main(flags: Namespace) -> int:
    """The exit status of the script."""
    if not flags.only_print:
        work(flags)
    print(table(flags.out))
    return 0


if __name__ == "__main__":
    sys.exit(run_command(make_parser(), main, None))
