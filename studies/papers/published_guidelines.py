"""What the ShuffleNet papers measured of guidelines and networks, as data: Ma 2018, tables 1-4; Zhang 2017, table 8.

The two platforms of Ma 2018 (sec. 2) are a GTX 1080Ti, in batches a second, and one thread of a Snapdragon 810, in
images a second. The size of a batch is not printed; at more than one image a batch, tables 2 and 3 would ask more of
that GPU than it can do, so a batch is one image. Columns x2 and x4 multiply the channels, not the FLOPs: table 2's row
of one group and table 3's of one fragment, whose channels are printed, agree column by column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PLATFORMS: Mapping[str, str] = MappingProxyType(
    {"gpu": "GTX 1080Ti", "arm": "Snapdragon 810", "phone": "Snapdragon 820"}
)
"""Short name -> the device that a paper measured on."""
SCALES = (1, 2, 4)
"""What the columns x1, x2, x4 of Ma 2018, tables 1-4, multiply the channels by."""
RESOLUTIONS = ((224, 224), (480, 640), (720, 1280))
"""Height and width of the inputs of Zhang 2017, table 8."""
SIZES = tuple(f"{height}x{width}" for height, width in RESOLUTIONS)
CHANNELS_OF = ("gpu", "arm")
"""The platforms of Ma 2018, whose channels differ."""
ALEXNET = "AlexNet"


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row: its setting, and for each platform the channels at x1 and the values of the table's variants.

    `options` is what tells the row's network apart, besides its channels.
    """

    setting: str
    options: Mapping[str, int]
    channels: Mapping[str, tuple[int, ...]]
    values: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One table: values are speeds a second, or latencies in milliseconds where `in_ms`; one for each of `variants`.

    `others_are` says what the paper found of every later row beside the first: "slower" or "faster".
    """

    number: int
    name: str
    title: str
    source: str
    others_are: str
    in_ms: bool
    variants: tuple[str, ...]
    rows: tuple[PublishedRow, ...]

    @property
    def platforms(self) -> tuple[str, ...]:
        """The short names of the platforms that the table has values of."""
        return tuple(self.rows[0].values)

    def relative_speeds(self, platform: str, variant: int) -> tuple[float, ...]:
        """The speed of each row over the first row's, on the platform, in the variant of that index."""
        values = [row.values[platform][variant] for row in self.rows]
        return tuple(values[0] / value if self.in_ms else value / values[0] for value in values)

    def value_text(self, platform: str, variant: int, row: int) -> str:
        """A value as printed, with its unit: "1480/s" or "15.2 ms"."""
        value = self.rows[row].values[platform][variant]
        return f"{value} ms" if self.in_ms else f"{value}/s"


Measured = tuple[tuple[int, ...], tuple[float, float, float]]


def _row(setting: str, gpu: Measured, arm: Measured, **options: int) -> PublishedRow:
    channels, values = ({"gpu": gpu[part], "arm": arm[part]} for part in (0, 1))
    return PublishedRow(setting, options, channels, values)  # type: ignore[arg-type]  # a half of each pair


def _network(name: str, *latency_ms: float) -> PublishedRow:
    return PublishedRow(name, {}, {"phone": ()}, {"phone": latency_ms})


_BY_SCALE = tuple(f"x{scale}" for scale in SCALES)

