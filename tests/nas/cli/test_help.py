"""`--help` and usage errors of every command, which need none of the large libraries and wait for none."""

import subprocess
import sys

import pytest
from builders.places import ROOT

from nas.latency.__main__ import SUBCOMMANDS

MODULES = {
    f"nas.{file.parent.name}": f"nas.{file.parent.name}.__main__" for file in (ROOT / "nas").glob("*/__main__.py")
}
MODULES |= {"nas.cost": "nas.cost"}
COMMANDS = set(MODULES)
LARGE = {"torch", "torchvision", "optuna", "plotly", "sklearn", "pandas", "scipy", "onnx", "onnxruntime", "matplotlib"}
PROGRAM = """
import importlib, sys
sys.argv = sys.argv[1:]
try:
    importlib.import_module(sys.argv[0]).main(sys.argv[1:])
except SystemExit as end:
    print(end.code, file=sys.stderr)
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported_by(command: str, *line: str) -> tuple[str, set[str]]:
    """How a command's line ended, and what was imported until then."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, MODULES[command], *line], capture_output=True, text=True, check=True
    )
    status, modules = ended.stderr.splitlines()[-2:]
    return status, set(modules.split())


def test_there_are_commands() -> None:
    assert {"nas.run", "nas.cost", "nas.train"} < COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_and_an_unknown_flag_import_nothing_large(command: str) -> None:
    for flag, status in (("--help", "0"), ("--no-such-flag", "2")):
        ended, modules = imported_by(command, flag)
        assert (ended, modules & LARGE) == (status, set())


@pytest.mark.parametrize(
    "line",
    [("nas.ledger", "list"), ("nas.ledger", "export"), *(("nas.latency", subcommand) for subcommand in SUBCOMMANDS)],
)
def test_help_of_a_subcommand_imports_nothing_large(line: tuple[str, str]) -> None:
    ended, modules = imported_by(*line, "--help")
    assert (ended, modules & LARGE) == ("0", set())


@pytest.mark.parametrize(
    "line",
    [
        ("nas.run",),
        ("nas.run", "--budget", "140"),
        ("nas.run", "--budget", "140mflops", "--sampler", "none"),
        ("nas.run", "--budget", "140mflops", "--data", "none"),
        ("nas.train", "v2-1.0x", "--epochs", "0"),
    ],
)
def test_what_is_wrong_with_the_flags_is_told_without_anything_large(line: tuple[str, ...]) -> None:
    program = PROGRAM.replace(".main(sys.argv[1:])", ".main(sys.argv[1:]); print('2', file=sys.stderr)")
    line = MODULES[line[0]], *line[1:]
    ended = subprocess.run([sys.executable, "-c", program, *line], capture_output=True, text=True, check=True)
    assert f"python -m {line[0].removesuffix('.__main__')}: " in ended.stderr
    assert not set(ended.stderr.splitlines()[-1].split()) & LARGE
