"""Budgets of memory on the command line: the table before a search, and what is refused before anything is begun."""

from pathlib import Path

import pytest

from nas.run.__main__ import main
from nas.run.bounds_table import bounds_text
from search_space import Budget
from search_space.choices import Choices
from search_space.task import Task

Captured = pytest.CaptureFixture[str]


def refused(capsys: Captured, folder: Path, *arguments: str) -> tuple[list[list[str]], str]:
    """The first words of the table's rows and the one line of the mistake, after which nothing was written."""
    assert main([*arguments, "--out", str(folder / "out")]) == 2
    assert not list(folder.iterdir())
    printed = capsys.readouterr()
    assert printed.out == ""
    *lines, mistake = (line for line in printed.err.splitlines() if line.strip())
    assert mistake.startswith("python -m nas.run: ")
    if lines:
        space, caption, _, _, *lines = lines
        assert space.startswith("space: ")
        assert caption.startswith("what networks have at 224 px, 1000 classes; ")
    return [line.split() for line in lines], mistake


def test_a_ram_that_no_network_keeps_to_is_refused_below_the_table(capsys: Captured, tmp_path: Path) -> None:
    # The narrowest stem of the spaces that ship has 4 channels: 3 x 224^2 + 4 x 112^2 bytes are 196 KiB.
    rows, mistake = refused(capsys, tmp_path, "--budget", "20mflops,100kib-ram,1mib-flash@int8")
    assert [row[:2] for row in rows] == [["20mflops", "yes"], ["100kib-ram@int8", "no,"], ["1mib-flash@int8", "yes"]]
    assert rows[1][5:7] == ["196", "KiB"]
    assert "100kib-ram@int8 is below the smallest, and networks have 196 KiB to " in mistake


def test_every_bound_that_cannot_be_met_stands_in_the_table(capsys: Captured, tmp_path: Path) -> None:
    rows, mistake = refused(capsys, tmp_path, "--budget", "20mflops,5ms,1kib-ram,1kib-flash", "--precision", "int8")
    assert [row[:2] for row in rows] == [
        ["20mflops", "yes"],
        ["1kib-ram@int8", "no,"],
        ["1kib-flash@int8", "no,"],
        ["5ms", "measured"],
    ]
    assert "1kib-ram@int8 is below" in mistake


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("20mflops@int8", "it bounds none"),
        ("20mflops,256kib-ram@int4", "must be fp32 or int8, got 'int4'"),
        ("20mflops,256kib-ram,256kib-ram", "bounds ram twice"),
        ("20mflops,0kib-ram", "must be above 0"),
        ("1kflops", "1kflops is below the smallest, and networks have"),
        ("1kparams", "1kparams is below the smallest"),
        ("8mib-ram", "FLOPs, parameters or flash to size networks by"),
    ],
)
def test_a_mistaken_budget_of_memory_is_refused(capsys: Captured, tmp_path: Path, budget: str, said: str) -> None:
    assert said in refused(capsys, tmp_path, "--budget", budget)[1]


def test_a_latency_is_measured_and_never_zero() -> None:
    text = bounds_text(Budget.parse("5ms"), Choices.default(), Task())
    assert text.splitlines()[-1].split() == ["5ms", "measured", "measured", "measured"]
