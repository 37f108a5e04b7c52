"""`nas.report`: the page of a kept study, without torch, and mistakes in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from builders.fronts import FRONT, LATENCY, REFERENCES, kept_study
from builders.tables import CODES, row

from nas.report import __main__ as report
from nas.run import __main__ as run
from studies.facts import LatencyFacts
from studies.finalists import Finalist, finalists_from, trials_of

Captured = pytest.CaptureFixture[str]


def test_the_page_is_made_from_the_storage_alone_without_torch(tmp_path: Path) -> None:
    url = kept_study(tmp_path, {"budget": "140mflops"})
    code = (
        "import sys; from nas.report.__main__ import main\n"
        f"assert main(['--storage', {url!r}, '--out', {str(tmp_path / 'sub' / 'page.html')!r}]) == 0\n"
        "print(sorted({'torch', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    page = (tmp_path / "sub" / "page.html").read_text()
    for heading in ("Finalists", "How the front grew", "What the front has in common", "Why they are fast"):
        assert f">{heading}<" in page
    assert "55.0 ± 7.1" in page, "mean and standard deviation of 50 and 60 %"


def test_finalists_come_back_as_they_were_kept() -> None:
    made = [Finalist(each, {1: 0.5, 2: 0.6}, LatencyFacts(LATENCY)) for each in (*FRONT, *REFERENCES)]
    found = finalists_from(trials_of(made, {}))
    assert [each.accuracies for each in found] == [each.accuracies for each in made]
    assert [(each.record.name, each.record.accuracy, each.record.latency_ms) for each in found] == [
        (each.record.name, each.record.accuracy, each.record.latency_ms) for each in made
    ]


def test_mistakes_are_one_line(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert report.main([]) == 2
    assert "say which study" in capsys.readouterr().err
    url = kept_study(tmp_path, {"budget": "140mflops"})
    assert report.main(["--storage", url, "--study", "one", "--table", "x.json"]) == 2
    assert "'one' trained its networks: leave it out" in capsys.readouterr().err
    assert report.main(["--storage", url, "--study", "two"]) == 2
    assert "no study 'two'" in capsys.readouterr().err


@pytest.mark.parametrize("budget", [[], ["--budget", "3mflops"]])
def test_the_page_of_a_search_over_a_table_is_the_same_as_the_runs(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, budget: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = tmp_path / "table.json"
    table.write_text(json.dumps({code: row(code) for code in CODES}))
    line = [
        "--scorer",
        f"table:{table}",
        "--study",
        "one",
        "--trials",
        "6",
        "--workers",
        "1",
        "--sampler",
        "random",
        *budget,
    ]
    assert run.main(line) == 0
    assert report.main(["--study", "one", "--table", str(table), "--out", "again.html"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "wrote again.html"
    page = Path("again.html").read_text()
    assert page == Path("runs/one/report.html").read_text()
    assert f"<dt>budget</dt><dd>{budget[1] if budget else 'none'}</dd>" in page
    assert report.main(["--study", "one"]) == 2
    assert "add --table FILE" in capsys.readouterr().err
    table.write_text(json.dumps({code: row(code) for code in CODES[1:]}))
    assert report.main(["--study", "one", "--table", str(table)]) == 2
    assert "searched another table" in capsys.readouterr().err
