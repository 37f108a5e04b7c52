"""How many candidates does a CUDA device train an hour: by a plain loop, and by ours?

    python tests/benchmarks/cuda_training.py --rounds 3

trains each preset by both, in turn, with the same recipe on the same data, from building the network to its last
validation. The plain loop is what one writes first: a DataLoader with 2 workers that crop and flip image by image,
eager float32, torch's SGD and schedule. Ours is `train` of `proxies.training.trainer`. A first round
that warms up libraries is not counted.
"floor" is the time in which the device's memory could be read and written as often as an image's activations
must be (once forward and twice backward, batch norms and activations fused away), over the time ours took. Where there
is no CUDA device it says so in one line.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from plain_loop import Outcome, train_plainly

from proxies.data.load import ImageData, load
from proxies.training.cuda_graph import CapturedStep
from proxies.training.recipes import RECIPES, Recipe
from proxies.training.trainer import train
from search_space import PRESETS, Architecture, cost_of
from search_space.cost import BYTES_PER_ELEMENT
from search_space.widths import scaled

OUR_BYTES_PER_VALUE = 2
"""Of bf16, which our activations are in."""


def train_ours(architecture: Architecture, data: ImageData, recipe: Recipe, seed: int, device: str) -> Outcome:
    """The outcome of the project's training."""
    started = time.perf_counter()
    _, training = train(architecture, data, recipe, seed=seed, device=device)
    return Outcome(time.perf_counter() - started, training.images_seen, training.accuracy)


@contextmanager
def capture_times() -> Iterator[list[float]]:
    """The seconds of every capture made inside, whoever makes it."""
    seconds: list[float] = []
    make = CapturedStep.__init__

    def timed(self: CapturedStep, *args: object, **kwargs: object) -> None:
        make(self, *args, **kwargs)  # type: ignore[arg-type]
        if self.is_captured:
            seconds.append(self.capture_seconds)

    CapturedStep.__init__ = timed  # type: ignore[method-assign, assignment]
    try:
        yield seconds
    finally:
        CapturedStep.__init__ = make  # type: ignore[method-assign]


def activation_traffic(architecture: Architecture, data: ImageData, recipe: Recipe, bytes_per_value: int) -> float:
    """The bytes of activations that training must move for one image: once forward, twice backward.

    Backward, a layer reads its output's gradient to write its input's, and reads both gradient and input for its
    weights': what it reads and writes forward, twice. Weights are moved once a batch and left out.
    """
    size = recipe.image_size(data.image_size)
    cost = cost_of(architecture, size, data.num_classes, data.channels, recipe.stem_stride_at(data.image_size))
    forward = sum(
        layer.memory_access_bytes - BYTES_PER_ELEMENT * layer.params
        for layer in cost.layers
        if layer.memory_access_bytes
    )
    return 3 * forward * bytes_per_value / BYTES_PER_ELEMENT


def bandwidth(device: str, gibibytes: int = 2, repeats: int = 20) -> float:
    """The bytes a second that copying a large tensor reads and writes on the device, at best."""
    source = torch.zeros(gibibytes * 2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(repeats):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        target.copy_(source)
        stop.record()
        stop.synchronize()
        best = max(best, 2 * source.numel() / (1e-3 * start.elapsed_time(stop)))
    return best


def in_turn(paths: dict[str, Callable[[int], Outcome]], rounds: int) -> dict[str, list[Outcome]]:
    """The outcomes of each path, one a round, after one round that is thrown away."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in paths}
    for number in range(-1, rounds):
        for name, path in paths.items():
            outcome = path(max(number, 0))
            if number >= 0:
                outcomes[name].append(outcome)
    return outcomes


def print_path(name: str, outcomes: list[Outcome]) -> float:
    """Images a second at the median, after printing a line on the path."""
    seconds = [outcome.seconds for outcome in outcomes]
    rate = statistics.median(outcome.images / outcome.seconds for outcome in outcomes)
    accuracy = statistics.mean(outcome.accuracy for outcome in outcomes)
    print(
        f"  {name:<6} {3600 / statistics.median(seconds):8,.0f} trainings/h   {rate:10,.0f} images/s   "
        f"{min(seconds):.2f} to {max(seconds):.2f} s   accuracy {100 * accuracy:.1f} %"
    )
    return rate


def compare(name: str, data: ImageData, recipe: Recipe, rounds: int, device: str, bytes_a_second: float) -> None:
    """Trains the preset by both paths in turn and prints what they gave."""
    architecture = scaled(PRESETS[name], recipe.channel_scale)
    print(name)
    with capture_times() as captures:
        outcomes = in_turn(
            {
                "plain": lambda seed: train_plainly(architecture, data, recipe, seed, device),
                "ours": lambda seed: train_ours(PRESETS[name], data, recipe, seed, device),
            },
            rounds,
        )
    rates = {path: print_path(path, rows) for path, rows in outcomes.items()}
    traffic = activation_traffic(architecture, data, recipe, OUR_BYTES_PER_VALUE)
    ratio = statistics.median(
        plain.seconds / ours.seconds for plain, ours in zip(outcomes["plain"], outcomes["ours"], strict=True)
    )
    captured = f"{statistics.median(captures):.2f} s" if captures else "none made"
    print(f"  ours / plain {ratio:.1f} (median of {rounds} rounds); capture {captured}; ", end="")
    print(
        f"floor {traffic / 2**20:.2f} MiB an image, {100 * rates['ours'] * traffic / bytes_a_second:.0f} % of the time"
    )


def main() -> int:
    """The exit status: 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["v2-1.0x", "v1-1.0x-g3", "v1-1.0x-g8"], choices=PRESETS)
    parser.add_argument("--recipe", default="short", choices=RECIPES)
    parser.add_argument("--batch-size", type=int, help="of both paths (default: the recipe's)")
    parser.add_argument("--data", default="fashion-mnist-12k")
    parser.add_argument("--rounds", type=int, default=3, help="counted trainings of each (default 3)")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device here: CUDA figures not yet measured")
        return 0
    recipe, data = RECIPES[args.recipe], load(args.data)
    if args.batch_size:
        recipe = replace(recipe, batch_size=args.batch_size)
    bytes_a_second = bandwidth("cuda")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {bytes_a_second / 1e9:,.0f} GB/s by copying")
    print(f"{args.data}, recipe {recipe.name}: {recipe.epochs} epochs, batch {recipe.batch_size}, ", end="")
    print(f"{recipe.image_size(data.image_size)} px")
    for name in args.presets:
        compare(name, data, recipe, args.rounds, "cuda", bytes_a_second)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
