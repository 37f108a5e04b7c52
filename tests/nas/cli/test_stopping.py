"""Ctrl-C, SIGTERM and a closed terminal end a command alike; more of them disturb nothing that is being kept."""

import argparse
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from builders.places import ROOT

from nas.cli.command import Parser, run_command
from nas.cli.stopping import Stopped, keeping, stop_if_asked

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """As in a process that a terminal has started; a shell's background jobs ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run(command: Callable[[], object]) -> int:
    def called(_: argparse.Namespace) -> int:
        command()
        return 0

    return run_command(Parser(prog="test"), called, [])


def ask(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGINT, "test: interrupted\n"),
        (signal.SIGTERM, "test: ended by SIGTERM\n"),
        (signal.SIGHUP, "test: its terminal was closed\n"),
    ],
)
def test_each_signal_is_told_in_a_line_and_by_the_exit_status(number: int, line: str, capsys: Captured) -> None:
    before = signal.getsignal(number)
    assert run(lambda: ask(number)) == 128 + number
    assert capsys.readouterr() == ("", line)
    assert signal.getsignal(number) is before


def test_a_signal_that_a_librarys_clean_up_swallowed_ends_the_loop_that_asks_for_it() -> None:
    rounds = []

    def search() -> None:
        while True:
            rounds.append(len(rounds))
            with suppress(KeyboardInterrupt):
                ask(signal.SIGHUP)
            stop_if_asked()

    assert run(search) == 128 + signal.SIGHUP
    assert rounds == [0]
    stop_if_asked()  # raises nothing once the command has ended


def test_what_is_kept_is_said(capsys: Captured) -> None:
    def train() -> None:
        with keeping(lambda: "stopped; what was trained is kept"):
            ask(signal.SIGTERM)

    assert run(train) == 143
    assert capsys.readouterr().err == "test: stopped; what was trained is kept\n"


def test_a_command_that_shows_what_there_is_ends_with_the_signals_status(capsys: Captured) -> None:
    def search() -> None:
        try:
            ask(signal.SIGINT)
        except KeyboardInterrupt:
            print("the front so far")

    assert run(search) == 130
    assert capsys.readouterr() == ("the front so far\n", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_more_signals_do_not_disturb_what_comes_after_the_first(number: int, capfd: pytest.CaptureFixture[str]) -> None:
    done = []

    def search() -> None:
        try:
            ask(signal.SIGINT)
        except Stopped:
            for each in range(5):
                ask(number)
                done.append(each)
            raise

    assert run(search) == 130
    assert done == [0, 1, 2, 3, 4]
    assert capfd.readouterr().err == "test: ending; what there is is being kept\ntest: interrupted\n"


def test_what_libraries_log_of_being_stopped_is_not_shown(capsys: Captured) -> None:
    log = logging.getLogger("a library")

    def search() -> None:
        try:
            ask(signal.SIGTERM)
        except KeyboardInterrupt:
            log.exception("Error closing cursor")
            raise

    assert run(search) == 143
    assert capsys.readouterr().err == "test: ended by SIGTERM\n"
    assert log.isEnabledFor(logging.ERROR)


def test_an_error_after_a_signal_is_told_and_the_status_is_the_signals(capsys: Captured) -> None:
    def search() -> None:
        try:
            ask(signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("no report") from None

    assert run(search) == 130
    assert capsys.readouterr().err == "test: ValueError: no report (--debug shows where)\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_was_to_be_ignored_stays_so(number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)  # as nohup does
    try:
        assert run(lambda: ask(number)) == 0
    finally:
        signal.signal(number, before)


def python(code: str) -> subprocess.CompletedProcess[str]:
    start = "import os, signal, sys, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    line = [sys.executable, "-c", start + code]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)


@pytest.mark.parametrize("number", SIGNALS)
def test_while_modules_are_imported_it_ends_at_once(number: int) -> None:
    code = f"""
from nas.cli.stopping import at_once
with at_once("test"):
    try:
        os.kill(os.getpid(), {int(number)})
        time.sleep(60)
    finally:
        print("an exception came up")
"""
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (128 + number, "", 1)


def test_from_its_first_module_on_a_command_ends_without_a_traceback() -> None:
    code = """
sys.argv, sys.orig_argv = ["-m", "1"], ["python", "-m", "nas.run", "1"]
import nas
os.kill(os.getpid(), signal.SIGINT)
time.sleep(60)
"""
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "python -m nas.run: interrupted\n")


def test_who_imports_the_package_keeps_its_signals() -> None:
    done = python("import nas.cli.command; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)")
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_who_asks_again_after_a_while_has_it_end_at_once() -> None:
    code = """
from nas.cli import stopping
stopping.PATIENCE_SECONDS = 0.0
with stopping.Stopping("test"):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
"""
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "test: ended at once\n")


def test_what_is_written_to_a_closed_terminal_is_no_error(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    code = f"""
import sys, time
from nas.cli.command import Parser, run_command
def command(_):
    try:
        print("here", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("the front so far", flush=True)
        print("more", file=sys.stderr, flush=True)
        open({str(tmp_path / "kept")!r}, "w").close()
        return 0
sys.exit(run_command(Parser(prog="test"), command, []))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT
    ) as process:
        os.close(theirs)
        assert os.read(ours, 4) == b"here"
        os.close(ours)  # each write is an error from now on
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 129
    assert (tmp_path / "kept").exists()
