"""Every command, path, module and link of the README and `docs/` is run, parsed or found."""

import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from builders.images import write_images
from builders.places import ROOT, TESTS

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
PAGES = sorted((ROOT / "docs").glob("*.md"))
TOP_PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in (*TOP_PAGES, *PAGES)}
PARSERS = {"nas.run": run.make_parser, "nas.export": export.make_parser, "nas.cost": cost.make_parser}
PARSERS |= {"nas.latency": latency.make_parser, "nas.guidelines": guidelines.make_parser}
PARSERS |= {"nas.calibrate": calibrate.make_parser, "nas.train": train.make_parser}
PARSERS |= {"nas.finalists": finalists.make_parser, "nas.ledger": ledger.make_parser}
PARSERS |= {"nas.report": report.make_parser, "nas.dashboard": dashboard.make_parser}
PARSERS |= {"nas.compare": compare.make_parser, "nas.score": score.make_parser}
BLOCKS = [
    (name, *block)
    for name, text in TEXTS.items()
    for block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
]
PYTHON, YOLO = [(name, text) for name, language, text in BLOCKS if language == "python"], "from ultralytics"
INLINE = {
    name: re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    for name, text in TEXTS.items()
}
"""Page -> what stands in backticks in its prose and tables."""
LINES = [line for _, language, text in BLOCKS if not language for line in text.splitlines()]
LINES += [code for codes in INLINE.values() for code in codes]
COMMANDS = sorted({found for line in LINES for found in re.findall(r"(python -m (nas\.[a-z]+)\b.*)", line)})
BENCHMARKS = sorted({line for line in LINES if line.startswith("python tests/")})
LINKS = [(name, link) for name, text in TEXTS.items() for link in re.findall(r"\]\(([^)]+)\)", text)]
TOP = "search_space|proxies|studies|nas"


def inline(pattern: str) -> list[tuple[str, str]]:
    """Page and code of all that stands in backticks and is wholly of a pattern, each once a page."""
    return sorted({(name, code) for name, codes in INLINE.items() for code in codes if re.fullmatch(pattern, code)})


