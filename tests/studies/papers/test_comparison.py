"""A comparison's values and what is printed of it: means, fronts, orders held against the papers', unknowns."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from builders.measurements import MADE, V1, compared, comparison
from scipy.stats import kendalltau

from studies.papers.comparison import (
    Agreement,
    accuracy_agreement,
    rows_beside,
    speed_agreement,
    tables_of,
    to_dict,
)
from studies.papers.published_accuracies import PUBLISHED
from studies.report.comparison_figure import comparison_figure
from studies.report.comparison_page import beside_rows, render_comparison, rows_of, write_comparison_page
from studies.report.label_placement import Range, sides_of


def test_an_accuracy_is_the_mean_over_the_seeds_and_its_error_that_means() -> None:
    found = compared("one", {0: 0.70, 1: 0.72, 2: 0.77})
    assert found.accuracy == pytest.approx(0.73)
    assert found.accuracy_error == pytest.approx((0.0013**0.5) / 3**0.5)  # variance (9 + 1 + 16) / 2 / 1e4
    assert compared("two", {0: 0.7}).accuracy_error is None
    unknown = compared("three", {}, None)
    assert (unknown.accuracy, unknown.latency_ms) == (None, None)


def test_the_front_is_what_nothing_beats() -> None:
    networks = (
        compared("fast", {0: 0.6}, 1.0),
        compared("slow", {0: 0.8}, 3.0),
        compared("beaten", {0: 0.7}, 3.5),
        compared("equal to slow", {0: 0.8}, 3.0),
        compared("untimed", {0: 0.9}, None),
        compared("untrained", {}, 0.5),
    )
    assert comparison(*networks).front == {"fast", "slow", "equal to slow"}


def test_orders_agree_as_scipys_kendall_tau_says() -> None:
    ours = {1: 0.70, 2: 0.72, 3: 0.75, 4: 0.71, 8: 0.74}
    agreement = accuracy_agreement(PUBLISHED["v1-2"], comparison(*(compared(V1[g], {0: a}) for g, a in ours.items())))
    published = [-33.6, -32.7, -32.6, -32.8, -32.4]
    assert agreement.networks == 5
    assert agreement.tau is not None
    assert agreement.tau.value == pytest.approx(kendalltau(published, list(ours.values())).statistic)


def test_with_several_seeds_a_tau_is_the_mean_over_those_that_all_have() -> None:
    ours = {1: {0: 0.70, 1: 0.75}, 2: {0: 0.69, 1: 0.74}, 3: {0: 0.72, 1: 0.72, 2: 0.1}, 4: {0: 0.73, 1: 0.71}}
    ours |= {8: {0: 0.71, 1: 0.70}}
    agreement = accuracy_agreement(PUBLISHED["v1-2"], comparison(*(compared(V1[g], a) for g, a in ours.items())))
    published = [-33.6, -32.7, -32.6, -32.8, -32.4]
    taus = [kendalltau(published, [each[seed] for each in ours.values()]).statistic for seed in (0, 1)]
    assert agreement.tau is not None
    assert agreement.tau.value == pytest.approx(sum(taus) / 2)


def test_speeds_are_held_against_an_arm_cores() -> None:
    found = {"v2-0.5x": 1.0, "v1-0.5x-g3": 1.5, "v2-1.0x": 3.0, "v1-1.0x-g3": 2.0, "v2-2.0x": 9.0}
    networks = comparison(*(compared(name, {0: 0.7}, ms) for name, ms in found.items()))
    agreement = speed_agreement(PUBLISHED["v2-8"], networks)
    # 57.0, 56.8, 24.4, 21.8 and 6.7 images a second there: one pair of ten is the other way round here.
    assert agreement.tau is not None
    assert agreement.tau.value == pytest.approx(0.8)
    assert speed_agreement(PUBLISHED["v1-2"], networks).tau is None


def test_too_few_networks_have_no_order() -> None:
    two = [compared(V1[1], {0: 0.7}), compared(V1[3], {0: 0.8})]
    assert not tables_of(comparison(*two), PUBLISHED)
    three = comparison(*two, compared(V1[8], {}))
    assert set(tables_of(three, PUBLISHED)) == {"v1-2"}
    assert accuracy_agreement(PUBLISHED["v1-2"], three) == Agreement(2, None)
    assert "too few networks (2) to say" in render_comparison(three)


def test_rows_are_the_papers_and_empty_where_nothing_was_compared() -> None:
    found = comparison(compared(V1[1], {0: 0.7}), compared(V1[3], {}, None, causes=("v1-1.0x-g3 timed: no",)))
    rows = beside_rows(PUBLISHED["v1-2"], found)
    assert len(rows) == 15
    assert rows[0] == ("1.0x g=1", "v1-1.0x-g1", "140", "140.0", "33.6", "30.0", "", "1000.0")
    assert rows[1] == ("1.0x g=2", "v1-1.0x-g2", "140", "", "32.7", "", "", "")
    assert rows[2] == ("1.0x g=3", "v1-1.0x-g3", "140", "140.0", "32.6", "-", "", "-")
    assert [ours is None for _, ours in rows_beside(PUBLISHED["v1-2"], found)] == [False, True, False, *12 * [True]]


def test_what_is_printed_is_fastest_first_and_tells_failures() -> None:
    text = render_comparison(
        comparison(
            compared("slow", {0: 0.8, 1: 0.82}, 3.0),
            compared("failed", {}, None, causes=("failed short seed 0: the loss is nan",)),
            compared("fast", {0: 0.6}, 1.0),
        )
    )
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[3:6]] == ["fast", "slow", "failed"]
    assert "81.0 ±1.0" in lines[4]
    assert lines[4].endswith("front")
    assert lines[5].split()[-3:] == ["-", "-", "failed"]
    assert lines[-1] == "failed: failed short seed 0: the loss is nan"
    assert "only their order is compared" in text


def test_json_holds_all_and_null_for_what_is_unknown() -> None:
    found = comparison(compared(V1[1], {0: 0.7}), compared(V1[3], {}, None), compared(V1[8], {0: 0.8}))
    data = json.loads(json.dumps(to_dict(found, PUBLISHED), allow_nan=False))
    assert [each["name"] for each in data["networks"]] == [V1[1], V1[3], V1[8]]
    assert [each["accuracy"] for each in data["networks"]] == [0.7, None, 0.8]
    rows = data["published"]["v1-2"]["rows"]
    assert (rows[0]["published_error_percent"], rows[0]["error_percent"]) == (33.6, pytest.approx(30.0))
    assert rows[1]["error_percent"] is None
    assert data["published"]["v1-2"]["accuracy_order"] == {"networks": 2, "tau": None}


def test_the_page_has_the_tables_and_no_name_is_markup(tmp_path: Path) -> None:
    made = {**MADE, "data": "folder:<b>"}
    found = replace(
        comparison(
            compared(V1[1], {0: 0.7}),
            compared("<i>", {0: 0.8}, 2.0),
            compared(V1[3], {0: 0.75}),
            compared(V1[8], {0: 0.77}),
        ),
        made=made,
    )
    page = write_comparison_page(tmp_path / "page.html", found).read_text(encoding="utf-8")
    for text in (
        "Accuracy against latency",
        "Fastest first",
        "ShuffleNet V1 by groups (Zhang 2017, table 2), and here",
    ):
        assert text in page
    assert "<i>" not in page
    assert "folder:&lt;b&gt;" in page
    poor = replace(found, networks=(*found.networks, compared("poor", {0: 0.1})))
    assert "Not drawn: poor (10.0 %)." in write_comparison_page(tmp_path / "page.html", poor).read_text(
        encoding="utf-8"
    )


def test_the_figure_draws_what_is_known_with_the_errors_of_both() -> None:
    networks = [compared("one", {0: 0.7, 1: 0.72}), compared("two", {0: 0.8}, 2.0), compared("three", {0: 0.9}, None)]
    networks.append(compared("at chance", {0: 0.1}, 3.0))
    (trace,) = comparison_figure(comparison(*networks)).data
    assert list(trace.x) == [1.0, 2.0]
    assert list(trace.y) == pytest.approx([71.0, 80.0])
    assert list(trace.error_x.array) == pytest.approx([0.005, 0.01])
    assert trace.error_y.array[0] == pytest.approx(1.0)
    assert trace.error_y.array[1] is None
    assert not comparison_figure(comparison()).data
    assert rows_of(comparison()) == []


def test_names_are_placed_on_linear_axes_too() -> None:
    # Two points that are one but for a thousandth: both names find room, on different sides.
    points = {"one": (1.0, 50.0), "two": (1.001, 50.0)}
    sides = sides_of(points, Range.around([1.0, 1.001, 5.0]), Range.around([50.0, 80.0]))
    assert len(set(sides.values())) == 2
    assert Range.around([3.0]).place(3.0, 100) == pytest.approx(50)
    assert Range.around([1.0, 100.0], is_logarithmic=True).place(10.0, 100) == pytest.approx(50)
