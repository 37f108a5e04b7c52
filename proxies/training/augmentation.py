"""Random changes to the images of a batch, and mixtures of its images: drawn from a given generator alone.

The operations and their strengths are torchvision's. Each image draws its own operation and level, as there, but
then all that drew one operation are changed in one call. Torchvision's own, called for each image, takes 2.4 times as
long for 28 pixels of grey and 3.1 times for 32 of colour, and as long for 128 (`python
tests/benchmarks/augmentation.py`, medians of 15 rounds in turn on one core of a CPU).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 31
"""How many levels an operation has, from none to its strongest."""


SHEAR, TRANSLATE, ROTATE, BLEND, POSTERIZE = 0.99, 32, 135, 0.99, 6
"""The strongest level of each operation: TrivialAugment's wide space (Mueller and Hutter 2021, table 1).

A slope, pixels, degrees, the change of a factor that is 1 (of brightness, colour, contrast and sharpness), and bits
taken away.
"""


def trivial(images: Tensor, generator: torch.Generator) -> Tensor:
    """Returns uint8 ``(n, c, h, w)``, c 1 or 3: each image after one operation at one level, both drawn evenly.

    The distribution is that of torchvision's ``TrivialAugmentWide()``. No operation mirrors.
    """
    bins = torch.randint(BINS, (len(images),), generator=generator)
    return _operated(images, bins, generator)


def unchanged(images: Tensor, generator: torch.Generator) -> Tensor:
    """Returns the images as they are, and draws nothing."""
    return images


Augmentation = Callable[[Tensor, torch.Generator], Tensor]
AUGMENTATIONS: Mapping[str, Augmentation] = MappingProxyType({"none": unchanged, "trivial": trivial})
"""Every augmentation by its name: of uint8 images ``(n, c, h, w)`` on any device, with a generator on the CPU."""


def mix(
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Returns the float images ``(n, c, h, w)``, each mixed with another of the batch, and class shares ``(n, k)``.

    One weight a batch, by MixUp (Zhang 2018) or CutMix (Yun 2019): by the one whose ``alpha`` is above 0, or where
    both are, by either half the time. Where neither is, images and labels come back as they came, int64 ``(n,)``. The
    batch must be in random order, for neighbours are mixed. ``generator`` is one on the CPU.
    """
    from torchvision.transforms import v2  # here, for it takes seconds to import, and few trainings mix

    kinds = [partial(v2.MixUp, alpha=mixup_alpha)] * (mixup_alpha > 0)
    kinds += [partial(v2.CutMix, alpha=cutmix_alpha)] * (cutmix_alpha > 0)
    if not kinds:
        return images, labels
    make = kinds[int(torch.randint(len(kinds), (), generator=generator))]
    with _global_generator_from(generator):
        mixed, shares = make(num_classes=num_classes)(images, labels)
    if images.is_contiguous(memory_format=torch.channels_last):
        mixed = mixed.contiguous(memory_format=torch.channels_last)
    return mixed, shares


@contextmanager
def _global_generator_from(generator: torch.Generator) -> Iterator[None]:
    """PyTorch's own CPU generator seeded from ``generator`` inside, and as it was before outside."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would also seed every GPU's
        yield


def _operated(images: Tensor, bins: Tensor, generator: torch.Generator) -> Tensor:
    """Each image after an operation of its own, drawn evenly, at the level of its bin, which may go up or down."""
    operations = torch.randint(len(OPERATIONS), (len(images),), generator=generator)
    down = torch.rand(len(images), generator=generator) < 0.5
    table = list(levels().values())
    changed = images.clone()
    for number, (operation, (steps, is_signed)) in enumerate(zip(OPERATIONS.values(), table, strict=True)):
        rows = (operations == number).nonzero().flatten()
        if len(rows) and operation is not unchanged_at:
            chosen = steps[bins[rows]]
            chosen = torch.where(down[rows], -chosen, chosen) if is_signed else chosen
            on_device = rows.to(images.device)
            changed[on_device] = operation(images[on_device], chosen.to(images.device))
    return changed


def levels() -> dict[str, tuple[Tensor, bool]]:
    """Returns the float levels ``(31,)`` of each operation by its name, and whether a level may also be negative."""
    signed = {
        "shear_x": SHEAR,
        "shear_y": SHEAR,
        "translate_x": TRANSLATE,
        "translate_y": TRANSLATE,
        "rotate": ROTATE,
        "brightness": BLEND,
        "colour": BLEND,
        "contrast": BLEND,
        "sharpness": BLEND,
    }
    rising = {name: (torch.linspace(0, strongest, BINS), True) for name, strongest in signed.items()}
    bits = (8 - torch.arange(BINS) / ((BINS - 1) / POSTERIZE)).round()
    none = (torch.zeros(BINS), False)
    falling = {"posterize": (bits, False), "solarize": (torch.linspace(1, 0, BINS), False)}
    return {"identity": none, **rising, **falling, "autocontrast": none, "equalize": none}


def unchanged_at(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images as they are."""
    return images


