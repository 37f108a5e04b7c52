"""The table's numbers by hand, and that plain text loses none of them."""

import io
from typing import Any

import pytest
from rich.console import Console

from search_space import PRESETS
from studies.record import Record
from studies.table import COLUMNS, FLOP, comparison, front_table, ms_text, render_table, rows_of


def record(accuracy: float, latency_ms: float, *, spread: float = 0.012, noisy: bool = False, **more: Any) -> Record:
    latency = {"spread": spread, "noisy": noisy}
    numbers: dict[str, Any] = {"macs": 144_894_000, "params": 2_278_604, "peak_bytes": 1, "memory_access_bytes": 1}
    return Record(
        PRESETS["v1-1.0x-g3"],
        **numbers,
        **more,
        accuracy=accuracy,
        latency_ms=latency_ms,
        latency=latency,
        training={"validation_accuracies": [0.5]},
    )


REFERENCE = record(0.600, 5.0, reference="v2-1.0x")
FASTER = record(0.614, 4.0, spread=0.05, noisy=True)
SLOWER = record(0.597, 5.5)


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
    assert comparison(record(accuracy, latency_ms), REFERENCE) == f"{said} vs v2-1.0x"


def test_without_references_nothing_is_compared() -> None:
    assert [row.cells[-1] for row in rows_of([FASTER], [])] == [""]


@pytest.mark.parametrize(
    ("ms", "text"), [(0.01234, "0.0123"), (0.5, "0.500"), (3.417, "3.42"), (41.26, "41.3"), (1234.5, "1234")]
)
def test_a_latency_has_three_digits(ms: float, text: str) -> None:
    assert ms_text(record(0.5, ms)) == text


def test_plain_text_holds_every_cell_in_one_line_and_no_escape_codes() -> None:
    long_named = record(0.5, 3.0, reference="a-reference-with-a-long-[bold]name[/bold]-of-its-own" * 3)
    text = render_table([FASTER, SLOWER], [REFERENCE, long_named])
    assert "\x1b" not in text
    assert "…" not in text
    assert FLOP in " ".join(text.split())
    for cells in [COLUMNS, *(row.cells for row in rows_of([FASTER, SLOWER], [REFERENCE, long_named]))]:
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
    assert COLUMNS[0] in render_table([], [])
