"""Prints how many images a second two cores train on: a plain loop, and two of our processes, in turn in one run.

`python tests/benchmarks/cpu_training.py [--rounds 3] [--preset v2-1.0x] [--data fashion-mnist-12k]`

The plain loop is what most people write: DataLoader with two workers, torchvision's crop and flip image by image,
default threads, eager, the default memory format, torch's SGD and OneCycleLR. Network, images, batches, schedule and
validation are the same on both sides; both include validation. Accuracies are printed beside, one a round and seed.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from statistics import median
from typing import Any

from plain_loop import train_plainly

from nas.calibrate.__main__ import make_parser
from nas.calibrate.settings import settings_of
from nas.workers.local import LocalWorkers
from nas.workers.protocol import Workers
from proxies.data.load import load
from proxies.training.recipes import RECIPES, Recipe
from search_space import PRESETS, Architecture

PROCESSES = 2


def ours(architecture: Architecture, recipe: Recipe, workers: Workers, seed: int) -> tuple[float, list[float]]:
    """Images a second of the project's workers, one training each at a time, and the accuracies they reach."""
    started = time.perf_counter()
    for number, worker in enumerate(workers.all):
        worker.send("answer", architecture, recipe.to_dict(), PROCESSES * seed + number)
    results: list[dict[str, Any]] = [worker.receive() for worker in workers.all]
    seconds = time.perf_counter() - started
    images = sum(result["images_seen"] for result in results)
    return images / seconds, [result["validation_accuracies"][-1] for result in results]


def main() -> None:
    """Prints the rounds and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="v2-1.0x", choices=sorted(PRESETS))
    parser.add_argument("--data", default="fashion-mnist-12k")
    parser.add_argument("--images", type=int, default=5_000)
    flags = parser.parse_args()
    architecture = PRESETS[flags.preset]
    recipe = replace(RECIPES["short"], epochs=1, validate_every=1, max_images=flags.images)
    data = load(flags.data)
    settings = settings_of(make_parser().parse_args(["--data", flags.data, "--workers", str(PROCESSES)]))
    ratios = []
    with LocalWorkers(settings.setup) as workers:
        for worker in workers.all:
            worker.call("data_fingerprint")
        for number in range(flags.rounds):
            plain = train_plainly(architecture, data, recipe, number, "cpu")
            rate, accuracies = ours(architecture, recipe, workers, number)
            ratios.append(rate * plain.seconds / plain.images)
            print(
                f"plain {plain.images / plain.seconds:.0f} images/s, {plain.accuracy:.3f}; "
                f"ours {rate:.0f} images/s, {', '.join(f'{each:.3f}' for each in accuracies)}; x {ratios[-1]:.2f}",
                flush=True,
            )
    print(f"{flags.preset}: median x {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
