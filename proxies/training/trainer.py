"""The one training loop: a recipe, a network and data in, curves out. On CPU and CUDA."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from proxies.data.load import ImageData, batches, normalise
from proxies.data.names import mirrors
from proxies.network import build
from proxies.training.augmentation import AUGMENTATIONS, mix
from proxies.training.averaging import Averaged
from proxies.training.block_diagonal import undo_block_diagonal, use_block_diagonal
from proxies.training.cpu.layers import undo_fast_layers, use_fast_layers
from proxies.training.cuda_graph import CapturedStep
from proxies.training.recipes import Recipe
from proxies.training.result import Training, TrainingError
from proxies.training.schedules import SCHEDULES
from proxies.training.sgd import Sgd
from proxies.training.validation import estimate_statistics, validate
from search_space.architecture import Architecture
from search_space.bounds import SEEDS
from search_space.widths import scaled

STATISTICS_BATCHES = 16
"""Training batches from which batch-norm statistics are estimated anew before validating."""


Factory = Callable[[int, int, int, int], nn.Module]
"""Number of classes, channels of the images, stem stride and seed to a network, for one that is no architecture."""


def train(
    architecture: Architecture | Factory, data: ImageData, recipe: Recipe, *, seed: int, device: str = "cpu"
) -> tuple[nn.Module, Training]:
    """The trained network of `architecture` for the data's images and classes, and how its training went.

    One CPU thread; same seed and device, same numbers.

    Raises:
        TrainingError: the loss is no longer finite, a GPU's memory is too small, or there is but one class.
    """
    try:
        trainer = Trainer(architecture, data, recipe, seed=seed, device=device)
        with closing(trainer):
            while not trainer.is_done:
                trainer.run_epoch()
    except torch.OutOfMemoryError as error:
        reason = str(error).partition(".")[0]
    else:
        return trainer.trained_network, trainer.training
    # Only here has the error let go of the tensors that filled the memory.
    torch.cuda.empty_cache()
    raise TrainingError(f"out of memory with batches of {recipe.batch_size}: {reason}")


class Trainer:
    """A training in progress, an epoch at a time; what it draws depends on seed and epoch alone.

    So a training that goes on from `state_dict` gives the same numbers as an unbroken one. With `world` processes of
    a `torch.distributed` group each takes its share of every batch.
    """

    def __init__(
        self,
        architecture: Architecture | Factory,
        data: ImageData,
        recipe: Recipe,
        *,
        seed: int,
        device: str = "cpu",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        SEEDS.check("a training's seed", seed)
        if data.num_classes < 2:
            raise TrainingError(f"there must be two classes or more to tell apart, got {data.num_classes}")
        self.recipe, self.seed, self._device = recipe, seed, device
        self._rank, self._world = rank, world
        self.data = data.resized(recipe.image_size(data.image_size))
        self.stem_stride = recipe.stem_stride_at(data.image_size)
        self.network = _factory(architecture, recipe)(data.num_classes, data.channels, self.stem_stride, seed)
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        rows = training_rows(len(data.train_images), recipe)
        self._images, self._labels = self.data.train_images[rows].to(device), data.train_labels[rows].to(device)
        if self._on_gpu:
            use_block_diagonal(self.network)  # before the average copies it
        self._optimizer = Sgd(
            self.network, momentum=recipe.momentum, weight_decay=recipe.weight_decay, decay_norms=recipe.decay_norms
        )
        averaged_steps = recipe.ema_share * recipe.epochs * self._steps_an_epoch
        self._average = Averaged(self.network, max(0.0, 1 - 1 / averaged_steps)) if averaged_steps else None
        if not self._on_gpu:
            use_fast_layers(self.network)
        self._forward = DistributedDataParallel(self.network) if world > 1 else self.network
        self._captured: CapturedStep | None = None
        self._curves: list[dict[str, float]] = []
        self.seconds = 0.0

    @property
    def epoch(self) -> int:
        """How many epochs are behind it."""
        return len(self._curves)

    @property
    def is_done(self) -> bool:
        """Whether no epoch is left."""
        return self.epoch == self.recipe.epochs

    @property
    def trained_network(self) -> nn.Module:
        """The network that is validated: the weights' moving average where the recipe has one."""
        return self._average.network if self._average else self.network

    @property
    def training(self) -> Training:
        """How the training went so far."""
        validated = [(epoch, row) for epoch, row in enumerate(self._curves, start=1) if "accuracy" in row]
        return Training(
            training_losses=tuple(row["training_loss"] for row in self._curves),
            validation_losses=tuple(row["loss"] for _, row in validated),
            validation_accuracies=tuple(row["accuracy"] for _, row in validated),
            validated_epochs=tuple(epoch for epoch, _ in validated),
            seconds=self.seconds,
            images_seen=sum(int(row["images"]) for row in self._curves),
            image_size=self.data.image_size,
            stem_stride=self.stem_stride,
            num_classes=self.data.num_classes,
            seed=self.seed,
            device=torch.cuda.get_device_name(self._device) if self._on_gpu else self._device,
        )

    def run_epoch(self) -> None:
        """Trains one epoch, and validates where the recipe says so.

        Raises:
            TrainingError: the loss is no longer finite.
        """
        started = time.perf_counter()
        with _one_reproducible_thread():
            row = self._train_epoch()
            recipe, ended = self.recipe, self.epoch + 1
            if ended % recipe.validate_every == 0 or ended == recipe.epochs:
                network = self.trained_network
                images = self._images[: STATISTICS_BATCHES * recipe.batch_size]
                estimate_statistics(network, images, self.data, recipe.batch_size)
                row["loss"], row["accuracy"] = validate(network, self.data, self._device)
                if not math.isfinite(row["loss"]):
                    raise TrainingError(f"the validation loss is {row['loss']} in epoch {ended} of {recipe.epochs}")
        self._curves.append(row)
        self.seconds += time.perf_counter() - started

    def close(self) -> None:
        """Gives a GPU's memory back, and the networks their plain layers; for a training that is left."""
        if self._captured:
            self._captured.close()
            self._captured = None
        for network in (self.network, self.trained_network):
            undo_block_diagonal(network)
            undo_fast_layers(network)

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on exactly."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average.state_dict() if self._average else None,
            "curves": self._curves,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from where `state_dict` was taken, of a training with the same arguments."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._average:
            self._average.load_state_dict(state["average"])
        self._curves = list(state["curves"])
        self.seconds = state["seconds"]

    def _train_epoch(self) -> dict[str, float]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        self.network.train()
        step, total_steps = self.epoch * self._steps_an_epoch, self.recipe.epochs * self._steps_an_epoch
        rate_at = SCHEDULES[self.recipe.schedule]
        loss_sum, seen = torch.zeros((), device=self._device), 0
        for images, labels in self._batches(generator):
            self._optimizer.learning_rate.fill_(
                rate_at(step, total_steps, self.recipe.learning_rate, self.recipe.warmup_share)
            )
            loss_sum += self._on_batch(images, labels) * len(images)
            seen += len(images)
            step += 1
        loss, seen = self._over_all_processes(loss_sum, seen)
        if not math.isfinite(loss):
            raise TrainingError(f"the training loss is {loss} in epoch {self.epoch + 1} of {self.recipe.epochs}")
        return {"training_loss": loss, "images": seen}

    def _batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images and labels, or shares of labels where images are mixed: this process's part of each."""
        recipe, data = self.recipe, self.data
        augment = AUGMENTATIONS[recipe.augmentation]
        is_mixed = (recipe.mixup or recipe.cutmix) and len(self._images) >= recipe.mix_from_images
        for images, labels in batches(
            self._images,
            self._labels,
            recipe.batch_size,
            generator=generator,
            pad=recipe.padding,
            flip=mirrors(data.name),
        ):
            floats = normalise(augment(images, generator), *data.channel_stats)
            if is_mixed:
                floats, labels = mix(
                    floats,
                    labels,
                    data.num_classes,
                    mixup_alpha=recipe.mixup,
                    cutmix_alpha=recipe.cutmix,
                    generator=generator,
                )
            yield floats[self._rank :: self._world], labels[self._rank :: self._world]

    def _on_batch(self, images: Tensor, labels: Tensor) -> Tensor:
        """The batch's mean loss, before the step that it makes."""
        if self._world > 1:
            loss = self._step(images, labels).detach()
        else:
            if self._captured is None:
                momenta = self._optimizer.state_dict()["momentum"].values()
                state = [*self.network.parameters(), *self.network.buffers(), *momenta]
                self._captured = CapturedStep(self._step, (images, labels), state)
            loss = self._captured(images, labels)
        if self._average:
            self._average.update(self.network)
        return loss

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        """The same; all that a GPU repeats for every batch, so nothing in here may wait for it."""
        self._optimizer.zero_grad()
        with torch.autocast(torch.device(self._device).type, torch.bfloat16, enabled=self._on_gpu):
            outputs = self._forward(images)
            loss = nn.functional.cross_entropy(outputs, labels, label_smoothing=self.recipe.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss

    def _over_all_processes(self, loss_sum: Tensor, seen: int) -> tuple[float, int]:
        totals = torch.stack([loss_sum, torch.tensor(float(seen), device=self._device)])
        if self._world > 1:
            torch.distributed.all_reduce(totals)
        loss, count = totals.tolist()
        return loss / count, int(count)

    @property
    def _on_gpu(self) -> bool:
        return self._device.startswith("cuda")

    @property
    def _steps_an_epoch(self) -> int:
        """How many batches `data.batches` gives: a last one of under half the size is left out."""
        full, rest = divmod(len(self._images), self.recipe.batch_size)
        return max(1, full + (2 * rest >= self.recipe.batch_size))


def _factory(architecture: Architecture | Factory, recipe: Recipe) -> Factory:
    """What builds the network that the recipe trains."""
    if isinstance(architecture, Architecture):
        narrowed = scaled(architecture, recipe.channel_scale)
        return lambda *task: build(narrowed, *task[:-1], seed=task[-1])
    if recipe.channel_scale != 1:
        raise TrainingError(f"only an architecture is trained narrower than it is, got {recipe.channel_scale:g} times")
    return architecture


def training_rows(count: int, recipe: Recipe) -> Tensor:
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