def anchors_of(page: Path) -> set[str]:
    """The anchors that headings have on the web: small letters, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_pages_show_every_command() -> None:
    assert {module for _, module in COMMANDS} == set(PARSERS)


def test_the_readme_shows_every_command_with_its_page() -> None:
    rows = re.findall(r"^\| `python -m (nas\.\w+).*` \| .+ \| \[.+\]\(docs/.+\) \|$", README, re.MULTILINE)
    assert sorted(rows) == sorted(PARSERS)


@pytest.mark.parametrize(("line", "module"), COMMANDS)
def test_every_flag_of_a_command_exists(line: str, module: str) -> None:
    PARSERS[module]().parse_args(shlex.split(line, comments=True)[3:])


@pytest.mark.parametrize("line", BENCHMARKS)
def test_every_benchmark_has_the_flags_that_are_shown(line: str) -> None:
    script, *flags = shlex.split(line)[1:]
    shown = {flag for flag in flags if flag.startswith("--")} - {"--help"}
    known = "".join([make().format_help() for make in PARSERS.values()] + [(ROOT / script).read_text(encoding="utf-8")])
    assert shown <= set(re.findall(r"--[\w-]+", known))


@pytest.mark.slow
def test_all_that_the_benchmarks_import_exists() -> None:
    scripts = sorted({line.split()[1] for line in BENCHMARKS})
    code = "import runpy, sys; [runpy.run_path(script, run_name='imported') for script in sys.argv[1:]]"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests/benchmarks")))}
    command = (sys.executable, "-c", code, *scripts)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line, module in COMMANDS if module == "nas.cost"])
def test_commands_that_need_no_study_run_as_printed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cost.main(shlex.split(line)[3:]) == 0
    printed = capsys.readouterr().out
    assert ("fvcore counts" in printed) is ("--verify" in line)
    assert "v2-1.0x: 144.908 MFLOPs" in printed or "v2-1.0x: 246.127 MFLOPs" in printed


@pytest.mark.slow
def test_the_tutorial_leads_from_nothing_to_a_timed_onnx_file(tmp_path: Path) -> None:
    """Its lines as printed, but for a search of one small network on few images; the dashboard has its own test."""
    start = README.index("## Ten minutes")
    block = re.findall(r"^```\n(.*?)^```$", README[start:], re.MULTILINE | re.DOTALL)[0]
    shorter = {
        "--budget 20mflops --time 4m": "--budget 0.7mflops --resolution 32 --classes 10 --image-size 16 "
        f"--data folder:{write_images(tmp_path / 'few')} --trials 1 --time 1h --workers 1",
        "--epochs 3": "--epochs 1",
        "py,safetensors --out first": "py,safetensors --out first --no-latency",
        "python -m nas.dashboard --study first": "true",
    }
    for printed, run_here in shorter.items():
        assert printed in block
        block = block.replace(printed, run_here)
    # Latencies take a moment.
    script = f'set -e\npython() {{ shift; "{sys.executable}" -m processes.briefly "$@"; }}\n{block}'
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, TESTS)))}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
    made = sorted(file.suffix for file in (tmp_path / "first").glob("[!.]*"))
    assert made == [".json", ".json", ".md", ".onnx", ".onnx", ".py", ".safetensors"]
    timed = [line for line in done.stdout.splitlines() if re.match(r"first/v\S+\.onnx: 1x\d+x\d+, [\d.]+ ms", line)]
    assert len(timed) == 2


def modules_without(distributions: Iterable[str]) -> list[str]:
    """The installed modules that neither these distributions bring, nor what they need, nor the project itself."""
    todo, brought = [*distributions], set[str]()
    while todo:
        name = re.split(r"[^\w.-]", todo.pop())[0].lower().replace("_", "-")
        if name not in brought:
            brought.add(name)
            with suppress(PackageNotFoundError):
                todo += [text for text in requires(name) or () if "extra ==" not in text]
    names = {module: {name.lower().replace("_", "-") for name in by} for module, by in packages_distributions().items()}
    return sorted(module for module, by in names.items() if not by & (brought | {"shufflenet-nas"}))


@pytest.mark.slow
def test_an_agent_needs_no_more_than_its_line_installs(tmp_path: Path) -> None:
    (line,) = [line for line in LINES if "--no-deps" in line]
    installed = shlex.split(line.partition(" && ")[0])[4:]
    missing = modules_without(installed)
    assert {"torch", "optuna", "scipy", "torchvision", "PIL", "rich", "plotly"} <= set(missing)
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({missing})); from nas.latency.__main__ import main;"
        "sys.exit(main(['agent', '--storage', 'sqlite:///study.db', '--device', 'pi', '--idle', '1s']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = (sys.executable, "-c", program)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "no work for 0:01: 0 networks measured"


@pytest.mark.parametrize(("name", "code"), [each for each in PYTHON if not each[1].startswith(YOLO)])
def test_python_of_the_pages_runs(name: str, code: str) -> None:
    exec(compile(code, name, "exec"), {})


def test_the_yolo_example_calls_what_there_is() -> None:
    """`test_ultralytics_backbone` trains one, where Ultralytics is installed."""
    (code,) = [code for _, code in PYTHON if code.startswith(YOLO)]
    imported, names = re.findall(r"^from (proxies\S+) import (.*)$", code, re.MULTILINE)[0]
    assert all(hasattr(import_module(imported), name) for name in names.split(", "))
    assert (ROOT / "proxies/shufflenas.yaml").is_file()
    assert '"proxies/shufflenas.yaml"' in code


def test_every_flag_in_the_prose_exists() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "nas").rglob("*.py"))
    shown = {code.split()[0] for _, code in inline(r"--\w[\w-]*( .*)?")}
    assert len(shown) > 20
    assert {flag for flag in shown if f'"{flag}"' not in sources} == {"--help"}


def test_the_front_of_the_readme_is_part_of_the_whole_one() -> None:
    ours, whole = (
        next(text for name, language, text in BLOCKS if (name, language) == (page, "text")).splitlines()
        for page in ("README.md", "docs/searching.md")
    )
    assert len(ours) == 10
    assert {line for line in ours if "─" not in line} <= set(whole)


@pytest.mark.parametrize(("name", "path"), inline(rf"(?:{TOP}|tests|docs|\.ci)/[\w/.-]+"))
def test_every_path_that_a_page_names_exists(name: str, path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("name", "dotted"), inline(rf"(?:{TOP})(?:\.[a-z_A-Z]\w*)+"))
def test_every_module_and_object_that_a_page_names_exists(name: str, dotted: str) -> None:
    assert pkgutil.resolve_name(dotted)


@pytest.mark.parametrize(("name", "link"), LINKS)
def test_every_link_between_files_leads_somewhere(name: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    if not link.startswith("https://"):
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.is_file()
        assert not anchor or anchor in anchors_of(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_readme_leads_to_every_page(page: Path) -> None:
    assert f"(docs/{page.name})" in README


def test_the_anchor_of_a_heading_is_the_webs(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# What's `new`?\n\n## Two lines, at 4.2 %\n", encoding="utf-8")
    assert anchors_of(tmp_path / "page.md") == {"whats-new", "two-lines-at-42-"}


ROWS = re.findall(r"^\| (?:an? |the |how )(.+?) \| (.+) \| (.+) \|$", TEXTS["CONTRIBUTING.md"], re.MULTILINE)


def test_what_can_be_added_stands_in_a_table() -> None:
    assert len(ROWS) > 25


@pytest.mark.parametrize(("what", "touched", "tested"), ROWS)
def test_what_is_touched_and_tests_it_exist_for_each_thing_to_add(what: str, touched: str, tested: str) -> None:
    for cell in (touched, tested):
        paths = [code for code in re.findall(r"`([^`]+)`", cell) if "/" in code]
        assert paths
        assert all((ROOT / path).is_file() for path in paths)
