"""Where a command's lines go: results are kept and whole whatever reads them."""

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from builders.places import ROOT
from builders.tables import write_table
from rich.progress import Progress

from nas.cli.command import Parser, run_command
from nas.cli.heartbeat import doing
from nas.cli.terminal import Stream, console, printable, streams

ASCII = {"PYTHONIOENCODING": "ascii"}
IN_C = {"LC_ALL": "C", "PYTHONUTF8": "0"}


def shell(line: str, folder: Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What a shell says of the line, in which `nas` is Python's `-m nas`; its status is the command's."""
    script = f'set -o pipefail; nas() {{ "{sys.executable}" -m "nas.$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("nas cost v2-1.0x --layers | head -1", 0),
        ("nas cost v2-1.0x --layers | true", 0),
        ("nas cost v2-1.0x 2>&1 | true", 0),
        ("nas cost v2-1.0x >&-", 0),
        ("nas cost v2-1.0x >&- 2>&- <&-", 0),
        ("nas cost --help | true", 0),
        ("nas cost none-such 2>&-", 2),
        ("nas cost none-such 2>&1 | true", 2),
        ("nas cost none-such 2>/dev/full", 2),
    ],
)
def test_whatever_reads_it_a_command_ends_quietly(tmp_path: Path, line: str, status: int) -> None:
    ended = shell(line, tmp_path)
    assert (ended.returncode, ended.stderr) == (status, "")


@pytest.mark.parametrize("arguments", ["v2-1.0x", "--help"])
def test_what_could_not_be_printed_is_told_and_fails(tmp_path: Path, arguments: str) -> None:
    ended = shell(f"nas cost {arguments} >/dev/full", tmp_path)
    assert ended.returncode == 1
    told = "python -m nas.cost: not all could be printed: No space left on device; files are whole\n"
    assert ended.stderr == told


@pytest.mark.parametrize("reader", ["| head -1", "| true", "2>&1 | true", ">&- 2>&-", ">/dev/full 2>/dev/full"])
def test_a_search_keeps_all_its_files_whoever_reads_its_lines(tmp_path: Path, reader: str) -> None:
    write_table(tmp_path / "table.json", 2)
    ended = shell(f"nas run --scorer table:table.json --trials 3 --workers 1 --out out {reader}", tmp_path)
    assert ended.returncode == (1 if "full" in reader else 0)
    assert "Traceback" not in ended.stderr
    assert "ignored" not in ended.stderr
    assert {"front.json", "report.html"} <= {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("environment", [ASCII, IN_C, {"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "latin-1"}])
def test_a_terminal_that_knows_few_letters_is_shown_others(tmp_path: Path, environment: dict[str, str]) -> None:
    ended = shell("nas cost v2-1.0x --layers", tmp_path, environment)
    assert ended.returncode == 0
    assert " -----" in ended.stdout


@pytest.mark.parametrize("columns", ["0", "1", "20", "none"])
def test_help_and_results_come_at_any_width(tmp_path: Path, columns: str) -> None:
    environment = {"COLUMNS": columns, "TERM": "dumb", "NO_COLOR": "1"}
    assert "usage" in shell("nas cost --help", tmp_path, environment).stdout
    assert "MFLOPs" in shell("nas cost v2-1.0x", tmp_path, environment).stdout


def test_a_text_does_not_steer_a_terminal() -> None:
    assert printable("\x1b]0;title\a \x1b[2J\x9b1A\r\u202egnp\u2028\t\n") == (
        "\\x1b]0;title\\x07 \\x1b[2J\\x9b1A\\r\\u202egnp\\u2028\t\n"
    )
    assert printable("± 研究 é") == "± 研究 é"


def test_what_a_command_prints_does_not_either(capsys: pytest.CaptureFixture[str]) -> None:
    def command(flags: object) -> int:
        print("\x1b[31mred")
        print("\x1b[31mred", file=sys.stderr)
        return 0

    assert run_command(Parser(prog="command"), command, []) == 0
    assert capsys.readouterr() == ("\\x1b[31mred\n", "\\x1b[31mred\n")


def test_a_bar_steers_the_terminal_and_the_lines_above_it_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    shown.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with streams(), doing("waiting"), Progress(console=console()) as progress:
        progress.add_task("training", total=1)
        progress.console.print("[red]\x1b[31mred :smile:")
    assert "\x1b[?25l" in shown.getvalue()
    assert "[red]\\x1b[31mred :smile:\n" in shown.getvalue()


def test_what_is_written_after_the_reader_has_gone_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as pipe:
        stream = Stream(pipe)
        assert stream.write(3 * "line\n") == 15
        stream.flush()
        stream.write("line\n")
        stream.flush()
        assert stream.failure is None


def test_lines_of_two_threads_do_not_mix() -> None:
    written = io.StringIO()
    stream = Stream(written)

    def say(letter: str) -> None:
        for _ in range(300):
            print(9 * letter, file=stream)

    threads = [threading.Thread(target=say, args=(letter,)) for letter in "ab"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(written.getvalue().splitlines()) == {9 * "a", 9 * "b"}
