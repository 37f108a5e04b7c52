"""The steps of a training: the learning rate of each, and the batch-norm statistics that follow the last."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from builders.trainings import RECIPE, SMALL, STILL, noise_data
from torch import Tensor, nn

from proxies.training import trainer as training
from proxies.training.sgd import Sgd
from proxies.training.trainer import train


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rate of every step of the optimizer."""
    found: list[float] = []
    step = Sgd.step

    def spied(optimizer: Sgd) -> None:
        found.append(optimizer.learning_rate.item())
        step(optimizer)

    monkeypatch.setattr(Sgd, "step", spied)
    return found


# The learning rate


@pytest.mark.parametrize("images", [48, 53, 56, 10], ids=lambda images: f"{images} images in batches of 16")
def test_the_learning_rate_rises_to_the_recipes_and_ends_at_about_0(rates: list[float], images: int) -> None:
    train(SMALL, noise_data(images), replace(RECIPE, epochs=6), seed=0)
    # Of 53 the last 5 are left out, of 56 the last 8 are a batch.
    assert len(rates) == 6 * {48: 3, 53: 3, 56: 4, 10: 1}[images]
    peak = rates.index(max(rates))
    assert max(rates) <= 0.05
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 0.05 / 1000
    if images != 10:
        assert max(rates) > 0.04


def test_five_steps_in_all_can_be_annealed(rates: list[float]) -> None:
    train(SMALL, noise_data(80), replace(RECIPE, epochs=1), seed=0)
    assert len(rates) == 5
    assert rates[-1] < 0.05 / 1000


# Batch-norm statistics


def statistics_of(network: nn.Module, batches: list[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """The mean over the batches of every normalisation's input mean and unbiased variance, in train mode."""
    network = copy.deepcopy(network).train()
    found: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            by_channel = inputs[0].double().transpose(0, 1).flatten(1)
            found.setdefault(name, []).append((by_channel.mean(dim=1), by_channel.var(dim=1)))

        return hook

    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(watch(name))
    with torch.no_grad():
        for batch in batches:
            network(batch)
    return {
        name: (sum(m for m, _ in all_) / len(all_), sum(v for _, v in all_) / len(all_)) for name, all_ in found.items()
    }


def test_batch_norm_statistics_are_those_of_training_batches_under_the_final_weights() -> None:
    data = noise_data(80)
    # Batches of 4 images: 20 an epoch, of which the first 16 are enough.
    network, _ = train(SMALL, data, replace(STILL, batch_size=4, weight_decay=0.0), seed=0)
    pixels = data.train_images[np.random.RandomState(0).permutation(80)[:64]].double() / 255
    all_pixels = data.train_images.double() / 255
    images = ((pixels - all_pixels.mean()) / all_pixels.std(correction=0)).float()
    expected = statistics_of(network, list(images.split(4)))
    assert len(expected) > 10
    for name, (mean, variance) in expected.items():
        module = network.get_submodule(name)
        torch.testing.assert_close(module.running_mean.double(), mean, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(module.running_var.double(), variance, rtol=1e-3, atol=1e-4)


def test_without_new_statistics_validation_would_give_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    _, estimated = train(SMALL, noise_data(), RECIPE, seed=0)
    monkeypatch.setattr(training, "estimate_statistics", lambda *_: None)
    _, running = train(SMALL, noise_data(), RECIPE, seed=0)
    assert estimated.training_losses == running.training_losses
    assert abs(estimated.validation_losses[-1] - running.validation_losses[-1]) > 0.01


def test_a_single_image_left_over_upsets_no_statistics() -> None:
    # At 8 pixels the last stage has one pixel: a batch of one image has no variance to estimate.
    _, result = train(SMALL, noise_data(33, size=8), RECIPE, seed=0)
    assert result.images_seen == 2 * 32
