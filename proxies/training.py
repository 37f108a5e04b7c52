"""The one training loop: a recipe, a network and data in, curves out. On CPU and CUDA."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import update_bn

from proxies.data import ImageData, batches, normalise
from proxies.data_names import mirrors
from proxies.network import build
from proxies.recipes import Recipe, stem_stride_for
from search_space.architecture import Architecture

VALIDATION_BATCH = 250
STATISTICS_BATCHES = 16
"""Training batches from which batch-norm statistics are estimated anew before validating."""


class TrainingError(RuntimeError):
    """A training that gave no network: the message says at which epoch and why."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a training gave, one number an epoch: losses and accuracies (in [0, 1]) on training and validation images.

    `training_losses` are means over the epoch's batches as they were trained on, so their sum is the TSE of
    Ru et al. 2021.
    """

    training_losses: tuple[float, ...]
    validation_losses: tuple[float, ...]
    validation_accuracies: tuple[float, ...]
    seconds: float
    images_seen: int
    stem_stride: int
    seed: int
    device: str

    @property
    def accuracy(self) -> float:
        """The last validation accuracy, in [0, 1]."""
        return self.validation_accuracies[-1]

    def to_dict(self) -> dict[str, Any]:
        """The training as plain JSON values."""
        return asdict(self)


def train(
    architecture: Architecture, data: ImageData, recipe: Recipe, *, seed: int, device: str = "cpu"
) -> tuple[nn.Module, Training]:
    """The trained network of `architecture` for the data's images and classes, and how its training went.

    The stem's stride follows from the image size. One CPU thread; same seed and device, same numbers.

    Raises:
        TrainingError: the loss is no longer finite.
    """
    stem_stride = stem_stride_for(data.image_size)
    network = build(architecture, data.num_classes, data.channels, stem_stride, seed=seed)
    with _one_reproducible_thread():
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        started = time.perf_counter()
        curves = list(_epochs(network, data, recipe, seed, device))
        seconds = time.perf_counter() - started
    training_losses, validation_losses, accuracies, images = zip(*curves, strict=True)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    training = Training(training_losses, validation_losses, accuracies, seconds, sum(images), stem_stride, seed, name)
    return network, training


def _epochs(
    network: nn.Module, data: ImageData, recipe: Recipe, seed: int, device: str
) -> Iterator[tuple[float, float, float, int]]:
    """By epoch: training loss, validation loss, validation accuracy, images trained on."""
    rows = _training_rows(len(data.train_images), recipe)
    images, labels = data.train_images[rows].to(device), data.train_labels[rows].to(device)
    generator = torch.Generator().manual_seed(seed)
    steps = recipe.epochs * _batches_an_epoch(len(images), recipe.batch_size)
    # OneCycleLR divides by zero where the warm-up is one step long.
    warmup_share = recipe.warmup_share / 2 if recipe.warmup_share * steps == 1 else recipe.warmup_share
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    schedule = OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps, pct_start=warmup_share, cycle_momentum=False
    )
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    for epoch in range(recipe.epochs):
        network.train()
        loss_sum, seen = torch.zeros((), device=device), 0
        for batch, targets in batches(
            images, labels, recipe.batch_size, generator=generator, pad=recipe.crop_padding, flip=mirrors(data.name)
        ):
            optimizer.zero_grad()
            loss = criterion(network(normalise(batch, *data.channel_stats)), targets)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += loss.detach() * len(batch)
            seen += len(batch)
        training_loss = loss_sum.item() / seen
        if not math.isfinite(training_loss):
            raise TrainingError(f"the training loss is {training_loss} in epoch {epoch + 1} of {recipe.epochs}")
        _estimate_statistics(network, images[: STATISTICS_BATCHES * recipe.batch_size], data, recipe)
        yield training_loss, *validate(network, data, device), seen


@torch.inference_mode()
def validate(network: nn.Module, data: ImageData, device: str = "cpu") -> tuple[float, float]:
    """The mean cross-entropy and the accuracy in [0, 1] on the validation images, in eval mode."""
    network.eval()
    loss = correct = 0.0
    for start in range(0, len(data.val_images), VALIDATION_BATCH):
        part = slice(start, start + VALIDATION_BATCH)
        labels = data.val_labels[part].to(device)
        outputs = network(normalise(data.val_images[part].to(device), *data.channel_stats))
        loss += nn.functional.cross_entropy(outputs, labels, reduction="sum").item()
        correct += (outputs.argmax(dim=1) == labels).sum().item()
    return loss / len(data.val_images), correct / len(data.val_images)


def _estimate_statistics(network: nn.Module, images: Tensor, data: ImageData, recipe: Recipe) -> None:
    """Batch-norm statistics of the weights as they now are: running ones lag far behind after a few hundred steps."""
    parts = [part for part in torch.split(images, recipe.batch_size) if 2 * len(part) >= recipe.batch_size]
    update_bn((normalise(part, *data.channel_stats) for part in parts or [images]), network)


def _batches_an_epoch(images: int, batch_size: int) -> int:
    """How many batches `data.batches` gives: a last one of under half the size is left out."""
    full, rest = divmod(images, batch_size)
    return max(1, full + (2 * rest >= batch_size))


def _training_rows(count: int, recipe: Recipe) -> Tensor:
    """Which training images a recipe uses, in random order: the same for every network and seed."""
    order = torch.from_numpy(np.random.RandomState(0).permutation(count))
    return order[: recipe.max_images]


@contextmanager
def _one_reproducible_thread() -> Iterator[None]:
    """One thread and cuDNN's repeatable algorithms inside. A second thread on a busy core only costs."""
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = deterministic
