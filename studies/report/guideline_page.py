"""The page of the papers' speed experiments: for each table a figure of relative speeds, the rows, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from studies.display import FLOP, SPREAD
from studies.papers.guideline_findings import (
    ALIGNMENT,
    ELEMENTS,
    HERE,
    SPEED,
    TEXTS,
    Finding,
    cells_of,
    columns_of,
    verdict_of,
)
from studies.report.figures import BLUE, GREY, ORANGE, styled
from studies.report.page import Section, definitions_section, section, table_html, write_page

TITLE = "ShuffleNet's guidelines on this device"
_COLOURS = (BLUE, ORANGE, GREY)


def write_guidelines(path: Path, findings: Sequence[Finding], how: Mapping[str, Any]) -> Path:
    """The path of the page, written: a section for each finding, then how the numbers were had, by name."""
    lead = (
        "The experiments of ShuffleNet V2 (Ma 2018, tables 1-4) and V1 (Zhang 2017, table 8), measured anew, beside "
        f"the published numbers. {SPEED}"
    )
    note = f"{FLOP} {ELEMENTS} {ALIGNMENT} {SPREAD}"
    sections = (_section(finding, number) for number, finding in enumerate(findings, start=1))
    return write_page(path, TITLE, [*sections, definitions_section("How the numbers were had", how, note)], lead=lead)


def speeds_figure(settings: Sequence[str], speeds: Mapping[str, Sequence[float]]) -> go.Figure:
    """Bars of relative speed: a group for each setting, in it one bar for each device."""
    bars = [
        go.Bar(
            name=escape(device),
            x=list(map(escape, settings)),
            y=list(values),
            marker={"color": colour},
            text=[f"{value:.2f}" for value in values],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{x}: %{y:.3f}x<extra>%{fullData.name}</extra>",
        )
        for colour, (device, values) in zip(_COLOURS, speeds.items(), strict=False)
    ]
    figure = styled(go.Figure(bars), None, "speed, first row = 1").update_layout(barmode="group", bargap=0.25)
    return figure.update_xaxes(type="category").update_yaxes(rangemode="tozero")


def _section(finding: Finding, number: int) -> Section:
    settings = [row.setting for row in finding.rows]
    figure = speeds_figure(settings, {HERE: finding.speeds, **finding.published_speeds})
    columns = columns_of(finding)
    numbers = [column for column in columns if column not in TEXTS]
    return section(
        finding.heading,
        f"{finding.published.title}.",
        figures={str(number): figure},
        table=table_html(columns, (("row", cells) for cells in cells_of(finding)), numbers),
        template="finding.html",
        verdict=verdict_of(finding),
    )
