"""What `nas.finalists` refuses, in one line each."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from builders.finalists import (
    ALL,
    FINGERPRINT,
    SETTINGS,
    URL,
    made_study,
)
from builders.images import write_images
from builders.places import ROOT
from builders.records import enter
from optuna.storages import RDBStorage

from nas.finalists.__main__ import main

Captured = pytest.CaptureFixture[str]
MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "no seeds": (("--seeds", "0"), "--seeds must be at least 1, got 0"),
    "no finalists": (("--most", "0"), "--most must be at least 1, got 0"),
    "no workers": (("--workers", "0"), "--workers must be at least 1, got 0"),
    "an unknown recipe": (("--recipe", "magic"), "--recipe must be one of short, long, full, got 'magic'"),
    "an unknown device": (("--device", "tpu"), "--device must be one of cpu, cuda, got 'tpu'"),
    "an unknown study": (("--study", "other", "--storage", URL), "there is no study 'other'; this storage holds mine"),
    "a study without a file": (("--study", "other"), "say which study with --study or --storage"),
    "no such storage": (("--storage", "sqlite:///no.db"), "there is no file 'no.db'"),
    "an unknown flag": (("--nonsense",), "--nonsense"),
    "nothing evaluated": (("--study", "mine"), "holds no evaluated architecture to train"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(case: str, storage: RDBStorage, capsys: Captured) -> None:
    made_study(storage, SETTINGS)
    summary_lines(*MISTAKES[case], capsys)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "folder:gone"}, "'folder:gone': folder:PATH must name an existing folder, but got gone"),
        ({"data": "folder:gone"}, "say with --data where they lie"),
        ({"data_fingerprint": None}, "does not say which data it was trained on and how it was timed"),
        ({"runtime": None}, "does not say which data it was trained on and how it was timed"),
    ],
    ids=[
        "a folder that is gone",
        "and its flag",
        "a study that does not say its data",
        "one that does not say its runtime",
    ],
)
def test_data_that_are_not_there_are_told_in_one_line(
    changes: dict[str, Any], words: str, storage: RDBStorage, capsys: Captured
) -> None:
    settings = {name: value for name, value in (SETTINGS | changes).items() if value or name == "image_size"}
    enter(made_study(storage, settings), *ALL)
    summary_lines(("--study", "mine"), words, capsys)


def test_images_that_lie_elsewhere_here_are_named_and_must_be_the_same(
    storage: RDBStorage, capsys: Captured, answered_by: Any
) -> None:
    enter(made_study(storage, SETTINGS | {"data": "folder:gone"}), *ALL)
    write_images(Path("here"))
    answered_by(lambda *_: None, fingerprint="others")
    assert main(["--study", "mine", "--data", "folder:here"]) == 2
    assert f"folder:here had fingerprint {FINGERPRINT} then, and has others now" in capsys.readouterr().err
    summary_lines(("--study", "mine", "--data", "folder:there"), "must name an existing folder, but got there", capsys)


def summary_lines(flags: Sequence[str], words: str, capsys: Captured) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        status: Any = main(flags)
    except SystemExit as ended:
        status = ended.code
    signal.signal(signal.SIGTERM, before)
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1), printed.err
    assert printed.err.startswith("python -m nas.finalists: ")
    assert words in printed.err


def test_help_and_mistakes_need_no_torch() -> None:
    code = (
        "import sys; from nas.finalists.__main__ import main\n"
        "for arguments in (['--help'], ['--seeds', '0']):\n"
        "    try:\n        status = main(arguments)\n"
        "    except SystemExit as ended:\n        status = ended.code\n"
        "    print('status', status, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if line.startswith("status")] == [
        "status 0 False",
        "status 2 False",
    ]
