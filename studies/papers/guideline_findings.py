"""A device's own measurements of the papers' speed experiments beside the published ones, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studies.display import TIE
from studies.facts import LatencyFacts
from studies.papers.published_guidelines import ALEXNET, PLATFORMS, PublishedTable

HERE = "this device"
_COLUMNS = ("setting", "channels", "MFLOPs", "M elements", "latency ms", "speed here")
TEXTS = ("setting", "channels")
"""The columns that are no numbers."""
ELEMENTS = "M elements: what the convolutions read and write, by Ma 2018's formula."
ALIGNMENT = (
    "Unaligned rows have channels, or channels in a group, that are no multiple of 16 where the first row's are: "
    "runtimes compute channels in blocks of up to 16, so such rows may be slower for that reason alone."
)
_BLOCK = 16
SPEED = "Speed is relative to the first row."


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """One network of a table as it was measured.

    `channels` are empty for whole networks, `memory_access_elements` None where the paper's formula says nothing.
    """

    setting: str
    channels: tuple[int, ...]
    shape: tuple[int, ...]
    macs: int
    memory_access_elements: int | None
    latency: LatencyFacts

    @property
    def latency_ms(self) -> float:
        """The latency, which is the first row's own where this is the first row."""
        return self.latency.latency_ms


@dataclass(frozen=True, slots=True)
class Finding:
    """A table's variant, measured with the channels of one platform: a measured row for each published one."""

    published: PublishedTable
    platform: str
    variant: int
    rows: tuple[MeasuredRow, ...]

    @property
    def heading(self) -> str:
        """What was run, in a line: "G1, Ma 2018, table 1, x1, channels of the GTX 1080Ti"."""
        table = self.published
        parts = [table.name, table.source, table.variants[self.variant]]
        differ = any(len(set(row.channels.values())) > 1 for row in table.rows)
        return ", ".join([*parts, *([f"channels of the {PLATFORMS[self.platform]}"] if differ else [])])

    @property
    def speeds(self) -> tuple[float, ...]:
        """The speed of each row over the first row's, here."""
        return tuple(self.rows[0].latency_ms / row.latency_ms for row in self.rows)

    @property
    def published_speeds(self) -> dict[str, tuple[float, ...]]:
        """The same as published, by the platform's name."""
        table = self.published
        return {PLATFORMS[name]: table.relative_speeds(name, self.variant) for name in table.platforms}

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON values."""
        names = self.published.platforms
        return {
            "table": self.published.number,
            "name": self.published.name,
            "source": self.published.source,
            "variant": self.published.variants[self.variant],
            "channels_of": PLATFORMS[self.platform],
            "verdict": verdict_of(self),
            "published_unit": "ms" if self.published.in_ms else "per second",
            "rows": [
                {
                    "setting": row.setting,
                    "channels": list(row.channels),
                    "shape": list(row.shape),
                    "macs": row.macs,
                    "memory_access_elements": row.memory_access_elements,
                    "relative_speed": self.speeds[number],
                    "latency": dict(row.latency.plain),
                    "published": {
                        PLATFORMS[name]: self.published.rows[number].values[name][self.variant] for name in names
                    },
                    "published_relative_speed": {
                        platform: speeds[number] for platform, speeds in self.published_speeds.items()
                    },
                }
                for number, row in enumerate(self.rows)
            ],
        }


def columns_of(finding: Finding) -> tuple[str, ...]:
    """The columns of the finding's table; those that it would leave empty are not among them."""
    return tuple(_shown(finding)[0])


def cells_of(finding: Finding) -> list[tuple[str, ...]]:
    """The finding's table as texts, a tuple for each row, a text for each column."""
    return [tuple(cells.values()) for cells in _shown(finding)]


def latency_text(row: MeasuredRow, unit: str = "") -> str:
    """The latency to three digits with half its spread: "12.3 ±0.4 %", and whether it is noisy."""
    return f"{format(row.latency_ms, '#.3g').rstrip('.')}{unit} {row.latency.spread_text}"


def verdict_of(finding: Finding) -> str:
    """What the numbers say of the table's guideline, in a line, with the published numbers in brackets."""
    said = _speed_up(finding) if finding.published.in_ms else _guideline(finding)
    noisy = [row.setting for row in finding.rows if row.latency.noisy]
    named = {"unaligned": _unaligned(finding), "noisy": noisy}
    return "; ".join([said, *(f"{name}: {', '.join(settings)}" for name, settings in named.items() if settings)]) + "."


