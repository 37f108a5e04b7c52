"""The table's numbers by hand, and that plain text loses none of them."""

import io
from dataclasses import replace
from typing import Any

import pytest
from builders.records import record
from rich.console import Console

from search_space import PRESETS
from studies.accuracy_scale import AccuracyScale
from studies.display import FLOP, MemoryColumns, columns_of, comparison, front_table, ms_text, render_table, rows_of
from studies.record import Record


def at(accuracy: float, latency_ms: float, reference: str = "", **timed: Any) -> Record:
    return record(
        "v1-1.0x-g3",
        *(accuracy, latency_ms),
        latency=timed,
        training={"validation_accuracies": [0.5]},
        **{"macs": 144_894_000, "params": 2_278_604, "reference": reference},
    )


REFERENCE = at(0.600, 5.0, reference="v2-1.0x")
FASTER = at(0.614, 4.0, spread=0.05, noisy=True)
SLOWER = at(0.597, 5.5)


def test_a_row_has_the_numbers_by_hand() -> None:
    # 5.0 / 4.0 = 1.25; 61.4 % - 60.0 % = 1.4 points; half of a spread of 5 % is 2.5 % either way.
    faster, reference = rows_of([FASTER], [REFERENCE])
    numbers = ("v1", "144.9", "2.28")
    assert faster.cells == (
        FASTER.name,
        *numbers,
        "4.00 ±2.5 % noisy",
        "61.4",
        "50.0",
        "1.25x faster, +1.4 points vs v2-1.0x",
    )
    assert reference.cells == ("v2-1.0x", *numbers, "5.00 ±0.6 %", "60.0", "50.0", "reference")
    assert (faster.is_reference, reference.is_reference) == (False, True)


def test_a_reference_that_is_over_the_budget_says_by_how_much() -> None:
    assert rows_of([], [replace(REFERENCE, over_budget=0.0351)])[0].cells[-1] == "reference, 3.5 % over the budget"


def test_rows_are_sorted_by_latency() -> None:
    names = [row.cells[0] for row in rows_of([FASTER, SLOWER], [REFERENCE])]
    assert names == [FASTER.name, "v2-1.0x", SLOWER.name]


@pytest.mark.parametrize(
    ("accuracy", "latency_ms", "said"),
    [
        (0.597, 5.5, "1.10x slower, -0.3 points"),  # 5.5 / 5.0
        (0.600, 2.5, "2.00x faster, +0.0 points"),
        (0.5996, 2.5, "2.00x faster, +0.0 points"),  # -0.04 points, never "-0.0"
        (0.700, 5.05, "as fast, +10.0 points"),  # 1 % apart: repeated measurements differ by as much
        (0.700, 4.95, "as fast, +10.0 points"),
    ],
)
def test_a_comparison_is_honest_both_ways(accuracy: float, latency_ms: float, said: str) -> None:
    assert comparison(at(accuracy, latency_ms), REFERENCE) == f"{said} vs v2-1.0x"


def test_without_references_nothing_is_compared() -> None:
    assert [row.cells[-1] for row in rows_of([FASTER], [])] == [""]


@pytest.mark.parametrize(
    ("ms", "text"), [(0.01234, "0.0123"), (0.5, "0.500"), (3.417, "3.42"), (41.26, "41.3"), (1234.5, "1234")]
)
def test_a_latency_has_three_digits(ms: float, text: str) -> None:
    assert ms_text(at(0.5, ms)) == text


def test_plain_text_holds_every_cell_in_one_line_and_no_escape_codes() -> None:
    long_named = at(0.5, 3.0, reference="a-reference-with-a-long-[bold]name[/bold]-of-its-own" * 3)
    text = render_table([FASTER, SLOWER], [REFERENCE, long_named])
    assert "\x1b" not in text
    assert "…" not in text
    assert FLOP in " ".join(text.split())
    for cells in [columns_of(), *(row.cells for row in rows_of([FASTER, SLOWER], [REFERENCE, long_named]))]:
        assert any(all(cell in line for cell in cells) for line in text.splitlines()), cells


def test_a_narrow_terminal_wraps_and_never_cuts() -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    with console.capture() as capture:
        console.print(front_table([FASTER, SLOWER], [REFERENCE]))
    text = capture.get()
    assert "…" not in text
    assert all(cell in text for row in rows_of([FASTER], [REFERENCE]) for cell in row.cells[:-1])


def test_an_empty_front_is_an_empty_table() -> None:
    assert rows_of([], []) == []
    assert columns_of()[0] in render_table([], [])


# Accuracies whose level is not known


