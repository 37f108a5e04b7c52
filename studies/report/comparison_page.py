"""A comparison as tables for a terminal, and as a page: every network beside the others, and beside the papers."""

from __future__ import annotations

from pathlib import Path

from studies.display import FLOP, SPREAD
from studies.facts import LatencyFacts
from studies.int8_loss import MARK, note_on_int8
from studies.papers.comparison import (
    Agreement,
    Compared,
    Comparison,
    accuracy_agreement,
    rows_beside,
    speed_agreement,
    tables_of,
)
from studies.papers.published_accuracies import PUBLISHED, PublishedAccuracies, PublishedNetwork
from studies.ranking import CONFIDENCE
from studies.report.comparison_figure import comparison_figure, drawn_of
from studies.report.page import Section, section, table_html, write_page
from studies.text_table import table_text

TITLE = "Networks compared"
LEFT = ("name", "family", "note")
BESIDE = ("in the paper", "network", "paper MFLOPs", "MFLOPs", "paper error %", "error %", "paper images/s", "images/s")
UNKNOWN = "-"
NOT_COMPARED = ""
_SPEEDS = 2
"""How many of the last columns are about speed, which most tables have none of."""
SEEDS = "± of an accuracy is the standard error of its mean over the seeds; of one seed nobody knows it."


def columns_of(comparison: Comparison) -> tuple[str, ...]:
    """The names of the table's columns; in int8 two accuracies stand there, and what is lost from one to the other."""
    accuracies = ("int8 %", "fp32 %", "lost") if _in_int8(comparison) else ("accuracy %",)
    return ("name", "family", "MFLOPs", "M params", "latency ms", *accuracies, "note")


