"""Batches: shuffled, cropped, mirrored, normalised."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders.images import fill, load_folder, pixels

from proxies.data.load import batches, crop, normalise

# batches


def epoch(images: torch.Tensor, batch_size: int, seed: int = 0, pad: int = 2, flip: bool = True) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(len(images))
    return [
        part for pair in batches(images, labels, batch_size, generator=generator, pad=pad, flip=flip) for part in pair
    ]


def test_batches_without_crop_and_flip_are_a_permutation_of_the_images() -> None:
    images = pixels(10, 3, 8, 8)
    parts = epoch(images, 4, pad=0, flip=False)
    labels = torch.cat(parts[1::2])
    assert [len(part) for part in parts[1::2]] == [4, 4, 2]
    assert labels.sort().values.tolist() == list(range(10))
    assert labels.tolist() != list(range(10))
    assert torch.equal(torch.cat(parts[0::2]), images[labels])


@pytest.mark.parametrize(("count", "sizes"), [(10, [4, 4, 2]), (9, [4, 4]), (8, [4, 4]), (1, [1])])
def test_a_last_batch_under_half_the_size_is_dropped_unless_it_is_the_only_one(count: int, sizes: list[int]) -> None:
    assert [len(labels) for labels in epoch(pixels(count, 1, 8, 8), 4)[1::2]] == sizes


def test_a_crop_holds_the_pixels_that_a_loop_over_images_gives() -> None:
    images, pad = pixels(30, 3, 6, 9), 2
    offsets = torch.randint(0, 2 * pad + 1, (2, 30), generator=torch.Generator().manual_seed(1))
    mirrored = torch.arange(30) % 2 == 0
    cropped = crop(images, offsets, mirrored, pad)
    assert cropped.dtype == torch.uint8
    for row in range(30):
        canvas = np.zeros((3, 10, 13), np.uint8)
        canvas[:, 2:8, 2:11] = images[row].numpy()
        top, left = offsets[:, row].tolist()
        expected = canvas[:, top : top + 6, left : left + 9]
        assert np.array_equal(cropped[row].numpy(), expected[:, :, ::-1] if mirrored[row] else expected)


def test_an_epoch_uses_every_offset_and_mirrors_half_the_images() -> None:
    image = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    image[..., 4, 3] = 255
    parts = epoch(image.expand(4000, -1, -1, -1), 100)
    _, _, rows, columns = torch.cat(parts[0::2]).nonzero(as_tuple=True)
    assert rows.unique().tolist() == [2, 3, 4, 5, 6]
    # At offsets 0 to 4 the pixel lies at column 5 to 1; mirrored, at 3 to 7. One in ten falls on each of 1, 2, 6, 7.
    assert columns.unique().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert abs((columns >= 6).sum().item() - 800) < 120
    unmirrored = torch.cat(epoch(image.expand(4000, -1, -1, -1), 100, flip=False)[0::2])
    assert unmirrored.nonzero(as_tuple=True)[3].unique().tolist() == [1, 2, 3, 4, 5]


def test_equal_seeds_give_equal_batches_and_others_do_not() -> None:
    images = pixels(50, 3, 8, 8)
    first, again, other = epoch(images, 16), epoch(images, 16), epoch(images, 16, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batches_on_a_gpu_equal_those_on_the_cpu() -> None:
    images = pixels(50, 3, 8, 8)
    on_gpu, on_cpu = epoch(images.cuda(), 16), epoch(images, 16)
    assert on_gpu[0].is_cuda
    assert all(torch.equal(a.cpu(), b) for a, b in zip(on_gpu, on_cpu, strict=True))


# normalising


def test_channel_stats_match_a_float_computation(tmp_path: Path) -> None:
    data = load_folder(fill(tmp_path / "set"))
    scaled = data.train_images.double() / 255
    mean, std = data.channel_stats
    assert mean == pytest.approx(scaled.mean(dim=(0, 2, 3)).tolist())
    assert std == pytest.approx(scaled.std(dim=(0, 2, 3), correction=0).tolist())


def test_normalising_by_the_channel_stats_gives_mean_0_and_deviation_1_in_channels_last() -> None:
    images = pixels(200, 3, 8, 8) // torch.tensor([1, 2, 4], dtype=torch.uint8).view(1, 3, 1, 1)
    scaled = images.float() / 255
    out = normalise(images, scaled.mean(dim=(0, 2, 3)).tolist(), scaled.std(dim=(0, 2, 3)).tolist())
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert out.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0, 0], abs=1e-5)
    assert out.std(dim=(0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=1e-5)


def test_normalising_leaves_its_input_alone_and_survives_a_constant_channel() -> None:
    images = torch.full((2, 1, 4, 4), 255, dtype=torch.uint8)
    assert normalise(images, (1.0,), (0.0,)).abs().max() < 1e-5
    assert images.unique().tolist() == [255]
    assert normalise(images, (0.5,), (0.25,)).unique().tolist() == [2.0]
