"""The plain training loop that ours is timed beside: a DataLoader with 2 workers, eager, torch's SGD and schedule."""

import time
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from proxies.data.load import ImageData, normalise
from proxies.data.names import mirrors
from proxies.network import build
from proxies.training.recipes import Recipe
from search_space import Architecture

WORKERS = 2
VALIDATION_BATCH = 250


class Outcome(NamedTuple):
    """Seconds of one training end to end, images trained on, and the last validation accuracy in [0, 1]."""

    seconds: float
    images: int
    accuracy: float


class PlainImages(Dataset[tuple[Tensor, int]]):
    """Training images by row, cropped, flipped and normalised one by one."""

    def __init__(self, data: ImageData, recipe: Recipe) -> None:
        rows = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(0))[: recipe.max_images]
        self.images, self.labels = data.train_images[rows], data.train_labels[rows]
        self.transform = v2.Compose(
            [
                v2.RandomCrop(data.image_size, padding=recipe.crop_padding),
                *([v2.RandomHorizontalFlip()] if mirrors(data.name) else []),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(*data.channel_stats),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(self.images[row]), int(self.labels[row])


def train_plainly(architecture: Architecture, data: ImageData, recipe: Recipe, seed: int, device: str) -> Outcome:
    """The outcome of the plain loop."""
    started = time.perf_counter()
    stem_stride = recipe.stem_stride_at(data.image_size)
    data = data.resized(recipe.image_size(data.image_size))
    network = build(architecture, data.num_classes, data.channels, stem_stride, seed=seed).to(device)
    loader = DataLoader(
        PlainImages(data, recipe),
        recipe.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        pin_memory=device != "cpu",
    )
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
    images_seen = 0
    for _ in range(recipe.epochs):
        network.train()
        for images, labels in loader:
            optimizer.zero_grad()
            criterion(network(images.to(device, non_blocking=True)), labels.to(device, non_blocking=True)).backward()
            optimizer.step()
            schedule.step()
            images_seen += len(images)
    accuracy = plain_accuracy(network, data, device)
    return Outcome(time.perf_counter() - started, images_seen, accuracy)


@torch.inference_mode()
def plain_accuracy(network: nn.Module, data: ImageData, device: str) -> float:
    """The share of validation images that are told right; reading it waits for the device."""
    network.eval()
    right = 0
    for images, labels in zip(
        data.val_images.split(VALIDATION_BATCH), data.val_labels.split(VALIDATION_BATCH), strict=True
    ):
        outputs = network(normalise(images.to(device), *data.channel_stats).contiguous())
        right += int((outputs.argmax(dim=1) == labels.to(device)).sum())
    return right / len(data.val_images)
