"""The operations against torchvision's, one image at a time; what is drawn, by counting; mixing, by hand."""

import math

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from proxies.training.augmentation import AUGMENTATIONS, BINS, OPERATIONS, levels, mix

# torchvision's names for the operations, which hold no flip.
THEIR_NAMES = {name: name.title().replace("_", "") for name in OPERATIONS}
THEIR_NAMES |= {"colour": "Color", "autocontrast": "AutoContrast"}
MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")


def generator_of(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator_of(seed))


def landscape(channels: int = 3, height: int = 24, width: int = 32) -> Tensor:
    """One image (1, c, h, w) of smooth hills and some noise, between 20 and 220."""
    y, x = torch.meshgrid(torch.linspace(0, 3, height), torch.linspace(0, 4, width), indexing="ij")
    hills = torch.stack([(x * (c + 1)).sin() + (y * (3 - c)).cos() for c in range(channels)])
    rough = hills * 40 + 120 + 20 * torch.rand(hills.shape, generator=generator_of(1))
    return rough.round().to(torch.uint8)[None]


# the operations


def test_the_levels_are_those_of_torchvision() -> None:
    ours, theirs = levels(), v2.TrivialAugmentWide()
    table = {name: make(BINS, 24, 32) for name, (make, _) in theirs._AUGMENTATION_SPACE.items()}
    assert [THEIR_NAMES[name] for name in ours] == list(table)
    assert list(ours) == list(OPERATIONS)
    for name, (steps, is_signed) in ours.items():
        expected = table[THEIR_NAMES[name]]
        assert torch.allclose(steps, torch.zeros(BINS) if expected is None else expected.float()), name
        assert is_signed == theirs._AUGMENTATION_SPACE[THEIR_NAMES[name]][1], name


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_does_what_torchvisions_does_at_every_level(name: str, channels: int) -> None:
    steps, is_signed = levels()[name]
    chosen = torch.cat([steps, -steps]) if is_signed else steps
    image, theirs = landscape(channels), v2.TrivialAugmentWide()
    ours = OPERATIONS[name](image.expand(len(chosen), -1, -1, -1), chosen)
    assert ours.shape == (len(chosen), channels, 24, 32)
    assert ours.dtype == torch.uint8
    for row, level in enumerate(chosen.tolist()):
        expected = theirs._apply_image_or_video_transform(
            image[0], THEIR_NAMES[name], level, interpolation=theirs.interpolation, fill=theirs._fill
        )
        difference = (ours[row].int() - expected.int()).abs()
        if name in MOVES:  # a pixel halfway between two may go to either
            assert (difference > 0).float().mean() < 0.03, level
        else:
            assert difference.max() <= 1, level


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_image_gets_its_own_level_and_its_own_pixels(name: str) -> None:
    images = torch.cat([noise(3, 3, 16, 16), landscape(3, 16, 16)])
    steps, _ = levels()[name]
    chosen = steps[torch.tensor([3, 9, 17, 30])]
    together = OPERATIONS[name](images, chosen)
    for row in range(4):
        assert torch.equal(together[row : row + 1], OPERATIONS[name](images[row : row + 1], chosen[row : row + 1]))


