"""A calibration's figures: how every score ranks, with intervals, and full accuracy against what was predicted."""

from __future__ import annotations

from html import escape

import plotly.graph_objects as go

from search_space.bounds import plain
from studies.calibration.results import PREDICTION, SETS, Calibration, members_of, predictions_of
from studies.report.figures import BLUE, GREY, ORANGE, styled


def ranking_figure(calibration: Calibration, name: str) -> go.Figure:
    """Every score's Kendall tau in a set, best on top, with its interval; the seed ceiling as a line."""
    rows = sorted(calibration.rows, key=lambda row: row.rankings[name].tau.order)
    taus = [row.rankings[name].tau for row in rows]
    figure = go.Figure(
        go.Scatter(
            name="score",
            x=[tau.value for tau in taus],
            y=[escape(f"{row.recipe} {row.score}".strip()) for row in rows],
            mode="markers",
            marker={"size": 10, "color": [BLUE if row.score == PREDICTION else GREY for row in rows]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [tau.high - tau.value for tau in taus],
                "arrayminus": [tau.value - tau.low for tau in taus],
                "thickness": 1.5,
                "color": GREY,
            },
            hovertext=[
                f"{escape(row.score)}: {tau}, {plain(row.seconds, 3)} s" for row, tau in zip(rows, taus, strict=True)
            ],
            hoverinfo="text",
        )
    )
    if name in calibration.ceilings:
        ceiling = calibration.ceilings[name].value
        # Its name stands below, where the worst scores leave room for it.
        figure.add_vline(
            x=ceiling,
            line={"color": ORANGE, "dash": "dash"},
            annotation_text="seed ceiling",
            annotation_position="bottom left",
        )
    figure = styled(figure, "Kendall tau with full training", "").update_layout(showlegend=False)
    lows = [tau.low for tau in taus if tau.low <= 1]  # which nan is not
    return figure.update_yaxes(dtick=1).update_xaxes(range=[min([0.0, *lows]) - 0.05, 1.05])


def agreement_figure(calibration: Calibration, recipe: str) -> go.Figure:
    """Full accuracy of each seed against the prediction by a fit that had not seen the network; by set."""
    _, predicted = predictions_of(calibration.networks, recipe)
    found = [100 * predicted[each.architecture.key()] for each in calibration.networks if each.accuracies]
    ends = [min(found), max(found)]
    figure = go.Figure(
        go.Scatter(name="as predicted", x=ends, y=ends, mode="lines", line={"color": GREY, "dash": "dot", "width": 1})
    )
    for name, colour in zip(calibration.sets, (BLUE, ORANGE), strict=False):
        members = members_of(calibration.networks, name)
        points = [(each, accuracy) for each in members for accuracy in each.accuracies]
        figure.add_trace(
            go.Scatter(
                name=SETS[name],
                x=[100 * predicted[each.architecture.key()] for each, _ in points],
                y=[100 * accuracy for _, accuracy in points],
                mode="markers",
                marker={"color": colour, "size": 8, "opacity": 0.7},
                hovertext=[each.architecture.short_name for each, _ in points],
            )
        )
    return styled(figure, f"predicted from {recipe.upper()}, %", "full training, validation accuracy, %")
