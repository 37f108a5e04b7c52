import re
import shlex
from pathlib import Path

import pytest

from nas import calibrate, cost, export, finalists, guidelines, latency, ledger, run, train

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PARSERS = {"nas.run": run.make_parser, "nas.export": export.make_parser, "nas.cost": cost.make_parser}
PARSERS |= {"nas.latency": latency.make_parser, "nas.guidelines": guidelines.make_parser}
PARSERS |= {"nas.calibrate": calibrate.make_parser, "nas.train": train.make_parser}
PARSERS |= {"nas.finalists": finalists.make_parser, "nas.ledger": ledger.make_parser}
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
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
    assert "144.908 MFLOPs" in capsys.readouterr().out


@pytest.mark.parametrize("code", [text for language, text in BLOCKS if language == "python"])
def test_readme_python_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("path", re.findall(r"`((?:search_space|proxies|studies|nas|tests)/[\w/.-]+\.\w+)`", README))
def test_every_file_the_readme_names_exists(path: str) -> None:
    assert (Path(__file__).parents[1] / path).is_file()


@pytest.mark.parametrize("path", re.findall(r"!\[.*?\]\(([^)]+)\)", README))
def test_every_picture_of_the_readme_exists(path: str) -> None:
    assert (Path(__file__).parents[1] / path).is_file()
