"""What the ShuffleNet papers measured of whole networks on ImageNet, as data: Zhang 2017, tables 2-4; Ma 2018, table 8.

Errors are top-1 in percent, one 224-pixel crop. Ma 2018 times a GTX 1080Ti on batches of 8 images and one thread of a
Snapdragon 810 on single images; of the latter the speeds stand here. `network` is what `nas.compare` calls the row's
network, None where there is none: of another resolution, or not built by this project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class PublishedNetwork:
    """A row: what the paper calls it, which network that is here, and what was published, None where nothing was."""

    label: str
    network: str | None
    mflops: float
    error_percent: float
    images_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class PublishedAccuracies:
    """One table of networks, all trained by one recipe on ImageNet."""

    title: str
    source: str
    rows: tuple[PublishedNetwork, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks of its rows, those that there are here."""
        return tuple(row.network for row in self.rows if row.network)


V1_LEVELS: Mapping[str, int] = MappingProxyType({"1.0": 140, "0.5": 38, "0.25": 13})
"""Scale of ShuffleNet V1 -> the MFLOPs that its table calls it by."""
V1_ERRORS: Mapping[str, Mapping[int, float]] = MappingProxyType(
    {
        "1.0": {1: 33.6, 2: 32.7, 3: 32.6, 4: 32.8, 8: 32.4},
        "0.5": {1: 45.1, 2: 44.4, 3: 43.2, 4: 41.6, 8: 42.3},
        "0.25": {1: 57.1, 2: 56.8, 3: 55.0, 4: 54.2, 8: 52.7},
    }
)
"""Scale -> groups -> error."""
_NO_SHUFFLE = {
    ("1.0", 3): 34.5,
    ("1.0", 8): 37.6,
    ("0.5", 3): 45.7,
    ("0.5", 8): 48.1,
    ("0.25", 3): 56.3,
    ("0.25", 8): 56.5,
}


def v1_name(scale: str, groups: int) -> str:
    """What ShuffleNet V1 of a scale and groups is called here: rounded where the groups divide no such width."""
    rounded = "-rounded" if scale != "1.0" and groups in (2, 4) else ""
    return f"v1-{scale}x-g{groups}{rounded}"


def _shuffled_or_not() -> Iterable[PublishedNetwork]:
    for (scale, groups), error in _NO_SHUFFLE.items():
        name, mflops = v1_name(scale, groups), V1_LEVELS[scale]
        yield PublishedNetwork(f"{scale}x g={groups} no shuffle", f"{name}+no-shuffle", mflops, error)
        yield PublishedNetwork(f"{scale}x g={groups} shuffle", name, mflops, V1_ERRORS[scale][groups])


def _units(mflops: int, shufflenet: tuple[str, int], errors: Sequence[float | None]) -> Iterable[PublishedNetwork]:
    scale, groups = shufflenet
    names = ("vgg-like", "resnet-like", "resnext-like")
    networks = *(f"{name}@{mflops}mflops" for name in names), v1_name(scale, 1), v1_name(scale, groups)
    labels = "VGG-like", "ResNet", "ResNeXt", "Xception-like", f"ShuffleNet {scale}x g={groups}"
    for label, network, error in zip(labels, networks, errors, strict=True):
        if error is not None:
            yield PublishedNetwork(f"{label} {mflops}", network, mflops, error)