BESIDE = replace(REFERENCE, architecture=PRESETS["v2-1.0x"], accuracy_error=0.003)
SMALLER = replace(BESIDE, architecture=PRESETS["v2-0.5x"], reference="v2-0.5x", accuracy=0.52, latency_ms=2.0)
UNKNOWN = AccuracyScale.of(False, 0.02, [FASTER, SLOWER], [SMALLER, BESIDE])


def test_without_a_known_level_points_are_counted_from_the_nearest_reference_and_errors_are_of_the_difference() -> None:
    """61.4 - 60.0 is 1.4 points; errors of 0.4 and 0.3 points are one of 0.5 for their difference."""
    network = replace(FASTER, accuracy_error=0.004)
    smaller, found, reference = rows_of([network], [BESIDE, SMALLER], UNKNOWN)
    assert (found.cells[5], found.cells[-1]) == ("+1.4 ±0.5", "1.25x faster, +1.4 points vs v2-1.0x")
    assert (smaller.cells[5], smaller.cells[-1]) == ("-8.0 ±0.4", "reference, points vs v2-1.0x")
    assert (reference.cells[5], reference.cells[-1]) == ("0.0", "reference")
    assert "points" in columns_of(UNKNOWN)
    assert UNKNOWN.text(FASTER) == "+1.4 ±2.0", "without an error of its own a network has the fit's, 2 points, and 0.3"


def test_without_any_reference_points_are_counted_from_the_fastest_network() -> None:
    alone = AccuracyScale.of(False, None, [FASTER, replace(SLOWER, architecture=PRESETS["v2-1.0x"])], [])
    first, second = rows_of([FASTER, replace(SLOWER, architecture=PRESETS["v2-1.0x"])], [], alone)
    assert (first.cells[5], first.cells[-1]) == ("0.0", "")
    assert (second.cells[5], second.cells[-1]) == ("-1.7", f"1.38x slower, -1.7 points vs {FASTER.name}, the fastest")
    assert alone.axis == f"predicted points above {FASTER.name}"


def test_where_the_level_is_known_the_percentage_has_its_error() -> None:
    known = AccuracyScale.of(True, 0.02, [FASTER], [REFERENCE])
    assert known.text(FASTER) == "61.4 ±2.0"
    assert known.text(replace(FASTER, accuracy_error=0.0061)) == "61.4 ±0.6"
    assert known.axis == "predicted accuracy, %"


def test_figures_count_from_v2_1x_else_from_the_largest_reference() -> None:
    larger = replace(SMALLER, reference="v1-2.0x-g3", macs=10**9)
    assert AccuracyScale.of(False, None, [], [larger, BESIDE]).zero == BESIDE
    assert AccuracyScale.of(False, None, [], [SMALLER, larger]).zero == larger
    assert UNKNOWN.height(0.62) == pytest.approx(2.0)
    assert UNKNOWN.height_text(0.55) == "-5.0 points beside v2-1.0x"


def test_a_study_of_before_there_was_a_prior_is_shown_in_percent() -> None:
    for kept in ({}, {"accuracy": {"fit": None}}, {"accuracy": {"fit": {"weights": [1.0], "error": 0.01}}}):
        assert AccuracyScale.of_study(kept, [FASTER], [REFERENCE]).is_level_known
    unknown = {"accuracy": {"fit": {"prior": {}, "error": 0.01, "is_level_known": False}}}
    assert AccuracyScale.of_study(unknown, [FASTER], [BESIDE]) == AccuracyScale(False, 0.01, (BESIDE,), BESIDE)


def test_without_a_known_level_no_percentage_of_it_is_shown_in_the_table() -> None:
    text = render_table([FASTER, SLOWER], [REFERENCE], AccuracyScale.of(False, 0.02, [FASTER, SLOWER], [REFERENCE]))
    assert not any(f"{100 * each.accuracy:.1f}" in text for each in (FASTER, SLOWER, REFERENCE))
    assert "accuracy %" not in text
    assert "the level of these data is not known" in " ".join(text.split())


def test_memory_stands_in_the_table_where_the_budget_bounds_it() -> None:
    settings = {"resolution": 224, "classes": 1000}
    assert MemoryColumns.of_settings({**settings, "budget": "140mflops,5ms"}) is None
    memory = MemoryColumns.of_settings({**settings, "budget": "140mflops,1mib-ram@int8"})
    assert memory is not None
    text = render_table([], [REFERENCE], memory=memory)
    assert "RAM KiB  flash KiB" in text
    assert "RAM and flash: at int8." in text
    # V2 1.0x: the image and the stem's map, a byte each; nas.cost counts its 2,279.5 KiB of flash by the layer.
    assert memory.cells(REFERENCE)[0] == f"{(3 * 224**2 + 24 * 112**2) / 1024:.1f}" == "441.0"
    assert "441.0" in text