def rows_of(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row of texts for each network, a cell for each of `columns_of`: fastest first, what was not timed last."""
    front = comparison.front
    ordered = sorted(comparison.networks, key=lambda network: network.latency_ms or float("inf"))
    in_int8 = _in_int8(comparison)
    return [_cells(network, network.name in front, in_int8=in_int8) for network in ordered]


def beside_rows(table: PublishedAccuracies, comparison: Comparison) -> list[tuple[str, ...]]:
    """A row of texts for each of a published table's, a cell for each of `BESIDE`; empty where it was not compared."""
    return [_beside(row, ours) for row, ours in rows_beside(table, comparison)]


def agreement_lines(table: PublishedAccuracies, comparison: Comparison) -> list[str]:
    """How our order agrees with the paper's, a line for errors and one for speeds where it has them."""
    lines = [_agreement_line("errors", accuracy_agreement(table, comparison))]
    if any(row.images_per_second for row in table.rows):
        lines.append(_agreement_line("speeds on an ARM core", speed_agreement(table, comparison)))
    return lines


def render_comparison(comparison: Comparison) -> str:
    """Everything as plain text, as wide as it needs to be, for terminals, pipes and files."""
    columns = columns_of(comparison)
    table = table_text(columns, rows_of(comparison), set(columns) - set(LEFT))
    parts = [table, notes_of(comparison), made_text(comparison)]
    for published in tables_of(comparison, PUBLISHED).values():
        columns = _columns_of(published)
        rows = [row[: len(columns)] for row in beside_rows(published, comparison)]
        parts += ["", f"{published.title} ({published.source}), and here", table_text(columns, rows, columns[2:])]
        parts += agreement_lines(published, comparison)
    failures = failure_lines(comparison)
    return "\n".join([*parts, *(["", *failures] if failures else [])])


def notes_of(comparison: Comparison) -> str:
    """What the table's numbers are."""
    of_int8 = note_on_int8([facts for network in comparison.networks for facts in network.int8.values()])
    return " ".join(filter(None, (FLOP, SPREAD, SEEDS, of_int8)))


def failure_lines(comparison: Comparison) -> list[str]:
    """What failed and why, a line each."""
    return [f"failed: {cause}" for network in comparison.networks for cause in network.causes]


def made_text(comparison: Comparison) -> str:
    """How the numbers came about, and why the papers' are not theirs."""
    made = comparison.made
    recipe = made["recipe"]
    seeds = len(made["seeds"])
    precision = f" in {made['precision']}" if "precision" in made else ""
    return (
        f"Trained by recipe {recipe['name']} ({recipe['epochs']} epochs, {seeds} seed{'s' if seeds > 1 else ''}) on "
        f"{made['data']}, images of {made['image_size']} px; timed at {made['resolution']} px, {made['classes']} "
        f"classes, {made['runtime']}{precision} on {made['latency_device']}. The papers trained on ImageNet at 224 px "
        "for 240 epochs or more, so errors are not the same thing: only their order is compared. The shorter a "
        "training, the more it under-rates large and deep networks."
    )


def write_comparison_page(path: Path, comparison: Comparison) -> Path:
    """The path of the page, written: the figure, the table, and the papers' tables beside, in one file."""
    kinds = ["found" if row[-1].startswith("front") else "reference" for row in rows_of(comparison)]
    columns = columns_of(comparison)
    numbers = [name for name in columns if name not in LEFT]
    table = table_html(columns, zip(kinds, rows_of(comparison), strict=True), numbers)
    sections = [
        _figure_section(comparison),
        section("Fastest first", table=table, note=notes_of(comparison)),
        *(_table_section(published, comparison) for published in tables_of(comparison, PUBLISHED).values()),
    ]
    if failures := failure_lines(comparison):
        sections.append(section("Failed", *failures))
    return write_page(path, TITLE, sections, lead=made_text(comparison))


def _figure_section(comparison: Comparison) -> Section:
    """The figure, and what it leaves out."""
    drawn = {network.name for network in drawn_of(comparison)}
    left_out = [
        network for network in comparison.networks if network.name not in drawn and network.accuracy is not None
    ]
    text = ", ".join(f"{network.name} ({_accuracy(network)} %)" for network in left_out)
    figures = {"comparison": comparison_figure(comparison)}
    return section("Accuracy against latency", figures=figures, note=f"Not drawn: {text}." if text else "")


def _table_section(published: PublishedAccuracies, comparison: Comparison) -> Section:
    columns = _columns_of(published)
    rows = [row[: len(columns)] for row in beside_rows(published, comparison)]
    kinds = ["found" if ours else "reference" for _, ours in rows_beside(published, comparison)]
    table = table_html(columns, zip(kinds, rows, strict=True), columns[2:])
    heading = f"{published.title} ({published.source}), and here"
    return section(heading, *agreement_lines(published, comparison), table=table)


def _columns_of(table: PublishedAccuracies) -> tuple[str, ...]:
    return BESIDE if any(row.images_per_second for row in table.rows) else BESIDE[:-_SPEEDS]


def _in_int8(comparison: Comparison) -> bool:
    return any(network.int8 for network in comparison.networks)


def _cells(network: Compared, is_on_front: bool, *, in_int8: bool) -> tuple[str, ...]:
    loss = network.loss
    marks = "failed" if network.causes else "front" if is_on_front else "", MARK if loss and loss.is_much else ""
    counts = _millions(network.macs, 1), _millions(network.params, 2)
    of_int8 = () if not in_int8 else (loss.fp32_text, loss.text) if loss else (UNKNOWN, UNKNOWN)
    note = ", ".join(filter(None, marks))
    return network.name, network.family, *counts, _latency(network.latency), _accuracy(network), *of_int8, note


def _beside(row: PublishedNetwork, ours: Compared | None) -> tuple[str, ...]:
    speed = f"{row.images_per_second:g}" if row.images_per_second is not None else ""
    published = row.label, row.network or "none here", f"{row.mflops:g}"
    if ours is None:
        return *published, NOT_COMPARED, f"{row.error_percent:.1f}", NOT_COMPARED, speed, NOT_COMPARED
    error = UNKNOWN if ours.accuracy is None else f"{100 * (1 - ours.accuracy):.1f}"
    per_second = UNKNOWN if ours.latency_ms is None else f"{1000 / ours.latency_ms:.1f}"
    return *published, _millions(ours.macs, 1), f"{row.error_percent:.1f}", error, speed, per_second


def _agreement_line(what: str, agreement: Agreement) -> str:
    if agreement.tau is None:
        return f"Order of {what}: too few networks ({agreement.networks}) to say."
    return (
        f"Order of {what}: Kendall tau {agreement.tau} between paper and here, over {agreement.networks} networks "
        f"(1: the same order, 0: none; brackets hold {100 * CONFIDENCE:.0f} % bootstrap intervals)."
    )


def _accuracy(network: Compared) -> str:
    if network.accuracy is None:
        return UNKNOWN
    error = network.accuracy_error
    return f"{100 * network.accuracy:.1f}" + (f" ±{100 * error:.1f}" if error is not None else "")


def _latency(latency: LatencyFacts | None) -> str:
    return f"{latency.latency_ms:#.3g} {latency.spread_text}" if latency else UNKNOWN


def _millions(count: int | None, decimals: int) -> str:
    return UNKNOWN if count is None else f"{count / 1e6:.{decimals}f}"
