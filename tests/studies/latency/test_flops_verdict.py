"""How far FLOPs mislead, on networks whose orders are known; the table, the sentences, the figure and the page."""

import math
import random
import re
from itertools import combinations
from pathlib import Path

import pytest
from builders.measurements import FAMILIES, FOUR, A, B, C, D, reference_study, timed

from studies.latency.flops_verdict import (
    FailedNetwork,
    TimedNetwork,
    furthest_apart,
    kendall_tau,
    misleading_pairs,
    ranks,
    verdict_of,
)
from studies.report.reference_figures import speed_figure
from studies.report.reference_page import (
    COLUMNS,
    render_references,
    rows_of,
    verdict_lines,
    write_reference_page,
)

# The numbers


def test_the_taus_are_counted_by_hand() -> None:
    verdict = verdict_of(FOUR)
    assert verdict is not None
    assert verdict.tau_macs == pytest.approx((5 - 1) / 6)
    assert verdict.tau_params == pytest.approx((1 - 5) / 6)
    assert (verdict.networks, verdict.pairs, verdict.misled) == (4, 6, 1)


def test_tau_agrees_with_counting_every_pair() -> None:
    draws = random.Random(0)
    for _ in range(20):
        values, others = ([draws.randrange(6) for _ in range(12)] for _ in range(2))
        signs = [
            (math.copysign(1, a - b) if a != b else 0, math.copysign(1, c - d) if c != d else 0)
            for (a, c), (b, d) in combinations(zip(values, others, strict=True), 2)
        ]
        untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
        expected = sum(one * two for one, two in signs) / math.sqrt(untied[0] * untied[1])
        assert kendall_tau(values, others) == pytest.approx(expected)


@pytest.mark.parametrize(("values", "others"), [([], []), ([1.0], [2.0]), ([1.0, 1.0], [1.0, 2.0])])
def test_without_an_order_there_is_no_tau(values: list[float], others: list[float]) -> None:
    assert kendall_tau(values, others) is None


def test_the_worst_pair_has_the_largest_error_of_a_latency_foretold_by_flops() -> None:
    (pair,) = misleading_pairs(FOUR)
    assert (pair.fewer, pair.more) == (B, C)
    assert (pair.macs_ratio, pair.latency_ratio) == (0.5, 1.5)
    assert pair.error == 3.0
    # e takes twice as long as c with 0.9 of its FLOPs: 2.2 times too short; b and c are still further off.
    pairs = misleading_pairs([*FOUR, timed("e", 90, 4.0)])
    assert [(one.fewer.name, one.more.name) for one in pairs] == [("b", "c"), ("e", "c")]


def test_a_tie_and_equal_flops_mislead_nobody() -> None:
    assert misleading_pairs([timed("a", 10, 1.019), timed("b", 20, 1.0)]) == []
    assert len(misleading_pairs([timed("a", 10, 1.021), timed("b", 20, 1.0)])) == 1
    assert misleading_pairs([timed("a", 10, 5.0), timed("b", 10, 1.0)]) == []


def test_the_spread_of_speeds_is_between_the_two_ends() -> None:
    verdict = verdict_of(FOUR)
    assert verdict is not None
    # MFLOPs per ms: 10, 16.7, 50, 40.
    assert (verdict.slowest, verdict.fastest) == (A, C)
    assert verdict.speed_spread == pytest.approx(5.0)


def test_of_networks_with_alike_flops_those_furthest_apart_are_named() -> None:
    assert furthest_apart(FOUR) is None
    e, f, g = timed("e", 95, 3.5), timed("f", 104, 1.5), timed("g", 89, 9.0)
    # e has at least nine tenths of c's FLOPs and of f's, c of f's, and g of e's; of those, g is 2.6 times as slow as e.
    assert furthest_apart([*FOUR, e, f, g]) == (e, g)
    assert furthest_apart([*FOUR, e, f]) == (f, e)


@pytest.mark.parametrize("networks", [(), (A,)])
def test_fewer_than_two_networks_have_no_verdict(networks: tuple[TimedNetwork, ...]) -> None:
    assert verdict_of(networks) is None


def test_equal_values_share_the_better_rank() -> None:
    assert ranks([30, 10, 20, 10]) == [4, 1, 3, 1]


# What is told


def test_the_table_is_fastest_first_and_a_failure_is_a_row_with_its_cause() -> None:
    failed = (FailedNetwork("x", "other", "RuntimeError: no such operator", 5_000_000, 250_000),)
    rows = rows_of(reference_study(*FOUR, failed=failed))
    assert [row[0] for row in rows] == ["a", "c", "b", "d", "x"]
    assert rows[1] == ("c", "100.0", "2.00", "2.00 ±1.0 %", "50.0", "3", "2", "")
    assert rows[-1] == ("x", "5.0", "0.25", "-", "-", "-", "-", "failed: RuntimeError: no such operator")
    assert {len(row) for row in rows} == {len(COLUMNS)}


def test_a_failure_before_the_count_has_no_number_at_all() -> None:
    (row,) = rows_of(reference_study(failed=(FailedNetwork("x", "other", "ValueError: " + "long " * 99),)))
    assert not re.search(r"\d", "".join(row[:-1]))
    assert row[-1].endswith(" ...")
    assert len(row[-1]) < 180


