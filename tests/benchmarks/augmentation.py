"""Are augmentations of a whole batch worth having beside torchvision's?

    python tests/benchmarks/augmentation.py --rounds 15

augments batches of 64 images by TrivialAugment's wide space: ours, torchvision's image by image, which draws alike, and
torchvision's once a batch, which gives all images of a batch the same operation and level. They take turns in one
process on one thread; the ratios are those of the medians.
"""

import argparse
import statistics
import time

import torch
from torchvision.transforms import v2

from proxies.training.augmentation import AUGMENTATIONS

BATCH = 64


def main() -> int:
    """Prints a line for each size of images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    generator, theirs = torch.Generator().manual_seed(0), v2.TrivialAugmentWide()
    ways = {
        "ours": lambda images: AUGMENTATIONS["trivial"](images, generator),
        "image by image": lambda images: torch.stack([theirs(image) for image in images]),
        "once a batch": theirs,
    }
    for channels, size in ((1, 28), (3, 32), (3, 128)):
        images = torch.randint(0, 256, (BATCH, channels, size, size), dtype=torch.uint8)
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, change in ways.items():
                started = time.perf_counter()
                change(images)
                seconds[name].append(time.perf_counter() - started)
        ours, by_image, by_batch = (statistics.median(each) for each in seconds.values())
        print(
            f"{channels} x {size} x {size}: {1000 * ours:.1f} ms a batch; torchvision image by image "
            f"{by_image / ours:.1f} times as long, once a batch {by_batch / ours:.2f} times",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
