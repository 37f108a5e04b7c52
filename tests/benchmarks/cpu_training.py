"""Prints how many images a second two cores train on: a plain loop, and two of our processes, in turn in one run.

`python tests/benchmarks/cpu_training.py [--rounds 3] [--preset v2-1.0x] [--data fashion-mnist-12k]`

The plain loop is what most people write: DataLoader with two workers, torchvision's crop and flip image by image,
default threads, eager, the default memory format, torch's SGD and OneCycleLR. Network, images, batches, schedule and
validation are the same on both sides; both include validation. Accuracies are printed beside, one a round and seed.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from nas.calibrate import CALIBRATOR, make_parser
from nas.calibration_settings import settings_of
from nas.workers import Workers
from proxies.data import ImageData, load
from proxies.network import build
from proxies.recipes import RECIPES, Recipe
from proxies.training import training_rows
from search_space import PRESETS, Architecture

PROCESSES = 2


@dataclass(frozen=True)
class Outcome:
    """Images a second over all cores, and the validation accuracies reached."""

    images_per_second: float
    accuracies: tuple[float, ...]


class Images(Dataset[tuple[Tensor, int]]):
    """The recipe's training images one by one, as most loops read them."""

    def __init__(self, data: ImageData, recipe: Recipe) -> None:
        rows = training_rows(len(data.train_images), recipe)
        self._images, self._labels = data.train_images[rows], data.train_labels[rows]
        mean, deviation = data.channel_stats
        self._change = v2.Compose(
            [
                v2.RandomCrop(data.image_size, padding=recipe.crop_padding),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(mean, deviation),
            ]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self._change(self._images[row]), int(self._labels[row])


def plain(architecture: Architecture, data: ImageData, recipe: Recipe, seed: int) -> Outcome:
    """What the plain loop does."""
    data = data.resized(recipe.image_size(data.image_size))
    torch.manual_seed(seed)
    network = build(architecture, data.num_classes, data.channels, recipe.stem_stride_at(data.image_size), seed=seed)
    started = time.perf_counter()
    loader = DataLoader(Images(data, recipe), recipe.batch_size, shuffle=True, num_workers=2, persistent_workers=True)
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe.learning_rate,
        total_steps=recipe.epochs * len(loader),
        pct_start=recipe.warmup_share,
        cycle_momentum=False,
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    for _ in range(recipe.epochs):
        network.train()
        for images, labels in loader:
            optimizer.zero_grad()
            criterion(network(images), labels).backward()
            optimizer.step()
            schedule.step()
    accuracy = validated(network, data)
    seconds = time.perf_counter() - started
    return Outcome(recipe.epochs * len(loader.dataset) / seconds, (accuracy,))  # type: ignore[arg-type]


@torch.inference_mode()
def validated(network: nn.Module, data: ImageData) -> float:
    """The share of validation images that the network is right on."""
    network.eval()
    mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in data.channel_stats)
    found = [network((part / 255 - mean) / deviation).argmax(1) for part in data.val_images.split(250)]
    return (torch.cat(found) == data.val_labels).float().mean().item()


def ours(architecture: Architecture, recipe: Recipe, workers: Workers, seed: int) -> Outcome:
    """What the project's workers do, one training each at a time."""
    started = time.perf_counter()
    for number, worker in enumerate(workers.all):
        worker.send("answer", architecture, recipe.to_dict(), PROCESSES * seed + number)
    results: list[dict[str, Any]] = [worker.receive() for worker in workers.all]
    seconds = time.perf_counter() - started
    images = sum(result["images_seen"] for result in results)
    return Outcome(images / seconds, tuple(result["validation_accuracies"][-1] for result in results))


def main() -> None:
    """Nothing: prints the rounds and the medians."""
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
    pairs = []
    with Workers(settings, CALIBRATOR) as workers:
        for worker in workers.all:
            worker.call("data_fingerprint")
        for number in range(flags.rounds):
            pairs.append((plain(architecture, data, recipe, number), ours(architecture, recipe, workers, number)))
            before, after = pairs[-1]
            ratio = after.images_per_second / before.images_per_second
            print(
                f"plain {before.images_per_second:.0f} images/s, {[f'{a:.3f}' for a in before.accuracies]}; "
                f"ours {after.images_per_second:.0f} images/s, {[f'{a:.3f}' for a in after.accuracies]}; x {ratio:.2f}",
                flush=True,
            )
    ratios = sorted(after.images_per_second / before.images_per_second for before, after in pairs)
    print(f"{flags.preset}: median x {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
