"""Makes the calibration that ships: full trainings made elsewhere, beside SHORT trainings of the same networks here.

python tests/benchmarks/ship_truth.py                       prints how the scores of what ships rank
python tests/benchmarks/ship_truth.py TRUTH.jsonl --data folder:PATH --kept short.jsonl

TRUTH.jsonl has a JSON object a line: `name`, `architecture` (schema 1), `accuracy` by the recipe FULL below. SHORT
trainings are kept in a file of lines as they come, so the same line goes on; two cores: --part 0/2 and --part 1/2,
then the line without --part. It prints Kendall tau of every score, each network left out of its fit, and writes
studies/calibration/shipped/cifar10.json.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from nas.cli.command import Parser
from nas.search.settings import add_flags, settings_of
from nas.workers.evaluator import Evaluator
from proxies.training.recipes import RECIPES, Recipe
from proxies.zero_cost.method import ZERO_COST
from search_space.architecture import Architecture
from search_space.cost import cost_of
from studies.calibration.accuracy_fit import KnownTrainings
from studies.calibration.known_trainings import published_labels
from studies.calibration.results import Calibration, Made, Trained, calibration_of, scores_of
from studies.calibration.store import shipped, to_dict
from studies.facts import TrainingFacts
from studies.ranking import ranking_of

NAME = "cifar10"
SHIPPED = Path(__file__).parents[2] / "studies/calibration/shipped" / f"{NAME}.json"
FULL = Recipe(
    "16 epochs of all 50,000 images, on a GPU",
    epochs=16,
    learning_rate=1.0,
    batch_size=512,
    decay_norms=False,
    warmup_share=0.15,
    crop_padding=4,
    stem_stride=1,
)
SHORT = RECIPES["short"]
ABOVE_MACS = 80e6
SEED = 1


def main() -> None:
    """Trains what is missing, prints the table, writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path, nargs="?")
    parser.add_argument("--data")
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--part", default="0/1")
    flags = parser.parse_args()
    if flags.truth is None:
        print(table_of(shipped(NAME)))
        return
    rows = [json.loads(line) for line in flags.truth.read_text(encoding="utf-8").splitlines()]
    of_run = Parser()
    add_flags(of_run)
    evaluator = Evaluator(settings_of(of_run.parse_args(["--budget", "140mflops", "--data", flags.data])).setup, Path())
    part, parts = map(int, flags.part.split("/"))
    for row in rows[part::parts]:
        train_missing(row, evaluator, flags.kept)
    if parts > 1:
        return
    kept = kept_in(flags.kept)
    found = calibration_with(rows, kept, evaluator.data_fingerprint())
    print(table_of(found))
    SHIPPED.write_text(json.dumps(to_dict(found), allow_nan=False, separators=(",", ":")) + "\n", encoding="utf-8")


def train_missing(row: dict, evaluator: Evaluator, file: Path) -> None:
    """Adds what the file lacks of a network: its SHORT training, its scores at initialisation."""
    architecture, known = Architecture.from_dict(row["architecture"]), kept_in(file)
    for method in (SHORT.to_dict(), ZERO_COST):
        if (row["name"], method["name"]) not in known:
            line = {"name": row["name"], "method": method["name"], **evaluator.answer(architecture, method, SEED)}
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line) + "\n")
            print(row["name"], method["name"], f"{line['seconds']:.1f} s", flush=True)


def kept_in(file: Path) -> dict[tuple[str, str], dict]:
    """By network and method what the file holds."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {(line.pop("name"), line.pop("method")): line for line in map(json.loads, lines)}


def calibration_with(rows: list[dict], kept: dict[tuple[str, str], dict], fingerprint: str) -> Calibration:
    """The calibration of these full trainings and what was kept of the short ones."""
    recipes = {recipe.name: recipe.to_dict() for recipe in (SHORT, FULL)}
    made = Made(NAME, fingerprint, "145mflops", 224, 1000, FULL.name, recipes, (0,), "cpu", time.time())
    networks = []
    for row in rows:
        architecture = Architecture.from_dict(row["architecture"])
        cost = cost_of(architecture)
        scores, training = kept[row["name"], ZERO_COST["name"]], kept[row["name"], SHORT.name]
        networks.append(
            Trained(
                architecture,
                cost.macs,
                cost.params,
                ("stratified",),
                scores["scores"],
                scores["score_seconds"],
                {SHORT.name: TrainingFacts(training)},
                (row["accuracy"],),
            )
        )
    return calibration_of(made, networks, [SHORT.name], KnownTrainings(labels=published_labels()))


def table_of(found: Calibration) -> str:
    """Kendall tau of every score with full accuracy and its 90 % interval, overall and above 80 MFLOPs; its price."""
    scores, _ = scores_of(found.networks, [SHORT.name], KnownTrainings(labels=published_labels()))
    accuracies = np.array([network.accuracies[0] for network in found.networks])
    large = np.array([network.macs > ABOVE_MACS for network in found.networks])
    lines = [f"{'score':20}{'seconds':>8}{f'tau, all {len(large)}':>22}{f'above 80 MFLOPs, {large.sum()}':>24}"]
    for (name, recipe), by_key in scores.items():
        values = np.array([by_key[network.architecture.key()] for network in found.networks])
        taus = [ranking_of(values[which], [accuracies[which]]).tau for which in (large | True, large)]
        lines.append(f"{f'{name} {recipe}':20}{found.row(name, recipe).seconds:8.3g}{taus[0]!s:>22}{taus[1]!s:>24}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