PUBLISHED: Mapping[str, PublishedAccuracies] = MappingProxyType(
    {
        "v1-2": PublishedAccuracies(
            "ShuffleNet V1 by groups",
            "Zhang 2017, table 2",
            tuple(
                PublishedNetwork(f"{scale}x g={groups}", v1_name(scale, groups), V1_LEVELS[scale], error)
                for scale, errors in V1_ERRORS.items()
                for groups, error in errors.items()
            ),
        ),
        "v1-3": PublishedAccuracies("With and without shuffle", "Zhang 2017, table 3", tuple(_shuffled_or_not())),
        "v1-4": PublishedAccuracies(
            "Other units at equal FLOPs",
            "Zhang 2017, table 4",
            (
                *_units(140, ("1.0", 8), (50.7, 37.3, 33.3, 33.6, 32.4)),
                *_units(38, ("0.5", 4), (None, 48.8, 46.0, 45.1, 41.6)),
                *_units(13, ("0.25", 8), (None, 63.7, 65.2, 57.1, 52.7)),
            ),
        ),
        "v2-8": PublishedAccuracies(
            "ShuffleNet V2 beside other networks",
            "Ma 2018, table 8",
            (
                PublishedNetwork("ShuffleNet v2 0.5x", "v2-0.5x", 41, 39.7, 57.0),
                PublishedNetwork("0.25 MobileNet v1", "mobilenet-v1-0.25", 41, 49.4, 36.4),
                PublishedNetwork("0.4 MobileNet v2 at 160 px", None, 43, 43.4, 33.2),
                PublishedNetwork("0.15 MobileNet v2", "mobilenet-v2-0.15", 39, 55.1, 33.6),
                PublishedNetwork("ShuffleNet v1 0.5x g=3", "v1-0.5x-g3", 38, 43.2, 56.8),
                PublishedNetwork("DenseNet 0.5x", None, 42, 58.6, 39.7),
                PublishedNetwork("Xception 0.5x", None, 40, 44.9, 52.9),
                PublishedNetwork("IGCV2-0.25", None, 46, 45.1, 31.5),
                PublishedNetwork("ShuffleNet v2 1x", "v2-1.0x", 146, 30.6, 24.4),
                PublishedNetwork("0.5 MobileNet v1", "mobilenet-v1-0.5", 149, 36.3, 16.5),
                PublishedNetwork("0.75 MobileNet v2 at 192 px", None, 145, 32.1, 15.9),
                PublishedNetwork("0.6 MobileNet v2", "mobilenet-v2-0.6", 141, 33.3, 14.9),
                PublishedNetwork("ShuffleNet v1 1x g=3", "v1-1.0x-g3", 140, 32.6, 21.8),
                PublishedNetwork("DenseNet 1x", None, 142, 45.2, 15.8),
                PublishedNetwork("Xception 1x", None, 145, 34.1, 19.5),
                PublishedNetwork("IGCV2-0.5", None, 156, 34.5, 15.5),
                PublishedNetwork("IGCV3-D (0.7)", None, 210, 31.5, 11.7),
                PublishedNetwork("ShuffleNet v2 1.5x", "v2-1.5x", 299, 27.4, 11.8),
                PublishedNetwork("0.75 MobileNet v1", "mobilenet-v1-0.75", 325, 31.6, 10.6),
                PublishedNetwork("1.0 MobileNet v2", "mobilenet-v2", 301, 28.3, 8.9),
                PublishedNetwork("ShuffleNet v1 1.5x g=3", "v1-1.5x-g3", 292, 28.5, 10.3),
                PublishedNetwork("DenseNet 1.5x", None, 295, 39.9, 9.7),
                PublishedNetwork("CondenseNet (G=C=8)", None, 274, 29.0),
                PublishedNetwork("Xception 1.5x", None, 305, 29.4, 10.5),
                PublishedNetwork("IGCV3-D", None, 318, 27.8, 6.3),
                PublishedNetwork("ShuffleNet v2 2x", "v2-2.0x", 591, 25.1, 6.7),
                PublishedNetwork("1.0 MobileNet v1", "mobilenet-v1-1.0", 569, 29.4, 6.5),
                PublishedNetwork("1.4 MobileNet v2", "mobilenet-v2-1.4", 587, 26.7, 5.4),
                PublishedNetwork("ShuffleNet v1 2x g=3", "v1-2.0x-g3", 524, 26.3, 6.4),
                PublishedNetwork("DenseNet 2x", None, 519, 34.6, 6.1),
                PublishedNetwork("CondenseNet (G=C=4)", None, 529, 26.2),
                PublishedNetwork("Xception 2x", None, 525, 27.6, 6.7),
                PublishedNetwork("IGCV2-1.0", None, 564, 29.3, 4.9),
                PublishedNetwork("IGCV3-D (1.4)", None, 610, 25.5, 4.5),
                PublishedNetwork("ShuffleNet v2 2x, SE", "v2-se-2.0x", 597, 24.6, 5.6),
                PublishedNetwork("NASNet-A (4@1056)", None, 564, 26.0, 4.6),
                PublishedNetwork("PNASNet-5", None, 588, 25.8, 4.1),
            ),
        ),
    }
)
"""The tables by name; of networks that a paper has both reported and implemented itself, the latter."""