_G1 = PublishedTable(
    number=1,
    name="G1",
    title="Equal channel width: two 1x1 convolutions a block, c1 to c2 and back",
    source="Ma 2018, table 1",
    others_are="slower",
    in_ms=False,
    variants=_BY_SCALE,
    rows=(
        _row("1:1", ((128, 128), (1480, 723, 232)), ((32, 32), (76.2, 21.7, 5.3))),
        _row("1:2", ((90, 180), (1296, 586, 206)), ((22, 44), (72.9, 20.5, 5.1))),
        _row("1:6", ((52, 312), (876, 489, 189)), ((13, 78), (69.1, 17.9, 4.6))),
        _row("1:12", ((36, 432), (748, 392, 163)), ((9, 108), (57.6, 15.1, 4.4))),
    ),
)
_G2 = PublishedTable(
    number=2,
    name="G2",
    title="Group convolution: one grouped 1x1 convolution a block",
    source="Ma 2018, table 2",
    others_are="slower",
    in_ms=False,
    variants=_BY_SCALE,
    rows=(
        _row("1 group", ((128,), (2451, 1289, 437)), ((64,), (40.0, 10.2, 2.3)), groups=1),
        _row("2 groups", ((180,), (1725, 873, 341)), ((90,), (35.0, 9.5, 2.2)), groups=2),
        _row("4 groups", ((256,), (1026, 644, 338)), ((128,), (32.9, 8.7, 2.1)), groups=4),
        _row("8 groups", ((360,), (634, 445, 230)), ((180,), (27.8, 7.5, 1.8)), groups=8),
    ),
)
_G3_GPU, _G3_ARM = (128,), (64,)
_G3 = PublishedTable(
    number=3,
    name="G3",
    title="Fragmentation: one, two or four 1x1 convolutions a block, in series or in parallel",
    source="Ma 2018, table 3",
    others_are="slower",
    in_ms=False,
    variants=_BY_SCALE,
    rows=(
        _row("1-fragment", (_G3_GPU, (2446, 1274, 434)), (_G3_ARM, (40.2, 10.1, 2.3)), fragments=1, parallel=False),
        _row(
            "2-fragment-series", (_G3_GPU, (1790, 909, 336)), (_G3_ARM, (38.6, 10.1, 2.2)), fragments=2, parallel=False
        ),
        _row(
            "4-fragment-series", (_G3_GPU, (752, 745, 349)), (_G3_ARM, (38.4, 10.1, 2.3)), fragments=4, parallel=False
        ),
        _row(
            "2-fragment-parallel", (_G3_GPU, (1537, 803, 320)), (_G3_ARM, (33.4, 9.1, 2.2)), fragments=2, parallel=True
        ),
        _row(
            "4-fragment-parallel", (_G3_GPU, (691, 572, 292)), (_G3_ARM, (35.0, 8.4, 2.1)), fragments=4, parallel=True
        ),
    ),
)
_G4_CHANNELS = (32,)
_G4 = PublishedTable(
    number=4,
    name="G4",
    title="Element-wise operations: ResNet's bottleneck with and without ReLU and shortcut",
    source="Ma 2018, table 4",
    others_are="faster",
    in_ms=False,
    variants=_BY_SCALE,
    rows=tuple(
        _row(setting, (_G4_CHANNELS, gpu), (_G4_CHANNELS, arm), relu=relu, shortcut=shortcut)
        for setting, relu, shortcut, gpu, arm in (
            ("ReLU, shortcut", True, True, (2427, 2066, 1436), (56.7, 16.9, 5.0)),
            ("ReLU, no shortcut", True, False, (2647, 2256, 1735), (61.9, 18.8, 5.2)),
            ("no ReLU, shortcut", False, True, (2672, 2121, 1458), (57.3, 18.2, 5.1)),
            ("no ReLU, no shortcut", False, False, (2842, 2376, 1782), (66.3, 20.2, 5.4)),
        )
    ),
)
_SPEED = PublishedTable(
    number=8,
    name="V1",
    title="Actual speed of whole networks",
    source="Zhang 2017, table 8",
    others_are="slower",
    in_ms=True,
    variants=tuple(f"{height}x{width}" for height, width in RESOLUTIONS),
    rows=(
        _network("ShuffleNet 0.5x (g=3)", 15.2, 87.4, 260.1),
        _network("ShuffleNet 1x (g=3)", 37.8, 222.2, 684.5),
        _network("ShuffleNet 2x (g=3)", 108.8, 617.0, 1857.6),
        _network(ALEXNET, 184.0, 1156.7, 3633.9),
        _network("1.0 MobileNet-224", 110.0, 612.0, 1879.2),
    ),
)

TABLES: Mapping[int, PublishedTable] = MappingProxyType({table.number: table for table in (_G1, _G2, _G3, _G4, _SPEED)})
"""The tables by number: 1 to 4 are Ma 2018's, 8 is Zhang 2017's."""
