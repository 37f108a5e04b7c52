"""The page of a search over a table of finished trainings: its front, and how it grew beside random search."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

from search_space.budget import Budget
from studies.display import FLOP
from studies.front import undominated
from studies.report.figures import BLUE, GREY, ORANGE, styled
from studies.report.page import Section, definitions_section, section, table_html, write_page
from studies.report.study.growth import HEADING, growth_figure
from studies.sampling.benchmark_table import ANY, BenchmarkEntry, FinishedTable, Price

RANDOM_SEARCHES = 20
COLUMNS = ("network", "MFLOPs", "M params", "accuracy %")


def write_table_report(
    path: Path,
    title: str,
    table: FinishedTable,
    codes: Sequence[str],
    settings: Mapping[str, Any],
    budget: Budget = ANY,
) -> Path:
    """The path of the page, written: `codes` are the networks that the search scored within `budget`, in order.

    Accuracies are means over the table's trainings: what a network is worth, not what the search saw of it.
    """
    scored = [table.entries[code] for code in codes]
    best = [table.entries[code] for code in table.front()]
    found = [("found", _cells(entry)) for entry in _front(scored)]
    sections = (
        section("Accuracy against FLOPs", figures={"front": _front_figure(scored, best)}),
        _growth(table, codes, budget),
        section("The front", table=table_html(COLUMNS, found, COLUMNS[1:])),
        definitions_section("Settings", settings),
    )
    lead = f"{len(scored)} of the {len(table.entries)} networks of a finished table scored. {FLOP}"
    return write_page(path, title, sections, lead=lead)


def random_shares(
    table: FinishedTable, count: int, searches: int = RANDOM_SEARCHES, budget: Budget = ANY
) -> list[float]:
    """The mean share of the best hypervolume after 1 to `count` networks of the budget drawn at random, none twice."""
    price = Price.of_table(table)
    codes = [code for code, entry in table.entries.items() if budget.allows(entry.macs, entry.params)]
    drawn = (random.Random(seed).sample(codes, min(count, len(codes))) for seed in range(searches))
    return [fmean(shares) for shares in zip(*(shares_of(price, order) for order in drawn), strict=True)]


def shares_of(price: Price, codes: Sequence[str]) -> list[float]:
    """The share of the best hypervolume after each of the networks, in their order."""
    front: list[BenchmarkEntry] = []
    shares: list[float] = []
    for code in codes:
        before, front = front, _front([*front, price.table.entries[code]])
        shares.append(shares[-1] if front == before else price.of([entry.code for entry in front]))
    return shares


def _growth(table: FinishedTable, codes: Sequence[str], budget: Budget) -> Section:
    trials = list(range(1, len(codes) + 1))
    if not codes:
        return section(HEADING, "Nothing was scored.")
    ours = shares_of(Price.of_table(table), codes)
    name = f"random search, mean of {RANDOM_SEARCHES}"
    curves = {"this search": (trials, ours), name: (trials, random_shares(table, len(codes), budget=budget))}
    within = (
        " Random search keeps to the budget as well, and the share is of all networks still." if str(budget) else ""
    )
    line = f"Share of what all {len(table.entries)} networks of the table dominate together.{within}"
    return section(HEADING, line, figures={"growth": growth_figure(curves, "networks scored")})


def _front(entries: Sequence[BenchmarkEntry]) -> list[BenchmarkEntry]:
    return undominated(entries, lambda entry: entry.macs, lambda entry: entry.accuracy)


def _front_figure(scored: Sequence[BenchmarkEntry], best: Sequence[BenchmarkEntry]) -> go.Figure:
    parts = (
        ("scored", scored, "markers", {"color": GREY, "opacity": 0.5}),
        ("front", _front(scored), "lines+markers", {"color": BLUE, "size": 9}),
        ("the table's own front", best, "lines", {"color": ORANGE}),
    )
    return styled(
        go.Figure(
            [
                go.Scatter(
                    name=name,
                    x=[entry.macs / 1e6 for entry in entries],
                    y=[100 * entry.accuracy for entry in entries],
                    hovertext=[escape(entry.code) for entry in entries],
                    mode=mode,
                    marker=marker,
                )
                for name, entries, mode, marker in parts
            ]
        ),
        "MFLOPs",
        "accuracy, %",
    )


def _cells(entry: BenchmarkEntry) -> tuple[str, ...]:
    return entry.code, f"{entry.macs / 1e6:.1f}", f"{entry.params / 1e6:.2f}", f"{100 * entry.accuracy:.2f}"