def test_solarizing_and_posterizing_by_hand() -> None:
    images = torch.tensor([0, 100, 200, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    assert OPERATIONS["solarize"](images, torch.tensor([0.5])).flatten().tolist() == [0, 100, 55, 0]
    assert OPERATIONS["posterize"](images, torch.tensor([2.0])).flatten().tolist() == [0, 64, 192, 192]
    assert OPERATIONS["posterize"](images, torch.tensor([8.0])).equal(images)


# what is drawn


def test_none_changes_and_draws_nothing() -> None:
    images, generator = noise(3, 3, 8, 8), generator_of(0)
    assert AUGMENTATIONS["none"](images, generator) is images
    assert torch.equal(generator.get_state(), generator_of(0).get_state())


@pytest.mark.parametrize("channels", [1, 3])
def test_equal_seeds_give_equal_images_whatever_the_global_generator_does(channels: int) -> None:
    images = noise(40, channels, 16, 16)
    before = images.clone()
    torch.manual_seed(1)
    first = AUGMENTATIONS["trivial"](images, generator_of(5))
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    again, other = (AUGMENTATIONS["trivial"](images, generator_of(seed)) for seed in (5, 6))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(images, before)
    assert (first.shape, first.dtype) == (images.shape, torch.uint8)


def test_a_generator_goes_on_so_that_the_next_batch_is_changed_otherwise() -> None:
    images, generator = noise(40, 3, 16, 16), generator_of(0)
    assert not torch.equal(AUGMENTATIONS["trivial"](images, generator), AUGMENTATIONS["trivial"](images, generator))


def test_trivial_draws_each_operation_and_each_level_evenly() -> None:
    count, image = 14_000, landscape(3, 16, 16)
    changed = AUGMENTATIONS["trivial"](image.expand(count, -1, -1, -1), generator_of(0)).flatten(1)

    def share_of(expected: Tensor) -> float:
        return (changed == expected.flatten()).all(dim=1).float().mean().item()

    # Nothing changes by identity, by the lowest level of the nine signed operations (the first of 31) and of
    # solarize, and by the three lowest of posterize, which all keep 8 bits.
    unchanged = (1 + 9 / 31 + 1 / 31 + 3 / 31) / 14
    assert share_of(image) == pytest.approx(unchanged, abs=4 * math.sqrt(unchanged / count))
    black = changed.eq(0).all(dim=1).float().mean().item()
    # Black is what was moved by 16 pixels or more: levels 15 to 30 of 31, each way, of two operations, and no other.
    assert black == pytest.approx(16 / 31 * 2 / 14, abs=4 * math.sqrt(0.074 / count))
    for each in (v2.functional.equalize(image), v2.functional.autocontrast(image)):
        assert share_of(each) == pytest.approx(1 / 14, abs=4 * math.sqrt(1 / 14 / count))
    moved = torch.zeros_like(image)
    moved[..., 4:] = image[..., :-4]  # the level 4 x 32 / 30, to the right
    assert share_of(moved) == pytest.approx(1 / 14 / 31 / 2, abs=4 * math.sqrt(1 / 868 / count))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_almost_the_pixels_of_the_cpu() -> None:
    images = noise(100, 3, 16, 16)
    on_cpu, on_gpu = (AUGMENTATIONS["trivial"](each, generator_of(0)) for each in (images, images.cuda()))
    assert on_gpu.is_cuda
    assert ((on_gpu.cpu().int() - on_cpu.int()).abs() > 1).float().mean() < 0.01


# mixing


def flat(values: list[float], size: int = 8, channels: int = 3) -> Tensor:
    """Images of one value each, in channels_last order."""
    images = torch.tensor(values).view(-1, 1, 1, 1).expand(-1, channels, size, size)
    return images.contiguous(memory_format=torch.channels_last)


def mixed(seed: int, mixup: float, cutmix: float) -> tuple[Tensor, Tensor]:
    """Four images of the values 0, 1, 2 and 3 and of the classes 3, 2, 1 and 0 of 5."""
    labels = torch.tensor([3, 2, 1, 0])
    alphas = {"mixup_alpha": mixup, "cutmix_alpha": cutmix}
    return mix(flat([0.0, 1.0, 2.0, 3.0]), labels, 5, **alphas, generator=generator_of(seed))


def test_mixup_weighs_images_and_classes_alike() -> None:
    images, shares = mixed(0, 0.8, 0.0)
    assert shares.shape == (4, 5)
    own = shares[0, 3].item()
    assert 0 < own < 1
    for row, (label, value, other_label, other) in enumerate([(3, 0, 0, 3), (2, 1, 3, 0), (1, 2, 2, 1), (0, 3, 1, 2)]):
        expected = torch.zeros(5)
        expected[label], expected[other_label] = own, 1 - own
        assert torch.allclose(shares[row], expected)
        assert torch.allclose(images[row], torch.tensor(own * value + (1 - own) * other))


def test_cutmix_gives_the_classes_their_shares_of_the_pixels() -> None:
    cut = 0
    for seed in range(20):
        images, shares = mixed(seed, 0.0, 1.0)
        for row, (label, value, other_label, other) in enumerate([(3, 0, 0, 3), (2, 1, 3, 0)]):
            assert set(images[row].unique().tolist()) <= {float(value), float(other)}
            assert shares[row, label].item() == pytest.approx((images[row] == value).float().mean().item(), abs=1e-6)
            assert shares[row].sum().item() == pytest.approx(1)
            cut += shares[row, other_label].item() > 0
    assert cut > 20


def test_where_both_are_wanted_either_comes_half_the_time() -> None:
    cuts = sum(set(mixed(seed, 1.0, 1.0)[0].unique().tolist()) <= {0.0, 1.0, 2.0, 3.0} for seed in range(200))
    assert 70 < cuts < 130


def test_without_mixing_images_and_labels_stay_as_they_are() -> None:
    images, labels, generator = flat([0.0, 1.0]), torch.tensor([0, 1]), generator_of(0)
    same = mix(images, labels, 5, mixup_alpha=0.0, cutmix_alpha=0.0, generator=generator)
    assert same[0] is images
    assert same[1] is labels
    assert torch.equal(generator.get_state(), generator_of(0).get_state())


@pytest.mark.parametrize("alphas", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_equal_seeds_mix_equally_and_leave_the_global_generator_alone(alphas: tuple[float, float]) -> None:
    torch.manual_seed(1)
    first = mixed(3, *alphas)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    again, other = mixed(3, *alphas), mixed(4, *alphas)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])
    assert first[0].is_contiguous(memory_format=torch.channels_last)
