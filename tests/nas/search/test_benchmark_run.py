"""`nas.run --scorer table:FILE`: a whole search over a small table, without torch; and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders.places import read_json
from builders.tables import CODES, row

from nas.run import __main__ as command
from nas.search.benchmark.problem import FinishedNetworks
from search_space.budget import Budget
from studies.sampling.benchmark_table import FinishedTable


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "table.json"
    file.write_text(json.dumps({code: row(code) for code in CODES}))
    return file


def lines_of(*flags: str, table: Path, capsys: pytest.CaptureFixture[str], status: int = 0) -> list[str]:
    assert command.main(["--scorer", f"table:{table}", "--study", "one", *flags]) == status
    printed = capsys.readouterr()
    return (printed.err if status else printed.out).splitlines()


def test_all_of_a_table_is_searched_each_network_once(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = lines_of("--trials", "24", table=table, capsys=capsys)
    assert "24 of 24 networks scored; they dominate 100.0 % of what all do" in printed
    front = read_json(Path("runs/one/front.json"))["front"]
    assert [entry["macs"] for entry in front] == [1_000_000 * size for size in range(1, 8)]
    assert all(0.81 <= entry["accuracy"] <= 0.88 for entry in front)


def test_a_resumed_search_ends_as_an_unbroken_one(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--workers", "1", "--seed", "3")
    lines_of(*flags, "--trials", "7", table=table, capsys=capsys)
    resumed = lines_of(*flags, "--trials", "15", "--resume", table=table, capsys=capsys)
    unbroken = lines_of(*flags, "--trials", "15", "--out", "other", table=table, capsys=capsys)
    assert resumed[:-3] == unbroken[:-3]  # the last three name the folder


def test_a_budget_bounds_what_is_scored(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines_of("--budget", "3mflops", "--trials", "6", table=table, capsys=capsys)
    assert {entry["macs"] for entry in read_json(Path("runs/one/front.json"))["front"]} <= {10**6, 2 * 10**6, 3 * 10**6}


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--latency-budget", "5ms"), "neither latency nor memory"),
        (("--budget", "1mib-flash"), "neither latency nor memory"),
        (("--scorer", "table:"), "table:FILE"),
        (("--scorer", "x"), "x"),
    ],
)
def test_what_a_table_cannot_be_asked_is_one_line(
    flags: tuple[str, ...], text: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = lines_of(*flags, table=table, capsys=capsys, status=2)
    assert len(lines) == 1
    assert text in lines[0]


def test_what_the_table_lacks_or_the_budget_forbids_is_not_sent_to_a_worker() -> None:
    networks = FinishedTable.from_dict({code: row(code) for code in CODES[1:]})
    problem = FinishedNetworks(networks, Budget(macs=5_000_000), "random", 0)
    absent = type("Trial", (), {"suggest_int": lambda self, name, low, high: 0})()
    absent.suggest_categorical = lambda name, choices: "a"
    assert problem.known(problem.suggest(absent)) == "the table does not hold it"
    assert problem.known(networks.entries["0a1"]) is None
    assert "over the budget" in str(problem.known(networks.entries["2b3"]))


def test_a_search_over_a_table_needs_no_torch(run: Any, table: Path) -> None:
    found = run("nas.run", "--scorer", f"table:{table}", "--trials", 3, "--study", "two")
    assert found.returncode == 0, found.stderr
    code = "import sys; import nas.run.__main__, nas.search.benchmark.evaluator; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
