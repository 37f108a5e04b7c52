"""A calibration as a table, a verdict and a page: how each score ranks, what it costs, and what picking by it loses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from search_space.bounds import plain
from studies.calibration.results import PREDICTION, SETS, TOO_FEW, Calibration, Row, verdict_of
from studies.display import FLOP
from studies.ranking import CONFIDENCE
from studies.report.calibration_figures import agreement_figure, ranking_figure
from studies.report.page import section, table_html, write_page
from studies.text_table import table_text

TITLE = "How far the scores may be believed"
EXPLAINED = (
    f"tau is Kendall's, with each seed of the full training and then the mean, so that it may be held against the seed "
    f"ceiling, that of two seeds with each other; brackets hold {100 * CONFIDENCE:.0f} % bootstrap intervals over the "
    "architectures. Regret is what the best one has over the one that the score would pick, in points of accuracy. "
    "A network's prediction is that of a fit which had not seen it."
)


def columns_of(calibration: Calibration) -> tuple[str, ...]:
    """The names of the table's columns."""
    of_sets = [f"{what} {SETS[name]}" for name in calibration.sets for what in ("tau", "Spearman", "regret")]
    return ("score", "recipe", "seconds", *of_sets)


def rows_of(calibration: Calibration) -> list[tuple[str, ...]]:
    """A row of texts for each score, best first."""
    sets = calibration.sets
    ordered = sorted(calibration.rows, key=lambda row: -row.rankings[sets[-1]].tau.order) if sets else []
    return [_cells(row, sets) for row in ordered]


def render_calibration(calibration: Calibration) -> str:
    """The table and the verdicts as plain text, as wide as they need to be."""
    columns = columns_of(calibration)
    table = table_text(columns, rows_of(calibration), columns[2:])
    return "\n".join([table, EXPLAINED, FLOP, "", *verdict_lines(calibration)])


def verdict_lines(calibration: Calibration) -> list[str]:
    """What it comes to, a line each: the verdict by recipe, its advantage, how far the fit is off, what failed."""
    lines = [] if calibration.sets else [f"{TOO_FEW.capitalize()}."]
    for recipe, fit in calibration.fits.items():
        if calibration.sets:
            lines.append(verdict_of(calibration, recipe))
        for name, advantage in calibration.row(PREDICTION, recipe).advantages.items():
            where = f"the best of FLOPs, params and NASWOT {SETS[name]}"
            lines.append(f"{recipe.upper()}'s tau is {advantage} above {where}")
        lines.append(
            f"{recipe.upper()}'s prediction is off by {100 * fit.error:.1f} points (root mean square, {fit.networks} "
            f"networks of {100 * fit.low:.1f} to {100 * fit.high:.1f} %, each left out of its fit)"
        )
    return [*lines, *(f"failed: {failure}" for failure in calibration.made.failures)]


def write_calibration_page(path: Path, calibration: Calibration) -> Path:
    """The path of the page, written: the verdict, the scores' ranks with their intervals, scores against accuracy."""
    made = calibration.made
    trained = sum(bool(network.accuracies) for network in calibration.networks)
    lead = (
        f"{trained} architectures of up to {made.budget}, trained by recipe {made.full} "
        f"({made.recipes[made.full]['epochs']} epochs, {len(made.seeds)} seeds) and by the short ones on {made.data}."
    )
    sections = [section("Verdict", *verdict_lines(calibration), template="list.html")]
    for number, name in enumerate(calibration.sets):
        figures = {f"ranking-{number}": ranking_figure(calibration, name)}
        sections.append(section(f"Kendall tau {SETS[name]}", figures=figures))
    for number, recipe in enumerate(calibration.fits):
        figures = {f"agreement-{number}": agreement_figure(calibration, recipe)}
        sections.append(section(f"Full accuracy against {recipe.upper()}", figures=figures))
    columns = columns_of(calibration)
    table = table_html(columns, (("", row) for row in rows_of(calibration)), columns[2:])
    sections.append(section("Scores", table=table, note=f"{EXPLAINED} {FLOP}"))
    return write_page(path, TITLE, sections, lead=lead)


def _cells(row: Row, sets: Sequence[str]) -> tuple[str, ...]:
    cells = [row.score, row.recipe, plain(row.seconds, 3) if row.seconds else "0"]
    for name in sets:
        ranking = row.rankings[name]
        cells += [str(ranking.tau), ranking.spearman.estimate, f"{100 * ranking.regret:.1f}"]
    return tuple(cells)