def shear_x(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with each row moved left by ``level`` times its distance from the top."""
    return _resampled(images, xy=level, x=level * images.shape[-2] / 2)


def shear_y(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with each column moved up by ``level`` times its distance from the left."""
    return _resampled(images, yx=level, y=level * images.shape[-1] / 2)


def translate_x(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images moved right by the whole pixels of ``level``."""
    return _resampled(images, x=-level.trunc())


def translate_y(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images moved down by the whole pixels of ``level``."""
    return _resampled(images, y=-level.trunc())


def rotate(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images turned to the left by ``level`` degrees about their centres."""
    angle = level.deg2rad()
    return _resampled(images, xx=angle.cos(), xy=-angle.sin(), yx=angle.sin(), yy=angle.cos())


def brightness(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images ``1 + level`` times as bright."""
    return _blended(images, torch.zeros((), device=images.device), level)


def colour(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with ``1 + level`` times their distance from grey; grey ones as they are."""
    if images.shape[1] == 1:
        return images
    return _blended(images, _grey(images), level)


def contrast(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with ``1 + level`` times their distance from their mean brightness."""
    return _blended(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), level)


def sharpness(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with ``1 + level`` times their distance from their smoothed selves, but for the border."""
    channels = images.shape[1]
    kernel = torch.ones(channels, 1, 3, 3, device=images.device)
    kernel[..., 1, 1] = 5
    changed = images.clone()
    smooth = F.conv2d(images.float(), kernel / 13, groups=channels).round_()
    changed[..., 1:-1, 1:-1] = _blended(images[..., 1:-1, 1:-1], smooth, level)
    return changed


def posterize(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with only the ``level`` highest bits of each value."""
    return images & (256 - 2 ** (8 - level)).to(torch.uint8).view(-1, 1, 1, 1)


def solarize(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with the values from ``255 * level`` on inverted."""
    return torch.where(images >= 255 * level.view(-1, 1, 1, 1), 255 - images, images)


def autocontrast(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with each channel stretched over all values."""
    from torchvision.transforms.v2 import functional  # here, for it takes seconds to import

    stretched: Tensor = functional.autocontrast(images)
    return stretched


def equalize(images: Tensor, level: Tensor) -> Tensor:
    """Returns the images with the values of each channel spread evenly."""
    from torchvision.transforms.v2 import functional  # here, for it takes seconds to import

    spread: Tensor = functional.equalize(images)
    return spread


OPERATIONS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "identity": unchanged_at,
        "shear_x": shear_x,
        "shear_y": shear_y,
        "translate_x": translate_x,
        "translate_y": translate_y,
        "rotate": rotate,
        "brightness": brightness,
        "colour": colour,
        "contrast": contrast,
        "sharpness": sharpness,
        "posterize": posterize,
        "solarize": solarize,
        "autocontrast": autocontrast,
        "equalize": equalize,
    }
)
"""Every operation by its name: of uint8 images ``(n, c, h, w)`` with a float level for each, ``(n,)``."""


def _resampled(
    images: Tensor,
    *,
    xx: Tensor | float = 1.0,
    xy: Tensor | float = 0.0,
    x: Tensor | float = 0.0,
    yx: Tensor | float = 0.0,
    yy: Tensor | float = 1.0,
    y: Tensor | float = 0.0,
) -> Tensor:
    """The images whose pixel (a, b) is the old one nearest to (xx a + xy b + x, yx a + yy b + y), or black outside.

    Pixels count to the right and down from the centre.
    """
    height, width = images.shape[-2:]
    row_x = (xx, _scaled(xy, height / width), _scaled(x, 2 / width))
    row_y = (_scaled(yx, width / height), yy, _scaled(y, 2 / height))
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    for row, entries in enumerate((row_x, row_y)):
        for column, entry in enumerate(entries):
            theta[:, row, column] = entry
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved.to(torch.uint8)


def _scaled(entry: Tensor | float, factor: float) -> Tensor | float:
    return entry * factor


def _blended(images: Tensor, dull: Tensor, level: Tensor) -> Tensor:
    """The images with ``1 + level`` times their distance from their ``dull`` selves."""
    return dull.lerp(images.float(), 1 + level.view(-1, 1, 1, 1)).clamp_(0, 255).to(torch.uint8)


def _grey(images: Tensor) -> Tensor:
    """The brightness ``(n, 1, h, w)`` of the images, in whole numbers as floats."""
    if images.shape[1] == 1:
        return images.float()
    weights = torch.tensor((0.2989, 0.587, 0.114), device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True).floor_()