def _unaligned(finding: Finding) -> list[str]:
    """The settings whose channels do not fill blocks, if the first row's do."""
    rows = zip(finding.rows, finding.published.rows, strict=True)
    first, *later = (
        any(channels // published.options.get("groups", 1) % _BLOCK for channels in row.channels)
        for row, published in rows
    )
    return [] if first else [row.setting for row, so in zip(finding.rows[1:], later, strict=True) if so]


def _shown(finding: Finding) -> list[dict[str, str]]:
    """The cells of each row by column, without the columns that are empty in all."""
    rows = [_cells(finding, number) for number in range(len(finding.rows))]
    return [{column: cells[column] for column in cells if any(row[column] for row in rows)} for cells in rows]


def _cells(finding: Finding, number: int) -> dict[str, str]:
    row, table = finding.rows[number], finding.published
    elements = "" if row.memory_access_elements is None else f"{row.memory_access_elements / 1e6:.2f}"
    counts = "-".join(map(str, row.channels)), f"{row.macs / 1e6:.1f}", elements
    ours = row.setting, *counts, latency_text(row), f"{finding.speeds[number]:.2f}x"
    published = {
        PLATFORMS[name]: f"{finding.published_speeds[PLATFORMS[name]][number]:.2f}x "
        f"({table.value_text(name, finding.variant, number)})"
        for name in table.platforms
    }
    return {**dict(zip(_COLUMNS, ours, strict=True)), **published}


def _guideline(finding: Finding) -> str:
    """The verdict on one of Ma 2018's guidelines: whether every later row is slower, or faster, than the first."""
    table, first, last = finding.published, finding.rows[0], finding.rows[-1]
    as_said = [_is_as_said(finding, row) for row in finding.rows[1:]]
    holds = "holds here" if all(as_said) else "holds in part here" if any(as_said) else "does not hold here"
    for_it = {row.setting for row, so in zip(finding.rows[1:], as_said, strict=True) if so}
    only = ", in unaligned rows only" if for_it and for_it <= set(_unaligned(finding)) else ""
    beside = ", ".join(
        f"{name} {_factor(finding, speeds[-1]):.2f}x" for name, speeds in finding.published_speeds.items()
    )
    apart = max(abs(row.macs / first.macs - 1) for row in finding.rows)
    flops = f"at FLOPs within {100 * apart:.1f} %" if apart else "at equal FLOPs"
    against = [row.setting for row, so in zip(finding.rows[1:], as_said, strict=True) if not so]
    exceptions = f"; not {table.others_are}: {', '.join(against)}" if 0 < len(against) < len(as_said) else ""
    return (
        f"{table.name} {holds}{only}: {last.setting} runs {_beside(finding.speeds[-1])} {first.setting} {flops} "
        f"({beside} {table.others_are}){exceptions}"
    )


def _is_as_said(finding: Finding, row: MeasuredRow) -> bool:
    """Whether the row is slower (faster) than the first, beyond what repeats differ by and its FLOPs explain."""
    first = finding.rows[0]
    factor, flops = row.latency_ms / first.latency_ms, row.macs / first.macs
    return (
        factor > TIE * max(1.0, flops) if finding.published.others_are == "slower" else factor * TIE < min(1.0, flops)
    )


def _factor(finding: Finding, speed: float) -> float:
    return speed if finding.published.others_are == "faster" else 1 / speed


def _beside(speed: float) -> str:
    """How a relative speed reads before the name of what it is relative to: "1.62x slower than"."""
    if max(speed, 1 / speed) < TIE:
        return "as fast as"
    return f"{speed:.2f}x faster than" if speed > 1 else f"{1 / speed:.2f}x slower than"


def _speed_up(finding: Finding) -> str:
    """The verdict on Zhang 2017's table: what fewer FLOPs than AlexNet's and than its own 2x give in speed."""
    settings = [row.setting for row in finding.rows]
    published = finding.published_speeds
    parts = []
    for name in (ALEXNET, settings[2]):
        other = settings.index(name)
        flops = finding.rows[other].macs / finding.rows[0].macs
        beside = ", ".join(f"{platform} {1 / speeds[other]:.1f}x" for platform, speeds in published.items())
        parts.append(f"{1 / finding.speeds[other]:.1f}x faster than {name} with {flops:.1f}x fewer FLOPs ({beside})")
    alexnet_speed = finding.speeds[settings.index(ALEXNET)]
    holds = "holds" if 1 / alexnet_speed > TIE else "does not hold"
    return f"V1's speed-up {holds} here: {settings[0]} runs {' and '.join(parts)}"
