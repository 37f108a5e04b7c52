"""A calibration as text and as a page: every score with its interval, dashes for what is unknown, nothing from afar."""

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from builders.calibrations import calibration, made, networks
from builders.pages import visible
from processes.browser import show

from studies.calibration.results import Calibration, calibration_of, verdict_of
from studies.report.calibration_figures import agreement_figure, ranking_figure
from studies.report.calibration_page import (
    EXPLAINED,
    columns_of,
    render_calibration,
    rows_of,
    verdict_lines,
    write_calibration_page,
)

HOSTILE = '</script></title><img src="http://example.com/a.png" onerror="alert(1)">'


def unlabelled(but: int) -> Calibration:
    """One in which so many networks alone were fully trained."""
    some = [each if number < but else replace(each, accuracies=()) for number, each in enumerate(networks())]
    return calibration_of(made(), some, ["short", "long"])


def written(folder: Path, found: Calibration) -> str:
    return write_calibration_page(folder / "calibration.html", found).read_text(encoding="utf-8")


# The table


def test_a_row_holds_what_each_score_costs_and_how_it_ranks_in_each_set() -> None:
    columns = columns_of(calibration())
    assert columns[:3] == ("score", "recipe", "seconds")
    assert columns[3:6] == (
        "tau over the budget's range",
        "Spearman over the budget's range",
        "regret over the budget's range",
    )
    assert columns[6:] == ("tau at equal FLOPs", "Spearman at equal FLOPs", "regret at equal FLOPs")
    row = calibration().row("tse", "short")
    first, second = row.rankings["stratified"], row.rankings["equal"]
    cells = next(cells for cells in rows_of(calibration()) if cells[:2] == ("tse", "short"))
    assert cells == (
        *("tse", "short", "41.5"),
        *(str(first.tau), f"{first.spearman.value:.2f}", f"{100 * first.regret:.1f}"),
        *(str(second.tau), f"{second.spearman.value:.2f}", f"{100 * second.regret:.1f}"),
    )


def test_rows_are_sorted_by_tau_at_equal_flops_and_what_has_none_is_last() -> None:
    taus = [cells[6] for cells in rows_of(calibration())]
    assert taus[-1] == "-"
    numbers = [float(tau.split()[0]) for tau in taus[:-1]]
    assert numbers == sorted(numbers, reverse=True)
    last = rows_of(calibration())[-1]
    assert (last[0], last[2], last[6:8]) == ("flops", "0", ("-", "-"))


def test_the_text_holds_every_row_in_one_line_and_what_it_means() -> None:
    lines = render_calibration(calibration()).splitlines()
    for cells in rows_of(calibration()):
        assert sum(line.split() == " ".join(cells).split() for line in lines) == 1
    assert EXPLAINED in lines
    assert "1 FLOP = 1 multiply-add of convolution and linear layers." in lines
    assert lines[-len(verdict_lines(calibration())) :] == verdict_lines(calibration())
    assert "nan" not in "\n".join(lines)


# The verdict


def test_the_verdict_says_of_each_recipe_how_it_ranks_beats_its_rivals_and_errs() -> None:
    found = replace(calibration(), made=made(failures=("v2-1 full seed 0: killed",)))
    lines = verdict_lines(found)
    assert lines[0] == verdict_of(found, "short")
    advantage = found.row("prediction", "short").advantages["equal"]
    assert f"SHORT's tau is {advantage} above the best of FLOPs, params and NASWOT at equal FLOPs" in lines
    fit = found.fits["long"]
    assert lines[-2].startswith(
        f"LONG's prediction is off by {100 * fit.error:.1f} points (root mean square, 24 networks"
    )
    assert lines[-1] == "failed: v2-1 full seed 0: killed"
    assert len(lines) == 9


@pytest.mark.parametrize("but", [0, 3])
def test_too_few_full_trainings_are_said_so_by_text_and_page(but: int, tmp_path: Path) -> None:
    found = unlabelled(but)
    assert verdict_lines(found) == ["Too few architectures were fully trained to rank by."]
    assert "Too few architectures" in render_calibration(found)
    assert "Too few architectures" in written(tmp_path, found)
    assert columns_of(found) == ("score", "recipe", "seconds")


