"""The training loop: repeatable, annealed, honest about what it saw. By hand, by spies and by a second computation."""

import copy
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from builders.images import embedded
from builders.trainings import RECIPE, SMALL, STILL, data_of, noise, noise_data
from torch import Tensor, nn

from proxies.data.load import ImageData
from proxies.network import build
from proxies.training import trainer as training
from proxies.training.recipes import Recipe
from proxies.training.result import Training, TrainingError, doubt_of
from proxies.training.trainer import Trainer, train
from proxies.training.validation import validate
from search_space import PRESETS, InputError


def flat_data(values: Tensor, val_value: int) -> ImageData:
    """Images of one grey each."""
    grey = values.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 16, 16).contiguous()
    return data_of(grey, torch.full((20, 1, 16, 16), val_value, dtype=torch.uint8))


def greys(inputs: list[Tensor], data: ImageData) -> set[int]:
    """Which greys, 0 to 255, stand in what the network was given."""
    (mean,), (deviation,) = data.channel_stats
    return {round(value) for batch in inputs for value in ((batch * deviation + mean) * 255).unique().tolist()}


def quadrants(count: int, seed: int) -> Tensor:
    """Noise whose brightest quadrant is the label's."""
    images = noise(count, seed=seed) // 2
    for row in range(count):
        top, left = 8 * (row % 4 // 2), 8 * (row % 2)
        images[row, :, top : top + 8, left : left + 8] += 120
    return images


def numbers(result: Training) -> dict[str, Any]:
    """All of a training but how long it took."""
    return {name: value for name, value in result.to_dict().items() if name != "seconds"}


Seen = dict[bool, list[Tensor]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What a trained network is given, in train mode (True) and in eval mode (False)."""
    batches: Seen = {True: [], False: []}

    def spied(*arguments: Any, **options: Any) -> nn.Module:
        network = build(*arguments, **options)
        network.register_forward_pre_hook(lambda module, inputs: batches[module.training].append(inputs[0].clone()))
        return network

    monkeypatch.setattr(training, "build", spied)
    return batches


def nan_after(calls: int, real: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`normalise`, whose batches hold no numbers after that many of them."""
    left = iter(range(calls))
    return lambda *arguments: real(*arguments) * (1.0 if next(left, None) is not None else float("nan"))


# Same seed, same numbers


def test_the_same_seed_gives_the_same_network_bit_for_bit() -> None:
    data = noise_data(name="cifar10")
    one, first = train(SMALL, data, RECIPE, seed=3)
    torch.manual_seed(99)
    other, second = train(SMALL, data, RECIPE, seed=3)
    assert numbers(first) == numbers(second)
    theirs = other.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


def test_another_seed_gives_another_network() -> None:
    data = noise_data()
    one, first = train(SMALL, data, RECIPE, seed=3)
    other, second = train(SMALL, data, RECIPE, seed=4)
    assert first.training_losses != second.training_losses
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


def test_a_seed_of_which_torch_would_take_a_part_is_refused() -> None:
    with pytest.raises(InputError, match="a training's seed must be at most 2147483647, got 4294967296"):
        train(SMALL, noise_data(16), RECIPE, seed=2**32)


def test_a_network_of_ones_own_is_trained_as_an_architecture_is() -> None:
    data = noise_data()

    def make(classes: int, channels: int, stem_stride: int, seed: int) -> nn.Module:
        return build(SMALL, classes, channels, stem_stride, seed=seed)

    (one, first), (other, second) = (train(network, data, RECIPE, seed=3) for network in (SMALL, make))
    assert numbers(first) == numbers(second)
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
    with pytest.raises(TrainingError, match=r"only an architecture is trained narrower than it is, got 0\.5 times"):
        train(make, data, replace(RECIPE, channel_scale=0.5), seed=3)


def test_training_leaves_torchs_own_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(SMALL, noise_data(16), replace(RECIPE, epochs=1), seed=3)
    assert torch.equal(torch.rand(3), expected)


def test_one_thread_trains_and_the_others_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    inside = []
    monkeypatch.setattr(
        training, "validate", lambda *arguments: (inside.append(torch.get_num_threads()), validate(*arguments))[1]
    )
    try:
        torch.set_num_threads(3)
        train(SMALL, noise_data(16), RECIPE, seed=0)
        assert (inside, torch.get_num_threads()) == ([1, 1], 3)
        with pytest.raises(TrainingError):
            train(SMALL, noise_data(16), replace(RECIPE, learning_rate=1e30), seed=0)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


# The curves


def test_curves_have_a_number_an_epoch() -> None:
    _, result = train(SMALL, noise_data(), replace(RECIPE, epochs=3), seed=0)
    curves = (result.training_losses, result.validation_losses, result.validation_accuracies)
    assert [len(curve) for curve in curves] == [3, 3, 3]
    assert result.accuracy == result.validation_accuracies[-1]
    assert all(0 <= accuracy <= 1 for accuracy in result.validation_accuracies)
    assert (result.seed, result.device) == (0, "cpu")
    assert result.seconds > 0
    assert set(result.to_dict()) == {field.name for field in fields(Training)}


def test_images_seen_are_those_trained_on() -> None:
    _, whole = train(SMALL, noise_data(48), RECIPE, seed=0)
    assert whole.images_seen == 2 * 48
    # 53 are three batches of 16 and 5 images: under half a batch, left out.
    _, cut = train(SMALL, noise_data(53), RECIPE, seed=0)
    assert cut.images_seen == 2 * 48


def test_the_first_training_loss_is_that_of_the_untrained_network_with_smoothed_labels() -> None:
    data = noise_data(16)
    _, result = train(SMALL, data, replace(STILL, epochs=1, label_smoothing=0.2), seed=7)
    network = build(SMALL, 4, 1, 1, seed=7).train()
    pixels = data.train_images.double() / 255
    log_shares = network(((pixels - pixels.mean()) / pixels.std(correction=0)).float()).log_softmax(dim=1)
    right = log_shares[torch.arange(16), data.train_labels]
    # Of 4 classes the right one's target is 1 - 0.2 + 0.2 / 4 = 0.85, the others' 0.05.
    expected = -(0.8 * right + 0.05 * log_shares.sum(dim=1)).mean().item()
    assert result.training_losses[0] == pytest.approx(expected, rel=1e-4)


def test_validation_counts_every_image_once_and_smooths_no_labels() -> None:
    class BrightnessOf(nn.Module):
        """The first class's score is the brightness, the others' are 0; fails to tell train mode."""

        def forward(self, images: Tensor) -> Tensor:
            assert not self.training
            return nn.functional.pad(images.mean(dim=(1, 2, 3)).view(-1, 1), (0, 3))

    data = data_of(noise(8), noise(503, seed=1) // torch.tensor([1, 9]).repeat(252)[:503].view(-1, 1, 1, 1))
    loss, accuracy = validate(BrightnessOf().train(), data)
    (mean,), (deviation,) = data.channel_stats
    bright = (data.val_images.double().mean(dim=(1, 2, 3)) / 255 - mean) / deviation
    scores = np.stack([bright.numpy(), *[np.zeros(503)] * 3], axis=1)
    labels = np.arange(503) % 4
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(503), labels]
    assert loss == pytest.approx(losses.mean(), rel=1e-4)
    assert accuracy == pytest.approx((scores.argmax(axis=1) == labels).mean())
    assert 0.1 < accuracy < 0.9


# What a network sees


def test_validation_images_are_only_looked_at_in_eval_mode(seen: Seen) -> None:
    data = flat_data(torch.arange(48) * 2, val_value=250)
    train(SMALL, data, STILL, seed=0)
    assert greys(seen[True], data) == set(range(0, 96, 2))
    assert greys(seen[False], data) == {250}


def test_every_seed_trains_on_the_same_images_of_a_recipe(seen: Seen) -> None:
    data = flat_data(torch.arange(120) * 2, val_value=250)
    found = []
    for seed in (0, 1):
        seen[True].clear()
        _, result = train(SMALL, data, replace(STILL, max_images=32), seed=seed)
        assert result.images_seen == 2 * 32
        found.append(greys(seen[True], data))
    assert len(found[0]) == 32
    assert found[0] == found[1]
    assert found[0] != set(range(0, 64, 2))  # not the first 32, which may all be of one class


def test_every_seed_has_its_own_order_of_images(seen: Seen) -> None:
    data = flat_data(torch.arange(48) * 2, val_value=250)
    orders = []
    for seed in (0, 1):
        seen[True].clear()
        train(SMALL, data, STILL, seed=seed)
        orders.append([greys([batch], data) for batch in seen[True]])
    assert orders[0][:3] != orders[1][:3]
    assert orders[0][:3] != orders[0][6:9]  # the next epoch's, after three batches for statistics


@pytest.mark.parametrize(("name", "mirrored"), [("mnist", False), ("svhn", False), ("cifar10", True)])
def test_images_are_mirrored_only_where_they_may_be(seen: Seen, name: str, mirrored: bool) -> None:
    images = torch.zeros(48, 1, 16, 16, dtype=torch.uint8)
    images[..., :8] = 200  # the left half is bright
    train(SMALL, data_of(images, images[:20], name), STILL, seed=0)
    left = [batch[..., :8].mean(dim=(1, 2, 3)) > batch[..., 8:].mean(dim=(1, 2, 3)) for batch in seen[True]]
    assert torch.cat(left).any()
    assert bool((~torch.cat(left)).any()) is mirrored
    assert all((batch[..., :8] > batch[..., 8:]).all() for batch in seen[False])


@pytest.mark.parametrize(("size", "stem_stride", "conv_stride", "pools"), [(16, 1, 1, 0), (24, 2, 2, 0), (96, 4, 2, 1)])
def test_the_stem_shrinks_small_images_less(size: int, stem_stride: int, conv_stride: int, pools: int) -> None:
    network, result = train(SMALL, noise_data(16, 4, size), replace(RECIPE, epochs=1), seed=0)
    convolution = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    assert result.stem_stride == stem_stride
    assert convolution.stride == (conv_stride, conv_stride)
    assert sum(isinstance(module, nn.MaxPool2d) for module in network.modules()) == pools


# It learns, or says why not


def test_it_learns_what_is_easy_to_tell_apart() -> None:
    data = data_of(quadrants(256, seed=0), quadrants(100, seed=1))
    _, result = train(SMALL, data, replace(RECIPE, epochs=5), seed=0)
    assert result.accuracy > 0.9
    assert result.training_losses[-1] < result.training_losses[0] / 2
    assert result.validation_losses[-1] < result.validation_losses[0]


def test_it_does_not_learn_what_cannot_be_told_apart() -> None:
    _, result = train(SMALL, noise_data(128, 200), RECIPE, seed=0)
    assert result.accuracy < 0.45  # chance is 0.25, with a standard deviation of 0.03


@pytest.mark.slow
def test_a_preset_learns_from_the_embedded_images() -> None:
    recipe = Recipe("tiny", epochs=2, learning_rate=0.05, batch_size=32, max_images=1500)
    network, result = train(PRESETS["v2-0.5x"], embedded(), recipe, seed=0)
    assert result.accuracy > 0.4  # chance is 0.1
    assert result.stem_stride == 2
    assert network[-1](torch.zeros(2, 1024, 1, 1)).shape == (2, 10)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_loss_that_is_no_number_ends_training_and_names_the_epoch(
    monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    # An epoch of 16 images has one batch.
    monkeypatch.setattr(training, "normalise", nan_after(epoch - 1, training.normalise))
    with pytest.raises(TrainingError, match=f"the training loss is nan in epoch {epoch} of 2"):
        train(SMALL, noise_data(16), RECIPE, seed=0)


def test_a_learning_rate_that_overflows_is_an_error_and_no_accuracy() -> None:
    with pytest.raises(TrainingError, match=r"the training loss is (nan|inf) in epoch \d of 2"):
        train(SMALL, noise_data(), replace(RECIPE, learning_rate=1e30), seed=0)


def test_a_validation_loss_that_is_no_number_ends_training_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "validate", lambda *_: (float("inf"), 0.25))
    with pytest.raises(TrainingError, match="the validation loss is inf in epoch 1 of 2"):
        train(SMALL, noise_data(), RECIPE, seed=0)


def test_a_loss_above_that_of_guessing_is_a_doubt() -> None:
    # Guessing among 4 classes has a loss of ln 4 = 1.386.
    assert doubt_of((0.5, 57.2), 4) == "the validation loss ended at 57.20, above the 1.39 of guessing among 4 classes"
    assert doubt_of((57.2, 1.386), 4) is None
    assert doubt_of((), 4) is None


# The recipe's other parts


def test_images_are_shrunk_as_the_recipe_says_but_not_below_16_pixels(seen: Seen) -> None:
    for size, expected in ((64, 32), (24, 16), (12, 12)):
        _, result = train(SMALL, noise_data(16, size=size), replace(RECIPE, image_scale=0.5), seed=0)
        assert result.image_size == expected
        assert seen[True][-1].shape[-1] == expected


def test_a_recipe_can_set_the_stems_stride() -> None:
    _, result = train(SMALL, noise_data(16, size=32), replace(RECIPE, stem_stride=1), seed=0)
    assert result.stem_stride == 1


def test_epochs_are_validated_as_often_as_the_recipe_says_and_the_last_one_always() -> None:
    _, result = train(SMALL, noise_data(), replace(RECIPE, epochs=5, validate_every=2), seed=0)
    assert result.validated_epochs == (2, 4, 5)
    assert len(result.training_losses) == 5
    assert len(result.validation_losses) == len(result.validation_accuracies) == 3


def test_a_narrower_network_is_trained_where_the_recipe_says_so() -> None:
    network, _ = train(SMALL, noise_data(), replace(RECIPE, channel_scale=0.5), seed=0)
    assert network[-1](torch.zeros(1, 32, 1, 1)).shape == (1, 4)


def test_the_average_is_validated_and_given_back_where_the_recipe_has_one() -> None:
    plain, without = train(SMALL, noise_data(), RECIPE, seed=0)
    averaged, result = train(SMALL, noise_data(), replace(RECIPE, ema_share=0.5), seed=0)
    assert result.training_losses == without.training_losses
    assert result.validation_losses != without.validation_losses
    assert not torch.equal(next(averaged.parameters()), next(plain.parameters()))


def test_norms_and_biases_are_decayed_only_where_the_recipe_says_so() -> None:
    heavy = replace(RECIPE, weight_decay=5.0, learning_rate=0.01)
    decayed, _ = train(SMALL, noise_data(), heavy, seed=0)
    spared, _ = train(SMALL, noise_data(), replace(heavy, decay_norms=False), seed=0)
    norms = [
        torch.stack([m.weight.abs().mean() for m in network.modules() if isinstance(m, nn.BatchNorm2d)]).mean()
        for network in (decayed, spared)
    ]
    assert norms[0] < 0.9 < norms[1]


def test_a_training_that_goes_on_from_its_state_gives_the_same_network_bit_for_bit() -> None:
    recipe = replace(RECIPE, epochs=3, ema_share=0.3, augmentation="trivial", mixup=0.2, cutmix=1.0, mix_from_images=0)
    unbroken, expected = train(SMALL, noise_data(), recipe, seed=3)
    first = Trainer(SMALL, noise_data(), recipe, seed=3)
    first.run_epoch()
    state = copy.deepcopy(first.state_dict())
    second = Trainer(SMALL, noise_data(), recipe, seed=3)
    second.load_state_dict(state)
    while not second.is_done:
        second.run_epoch()
    assert numbers(second.training) == numbers(expected)
    theirs = unbroken.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in second.trained_network.state_dict().items())


# What gives no network


def test_memory_that_runs_out_is_told_with_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(trainer: Trainer) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(Trainer, "run_epoch", full)
    with pytest.raises(TrainingError, match="out of memory with batches of 16: CUDA out of memory"):
        train(SMALL, noise_data(), RECIPE, seed=0)


def test_a_single_class_is_told() -> None:
    with pytest.raises(TrainingError, match="two classes or more to tell apart, got 1"):
        train(SMALL, data_of(noise(16), noise(8), classes=1), RECIPE, seed=0)