def test_a_noisy_network_is_flagged_in_the_table_and_in_the_verdict() -> None:
    text = reference_study(A, timed("b", 50, 3.0, noisy=True))
    assert [row[-1] for row in rows_of(text)] == ["", "noisy"]
    assert verdict_lines(text)[-1] == "Noisy, so that their places are uncertain: b."
    assert "Noisy" not in "".join(verdict_lines(reference_study(*FOUR)))


def test_the_verdict_says_it_in_sentences() -> None:
    assert verdict_lines(reference_study(*FOUR)) == [
        "How far FLOPs mislead, all (4 networks):",
        "  Kendall tau with latency: FLOPs 0.67, parameters -0.67 (1: the same order, 0: none).",
        "  In 1 of 6 pairs (17 %) the network of fewer FLOPs is the slower one, by more than 2 %.",
        "  At worst b has 0.50x the FLOPs of c and takes 1.50x as long.",
        "  A MFLOP takes 20.0 us in c and 100.0 us in a: 5.0x as long.",
    ]


def test_alike_flops_are_told_with_both_latencies() -> None:
    line = "  With FLOPs within 10 % of each other, c takes 2.00 ms and e 3.50 ms: 1.75x as long."
    assert line in verdict_lines(reference_study(*FOUR, timed("e", 95, 3.5)))
    assert not any("each other" in text for text in verdict_lines(reference_study(*FOUR)))


def test_where_nothing_misleads_no_pair_is_named() -> None:
    lines = verdict_lines(reference_study(A, D))
    assert "  In 0 of 1 pairs (0 %) the network of fewer FLOPs is the slower one, by more than 2 %." in lines
    assert not any("worst" in line for line in lines)


@pytest.mark.parametrize("timed", [(), (A,)])
def test_without_a_verdict_the_text_says_so(timed: tuple[TimedNetwork, ...]) -> None:
    text = render_references(reference_study(*timed))
    assert text.endswith("Fewer than two networks were timed: there is no order to compare.")
    assert "1 FLOP = 1 multiply-add" in text


# What is drawn


def test_the_figure_has_a_colour_for_each_family_and_every_point() -> None:
    networks = [timed(name, 10 * (i + 1), i + 1.0, family=name) for i, name in enumerate(FAMILIES)]
    figure = speed_figure(networks, FAMILIES)
    families = [trace for trace in figure.data if trace.showlegend is not False]
    assert [trace.name for trace in families] == list(FAMILIES)
    assert [(trace.x, trace.y) for trace in families] == [((i + 1.0,), (10.0 * (i + 1),)) for i in range(4)]
    assert len({trace.marker.color for trace in families}) == 4
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")


def test_along_a_line_a_flop_takes_equally_long_and_all_points_lie_between_two() -> None:
    lines = [trace for trace in speed_figure(FOUR, FAMILIES).data if trace.showlegend is False]
    speeds = [float(trace.text[-1].split()[0]) for trace in lines]
    assert speeds == [10, 20, 50]
    for speed, trace in zip(speeds, lines, strict=True):
        assert [y / x for x, y in zip(trace.x, trace.y, strict=True)] == pytest.approx([speed, speed])


def test_no_name_is_cut_off_at_the_sides() -> None:
    wide = [timed("a-long-name-on-the-left", 10, 1.0), timed("a-long-name-on-the-right", 1000, 9.0)]
    (points,) = [trace for trace in speed_figure(wide, FAMILIES).data if trace.name == "other"]
    assert points.textposition[0] == "middle right"
    assert points.textposition[1] == "middle left"


def test_names_do_not_lie_on_one_another() -> None:
    crowd = [timed(f"network-{i}", 100 + i / 100, 2 + i / 1000) for i in range(40)]
    (points,) = [trace for trace in speed_figure(crowd, FAMILIES).data if trace.name == "other"]
    assert len(points.x) == 40
    assert 1 <= sum(bool(text) for text in points.text) <= 6
    (alone,) = [trace for trace in speed_figure(FOUR, FAMILIES).data if trace.name == "other"]
    assert alone.text == ("a", "b", "c", "d")


def test_the_page_holds_table_verdict_and_figure_and_escapes_what_it_is_given(tmp_path: Path) -> None:
    failed = (FailedNetwork("x", "other", "<script>alert(1)</script>"),)
    page = write_reference_page(tmp_path / "page.html", reference_study(*FOUR, failed=failed), FAMILIES).read_text(
        "utf-8"
    )
    visible = re.sub(r"<script>.*?</script>", "", page.replace("plotly", ""), flags=re.DOTALL)
    assert "At worst b has 0.50x the FLOPs of c and takes 1.50x as long." in visible
    assert "failed: &lt;script&gt;" in visible
    assert '<td class="text">d</td>' in visible
    assert "figure-speed" in page


def test_a_page_without_a_timed_network_says_so(tmp_path: Path) -> None:
    failed = (FailedNetwork("x", "other", "no"),)
    page = write_reference_page(tmp_path / "page.html", reference_study(failed=failed), FAMILIES).read_text("utf-8")
    assert "nothing to draw" in page
    assert "failed: no" in page
    assert "figure-" not in page
