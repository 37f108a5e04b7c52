"""Hand-designed networks as a table, a verdict in words and a page: fastest first, and how far FLOPs mislead."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.display import FLOP, SPREAD, TIE
from studies.latency.flops_verdict import ALIKE, FailedNetwork, TimedNetwork, Verdict, ranks
from studies.report.page import section, table_html, write_page
from studies.report.reference_figures import speed_figure
from studies.text_table import table_text

COLUMNS = ("name", "MFLOPs", "M params", "latency ms", "MFLOPs/ms", "rank by FLOPs", "rank by latency", "note")
NUMBERS = COLUMNS[1:-1]
UNKNOWN = "-"
_CAUSE_LETTERS = 160


@dataclass(frozen=True, slots=True)
class ReferenceStudy:
    """The networks of one run: those timed, fastest first, those that failed, and the verdict on each named group."""

    timed: tuple[TimedNetwork, ...]
    failed: tuple[FailedNetwork, ...]
    verdicts: tuple[tuple[str, Verdict], ...]
    where: str


def rows_of(study: ReferenceStudy) -> list[tuple[str, ...]]:
    """A row of texts for each network, a cell for each of `COLUMNS`: fastest first, failures last with their cause."""
    by_macs = ranks([network.macs for network in study.timed])
    by_latency = ranks([network.latency_ms for network in study.timed])
    rows: list[tuple[str, ...]] = [
        (
            network.name,
            *_count_texts(network),
            f"{_three_digits(network.latency_ms)} {network.latency.error_text}",
            _three_digits(network.macs_per_ms / 1e6),
            str(macs_rank),
            str(latency_rank),
            "noisy" if network.latency.noisy else "",
        )
        for network, macs_rank, latency_rank in zip(study.timed, by_macs, by_latency, strict=True)
    ]
    for network in study.failed:
        cause = textwrap.shorten(network.cause, _CAUSE_LETTERS, placeholder=" ...")
        rows.append((network.name, *_count_texts(network), *4 * (UNKNOWN,), f"failed: {cause}"))
    return rows


def render_references(study: ReferenceStudy) -> str:
    """The table and the verdict as plain text, as wide as they need to be, for terminals, pipes and files."""
    table = table_text(COLUMNS, rows_of(study), NUMBERS)
    return "\n".join([table, f"{FLOP} {SPREAD}", study.where, "", *verdict_lines(study)])


def verdict_lines(study: ReferenceStudy) -> list[str]:
    """How far FLOPs mislead, in sentences: a heading and a line for each finding, group by group."""
    if not study.verdicts:
        return ["Fewer than two networks were timed: there is no order to compare."]
    lines = [line for name, verdict in study.verdicts for line in _verdict_lines(name, verdict)]
    noisy = [network.name for network in study.timed if network.latency.noisy]
    return lines + ([f"Noisy, so that their places are uncertain: {', '.join(noisy)}."] if noisy else [])


def write_reference_page(path: Path, study: ReferenceStudy, families: Sequence[str]) -> Path:
    """The path of the page, written: the figure, the verdict and the table in one HTML file that needs no network."""
    line = (
        "Along a dotted line a FLOP takes equally long; up and to the left it takes less. Bars show a latency's "
        f"standard error either way. A name left out for want of room shows under the pointer. {FLOP}"
    )
    figures = {"speed": speed_figure(study.timed, families)} if study.timed else {}
    kinds = ["found"] * len(study.timed) + ["reference"] * len(study.failed)
    table = table_html(COLUMNS, zip(kinds, rows_of(study), strict=True), NUMBERS)
    sections = (
        section(
            "FLOPs and latency",
            line if study.timed else "No network was timed, so there is nothing to draw.",
            figures=figures,
        ),
        section("How far FLOPs mislead", *verdict_lines(study)),
        section("Fastest first", table=table, note=f"{FLOP} {SPREAD}"),
    )
    return write_page(path, "FLOPs against latency", sections, lead=study.where)


def _verdict_lines(name: str, verdict: Verdict) -> list[str]:
    share = f" ({100 * verdict.misled / verdict.pairs:.0f} %)" if verdict.pairs else ""
    fast, slow = verdict.fastest, verdict.slowest
    return [
        f"How far FLOPs mislead, {name} ({verdict.networks} networks):",
        f"  Kendall tau with latency: FLOPs {_tau_text(verdict.tau_macs)}, "
        f"parameters {_tau_text(verdict.tau_params)} (1: the same order, 0: none).",
        f"  In {verdict.misled} of {verdict.pairs} pairs{share} the network of fewer FLOPs is the slower one, "
        f"by more than {100 * (TIE - 1):.0f} %.",
        *_pair_lines(verdict),
        f"  A MFLOP takes {1e9 / fast.macs_per_ms:.1f} us in {fast.name} and {1e9 / slow.macs_per_ms:.1f} us "
        f"in {slow.name}: {verdict.speed_spread:.1f}x as long.",
    ]


def _pair_lines(verdict: Verdict) -> list[str]:
    lines = []
    if verdict.worst:
        pair = verdict.worst
        lines.append(
            f"  At worst {pair.fewer.name} has {pair.macs_ratio:.2f}x the FLOPs of {pair.more.name} "
            f"and takes {pair.latency_ratio:.2f}x as long."
        )
    if verdict.alike:
        fast, slow = verdict.alike
        lines.append(
            f"  With FLOPs within {100 * (1 - ALIKE):.0f} % of each other, {fast.name} takes "
            f"{_three_digits(fast.latency_ms)} ms and {slow.name} {_three_digits(slow.latency_ms)} ms: "
            f"{slow.latency_ms / fast.latency_ms:.2f}x as long."
        )
    return lines


def _tau_text(tau: float | None) -> str:
    return "unknown" if tau is None else f"{tau:.2f}"


def _count_texts(network: TimedNetwork | FailedNetwork) -> tuple[str, str]:
    macs, params = network.macs, network.params
    return UNKNOWN if macs is None else f"{macs / 1e6:.1f}", UNKNOWN if params is None else f"{params / 1e6:.2f}"


def _three_digits(value: float) -> str:
    """The value to three digits, "3.42"; more before the point where there are more."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"
