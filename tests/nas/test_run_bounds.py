"""Budgets of memory on the command line: the table before a search, and what is refused before anything is begun."""

from pathlib import Path

import pytest

from nas.run.__main__ import main
from nas.run.bounds_table import bounds_text
from search_space import Budget
from search_space.choices import Choices
from search_space.task import Task

Captured = pytest.CaptureFixture[str]


def refused(capsys: Captured, folder: Path, *arguments: str) -> tuple[list[str], str]:
    """The lines of the table and the one line of the mistake, after which nothing was written."""
    assert main([*arguments, "--out", str(folder / "out")]) == 2
    assert not list(folder.iterdir())
    printed = capsys.readouterr()
    assert printed.out == ""
    *table, mistake = printed.err.splitlines()
    assert not table or table[0].startswith("what networks have at ")
    assert mistake.startswith("python -m nas.run: ")
    return [line.strip() for line in table if line.strip()], mistake


def test_a_ram_that_no_network_keeps_to_is_refused_below_the_table(capsys: Captured, tmp_path: Path) -> None:
    # At 224 px the image and a stem of 24 channels take 441 KiB at int8.
    table, mistake = refused(capsys, tmp_path, "--budget", "20mflops,256kib-ram,1mib-flash@int8")
    assert [line.split()[:2] for line in table[3:]] == [
        ["20mflops", "yes"],
        ["256kib-ram@int8", "no,"],
        ["1mib-flash@int8", "yes"],
    ]
    assert "256kib-ram@int8 is below the smallest, and networks have " in mistake
    smallest = float(mistake.split(" have ")[1].split(" KiB")[0])
    assert 441 <= smallest < 470
    assert f" {smallest} KiB " in table[4]


def test_every_bound_that_cannot_be_met_stands_in_the_table(capsys: Captured, tmp_path: Path) -> None:
    table, mistake = refused(capsys, tmp_path, "--budget", "20mflops,5ms,1kib-ram,1kib-flash", "--precision", "int8")
    assert [line.split()[:2] for line in table[3:]] == [
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
