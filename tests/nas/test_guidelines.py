"""`nas.guidelines`: what its flags ask for, its mistakes, and one whole run at its smallest."""

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from builders.measurements import finding
from builders.places import ROOT

from nas.guidelines.__main__ import main, make_parser
from nas.guidelines.run import Case, cases_of
from proxies.latency.measure import Latency
from studies.papers.guideline_findings import cells_of, verdict_of
from studies.papers.published_guidelines import TABLES
from studies.report.guideline_page import speeds_figure, write_guidelines

Captured = pytest.CaptureFixture[str]


def cases(*arguments: str) -> list[tuple[int, str, str]]:
    """Table, platform and variant of each case that the flags ask for."""
    found = cases_of(make_parser().parse_args(arguments))
    return [(case.table.number, case.platform, case.table.variants[case.variant]) for case in found]


def mistake(capsys: Captured, *arguments: str) -> str:
    """The one line on stderr of a command that exits with 2 and prints nothing else."""
    try:
        status: Any = main(list(arguments))
    except SystemExit as ended:
        status = ended.code
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert printed.err.startswith("python -m nas.guidelines: ")
    return printed.err


def page_rows(page: str) -> list[tuple[str, ...]]:
    visible = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    rows = re.findall(r'<tr class="row">(.*?)</tr>', visible)
    return [tuple(unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)) for row in rows]


# What the flags ask for


def test_by_default_every_table_runs_once_with_each_platforms_channels() -> None:
    both = [(number, platform, "x1") for number in (1, 2, 3) for platform in ("gpu", "arm")]
    # Table 4 has the same channels on both platforms; table 8 has a platform and sizes of its own.
    assert cases() == [*both, (4, "gpu", "x1"), (8, "phone", "224x224")]


def test_tables_columns_and_variants_can_be_chosen() -> None:
    assert cases("--tables", "2", "--columns", "arm", "--scales", "1,4") == [(2, "arm", "x1"), (2, "arm", "x4")]
    assert cases("--tables", "4,4", "--scales", "2") == [(4, "gpu", "x2")]
    sizes = cases("--tables", "8", "--resolutions", "224,224x224,480x640,720x1280")
    assert sizes == [(8, "phone", size) for size in ("224x224", "480x640", "720x1280")]


# Mistakes


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--tables", "5"),
        ("--tables", "1;2"),
        ("--tables", ","),
        ("--columns", "phone"),
        ("--scales", "3"),
        ("--resolutions", "96"),
        ("--runtime", "tflite"),
        ("--device", "tpu"),
        ("--seed", "one"),
    ],
)
def test_a_flag_that_names_what_there_is_not_is_a_mistake(capsys: Captured, flag: str, value: str) -> None:
    assert repr(value) in mistake(capsys, flag, value)


def test_a_seed_that_numpy_would_refuse_is_a_mistake(capsys: Captured) -> None:
    assert "--seed must be at most 2147483647, got 2147483648" in mistake(capsys, "--seed", "2147483648")


def test_a_folder_that_cannot_be_is_a_mistake_before_anything_runs(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert "the output folder must be one that can be written" in mistake(capsys, "--out", str(file / "below"))


@pytest.mark.parametrize("arguments", [["--help"], ["--tables", "5"]])
def test_help_and_mistakes_need_no_torch(arguments: list[str]) -> None:
    code = (
        "import contextlib, sys; from nas.guidelines.__main__ import main\n"
        f"with contextlib.suppress(SystemExit): main({arguments})\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert bool(done.stdout) == (arguments == ["--help"])


# The page


def test_the_page_holds_every_row_and_verdict_of_every_table(tmp_path: Path) -> None:
    found = [
        finding(Case(table, table.platforms[0], 0), [1.0 + number for number in range(len(table.rows))])
        for table in TABLES.values()
    ]
    page = write_guidelines(tmp_path / "page.html", found, {"device": "A <CPU>", "seed": 0}).read_text(encoding="utf-8")
    assert page_rows(page) == [cells for one in found for cells in cells_of(one)]
    assert len(page_rows(page)) == 22
    visible = unescape(re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
    assert all(verdict_of(one) in visible and one.heading in visible for one in found)
    assert visible.count('id="figure-') == len(TABLES)
    assert "A &lt;CPU&gt;" in page


def test_a_figure_has_a_bar_for_each_setting_and_device() -> None:
    found = finding(Case(TABLES[1], "gpu", 0), [1.0, 2.0, 4.0, 5.0])
    figure = speeds_figure([row.setting for row in found.rows], {"here": found.speeds, **found.published_speeds})
    assert [bar.name for bar in figure.data] == ["here", "GTX 1080Ti", "Snapdragon 810"]
    assert [tuple(bar.x) for bar in figure.data] == [("1:1", "1:2", "1:6", "1:12")] * 3
    assert tuple(figure.data[0].y) == (1.0, 0.5, 0.25, 0.2)
    assert tuple(figure.data[1].y) == pytest.approx([1, 1296 / 1480, 876 / 1480, 748 / 1480])
    # No ground of its own, so that it is read on a light page and on a dark one; a bar's category is no number or time.
    assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert figure.layout.xaxis.type == "category"


# A whole run


@pytest.mark.slow
def test_a_run_prints_and_writes_every_row(capsys: Captured, tmp_path: Path) -> None:
    out = tmp_path / "new" / "guidelines"
    assert main(["--tables", "4", "--quick", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert sorted(path.name for path in out.iterdir()) == [".nas-files", "guidelines.html", "guidelines.json"]

    data = json.loads((out / "guidelines.json").read_text(encoding="utf-8"))
    (table,) = data["tables"]
    settings = [row.setting for row in TABLES[4].rows]
    assert [row["setting"] for row in table["rows"]] == settings
    assert {row["macs"] for row in table["rows"]} == {10 * (32 * 8 + 9 * 8 * 8 + 8 * 32) * 56 * 56}
    assert [tuple(row["shape"]) for row in table["rows"]] == [(1, 32, 56, 56)] * 4
    latencies = [Latency.from_dict(row["latency"]) for row in table["rows"]]
    first_ms = latencies[0].latency_ms
    for row, latency in zip(table["rows"], latencies, strict=True):
        assert latency.latency_ms > 0
        assert row["relative_speed"] == pytest.approx(first_ms / latency.latency_ms)
    assert {latency.reference_ms for latency in latencies[1:]} == {first_ms}
    assert data["how"]["runtime"].startswith("onnxruntime ")

    assert table["verdict"] in printed.out
    for setting in settings:
        assert re.search(rf"^ {setting} .*x \(.*/s\)", printed.out, re.MULTILINE)
        assert re.search(rf"table 4, {setting}: [0-9.]+ ms ±", printed.err)
    assert len(re.findall(r"^. of 4: table 4, ", printed.err, re.MULTILINE)) == 4
    page = (out / "guidelines.html").read_text(encoding="utf-8")
    assert [cells[0] for cells in page_rows(page)] == settings
