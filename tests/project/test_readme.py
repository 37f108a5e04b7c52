import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from builders.places import ROOT

from nas import cost
from nas.calibrate import __main__ as calibrate
from nas.compare import __main__ as compare
from nas.dashboard import __main__ as dashboard
from nas.export import __main__ as export
from nas.finalists import __main__ as finalists
from nas.guidelines import __main__ as guidelines
from nas.latency import __main__ as latency
from nas.ledger import __main__ as ledger
from nas.report import __main__ as report
from nas.run import __main__ as run
from nas.score import __main__ as score
from nas.train import __main__ as train

README = (ROOT / "README.md").read_text(encoding="utf-8")
PARSERS = {"nas.run": run.make_parser, "nas.export": export.make_parser, "nas.cost": cost.make_parser}
PARSERS |= {"nas.latency": latency.make_parser, "nas.guidelines": guidelines.make_parser}
PARSERS |= {"nas.calibrate": calibrate.make_parser, "nas.train": train.make_parser}
PARSERS |= {"nas.finalists": finalists.make_parser, "nas.ledger": ledger.make_parser}
PARSERS |= {"nas.report": report.make_parser, "nas.dashboard": dashboard.make_parser}
PARSERS |= {"nas.compare": compare.make_parser, "nas.score": score.make_parser}
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PYTHON, YOLO = [text for language, text in BLOCKS if language == "python"], "from ultralytics"
SHELL = "".join(text for language, text in BLOCKS if not language)
COMMANDS = re.findall(r"(python -m (nas\.\w+)\b.*)", SHELL)


def test_the_readme_shows_commands() -> None:
    assert {module for _, module in COMMANDS} == set(PARSERS)


@pytest.mark.parametrize(("line", "module"), COMMANDS)
def test_every_flag_of_a_readme_command_exists(line: str, module: str) -> None:
    PARSERS[module]().parse_args(shlex.split(line)[3:])


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line, module in COMMANDS if module == "nas.cost"])
def test_readme_commands_that_need_no_study_run_as_printed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost.main(shlex.split(line)[3:]) == 0
    printed = capsys.readouterr().out
    assert "fvcore counts" in printed
    assert "v2-1.0x: 144.908 MFLOPs" in printed or "v2-1.0x: 246.127 MFLOPs" in printed


@pytest.mark.slow
def test_the_tutorial_leads_from_nothing_to_a_timed_onnx_file(tmp_path: Path) -> None:
    """Its lines as printed, but for a search of one small network; the dashboard, which serves on, has its own test."""
    start = README.index("## Ten minutes")
    block = re.findall(r"^```\n(.*?)^```$", README[start:], re.MULTILINE | re.DOTALL)[0]
    shorter = {
        "--budget 20mflops --time 4m": "--budget 0.7mflops --resolution 32 --classes 10 --image-size 16 "
        "--trials 1 --time 1h --workers 1",
        "--epochs 3": "--epochs 1",
        "py,safetensors --out first": "py,safetensors --out first --no-latency",
        "python -m nas.dashboard --study first": "true",
    }
    for printed, run_here in shorter.items():
        assert printed in block
        block = block.replace(printed, run_here)
    script = f'set -e\npython() {{ "{sys.executable}" "$@"; }}\n{block}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
    made = sorted(file.suffixes[-1] for file in (tmp_path / "first").iterdir())
    assert made == [".json", ".json", ".md", ".onnx", ".onnx", ".py", ".safetensors"]
    timed = [line for line in done.stdout.splitlines() if re.match(r"first/v\S+\.onnx: 1x\d+x\d+, [\d.]+ ms", line)]
    assert len(timed) == 2


@pytest.mark.parametrize("code", [code for code in PYTHON if not code.startswith(YOLO)])
def test_readme_python_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_the_yolo_example_calls_what_there_is() -> None:
    """`test_ultralytics_backbone` trains one, where Ultralytics is installed."""
    (code,) = [code for code in PYTHON if code.startswith(YOLO)]
    imported, names = re.findall(r"^from (proxies\S+) import (.*)$", code, re.MULTILINE)[0]
    assert all(hasattr(import_module(imported), name) for name in names.split(", "))
    assert (ROOT / "proxies/shufflenas.yaml").is_file()
    assert '"proxies/shufflenas.yaml"' in code


@pytest.mark.parametrize("path", re.findall(r"`((?:search_space|proxies|studies|nas|tests)/[\w/.-]+\.\w+)`", README))
def test_every_file_the_readme_names_exists(path: str) -> None:
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("path", re.findall(r"!\[.*?\]\(([^)]+)\)", README))
def test_every_picture_of_the_readme_exists(path: str) -> None:
    assert (ROOT / path).is_file()