def test_nothing_at_all_makes_a_page_too(tmp_path: Path) -> None:
    found = calibration_of(made(failures=("v2-1 short seed 0: killed",)), [], ["short"])
    assert render_calibration(found).splitlines()[-1] == "failed: v2-1 short seed 0: killed"
    assert "0 architectures" in written(tmp_path, found)


# The page


def test_the_page_holds_verdict_table_and_figures_and_no_request_leaves_it(tmp_path: Path) -> None:
    page = written(tmp_path, calibration())
    text = unescape(visible(page))
    assert all(line in text for line in verdict_lines(calibration()))
    rows = re.findall(r'<tr class="">(.*?)</tr>', visible(page))
    assert [tuple(unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)) for row in rows] == rows_of(
        calibration()
    )
    assert visible(page).count('id="figure-') == 4
    assert "24 architectures of up to 41mflops, trained by recipe full (100 epochs, 2 seeds)" in text
    assert "default-src 'none'" in page
    assert re.findall(r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)\s*=", visible(page)) == []
    assert "http" not in visible(page).replace("http-equiv", "")
    assert "nan" not in text


def test_names_from_outside_are_text(tmp_path: Path) -> None:
    found = replace(calibration(), made=made(data=HOSTILE, failures=(HOSTILE,)))
    page = written(tmp_path, found)
    assert HOSTILE not in page
    assert unescape(visible(page)).count(HOSTILE) == 2


# The figures


def test_every_score_is_a_point_with_its_interval_best_on_top_and_the_ceiling_a_line() -> None:
    figure = ranking_figure(calibration(), "stratified")
    (points,) = figure.data
    taus = {f"{row.recipe} {row.score}".strip(): row.rankings["stratified"].tau for row in calibration().rows}
    assert dict(zip(points.y, points.x, strict=True)) == {name: tau.value for name, tau in taus.items()}
    assert list(points.x) == sorted(points.x)
    for name, above, below in zip(points.y, points.error_x.array, points.error_x.arrayminus, strict=True):
        assert (taus[name].value + above, taus[name].value - below) == pytest.approx((taus[name].high, taus[name].low))
    (ceiling,) = figure.layout.shapes
    assert ceiling.x0 == ceiling.x1 == calibration().ceilings["stratified"].value
    low, high = figure.layout.xaxis.range
    assert low < min(tau.low for tau in taus.values())
    assert high > 1


def test_a_score_without_a_tau_is_the_lowest_and_one_seed_draws_no_ceiling() -> None:
    points = ranking_figure(calibration(), "equal").data[0]
    assert points.y[0] == "flops"
    assert ranking_figure(calibration(seeds=1), "equal").layout.shapes == ()


def test_every_seed_of_every_fully_trained_network_is_a_point_against_what_was_predicted() -> None:
    line, *sets = agreement_figure(calibration(), "short").data
    assert [trace.name for trace in sets] == ["over the budget's range", "at equal FLOPs"]
    for trace, members in zip(sets, (networks()[:12], networks()[12:]), strict=True):
        expected = [100 * accuracy for each in members for accuracy in each.accuracies]
        assert list(trace.y) == pytest.approx(expected)
        assert list(trace.x[::2]) == list(trace.x[1::2]), "a network has one prediction"
    assert list(line.x) == list(line.y)


@pytest.mark.slow
def test_a_browser_draws_every_point_without_a_network(driver: Any, tmp_path: Path) -> None:
    written(tmp_path, calibration())
    show(driver, tmp_path / "calibration.html")
    points = driver.execute_script(
        "return [...document.querySelectorAll('.js-plotly-plot')]"
        ".map(plot => plot.querySelectorAll('path.point').length)"
    )
    # 21 scores in the one set and 20 in the other, and 24 networks of two seeds for each of two recipes.
    assert sorted(points) == [20, 21, 48, 48]
