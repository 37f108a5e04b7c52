"""`nas.calibrate`: what it asks for in which order, what a failure costs, and that it goes on where it was ended."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from builders.places import ROOT, WAIT_SECONDS, read_json
from builders.settings import STORAGE, calibration_settings
from builders.workers import FakeWorkers, interrupted, made_up

import nas.calibrate.run as calibrate_module
from nas.calibrate.__main__ import main
from nas.calibrate.questions import draw
from nas.workers.local import LocalWorkers
from nas.workers.protocol import Failure
from proxies.training.recipes import RECIPES
from search_space import Architecture
from studies.calibration.known_trainings import known_trainings
from studies.calibration.scores import AT_INITIALISATION
from studies.calibration.store import from_dict, newest
from studies.storage.database import engine_of

Captured = pytest.CaptureFixture[str]


def answers_kept() -> list[tuple[str, str, int]]:
    """Recipe, network and seed of each answer in the ledger, in the order in which they were entered."""
    if not Path("ledger/calibrations.db").exists():
        return []
    with closing(sqlite3.connect("file:ledger/calibrations.db?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute("SELECT method, network, seed FROM evaluations ORDER BY taken_at").fetchall()
        except sqlite3.OperationalError:  # the table is not made yet
            return []
    return [(json.loads(method)["name"], network, seed) for method, network, seed in rows]


# The command, its answers made up


def test_it_prints_the_table_writes_the_files_and_asks_nothing_twice(
    line: list[str], capsys: Captured, answered_by: Callable[..., None]
) -> None:
    asked: list[Any] = []
    answered_by(lambda *question: asked.append(question) or made_up(*question))
    assert main(line) == 0
    printed = capsys.readouterr()
    assert "tau over the budget's range" in printed.out
    assert "SHORT ranks over the budget's range with tau " in printed.out
    assert printed.out.splitlines()[-2:] == ["wrote out/calibration.json", "wrote out/calibration.html"]
    assert f"0 of {len(asked)} trainings are in the ledger" in printed.err
    assert f"{len(asked)} of {len(asked)} v2-" in printed.err
    content = from_dict(read_json(Path("out/calibration.json")))
    assert content.made.fingerprint == "made up"
    assert content.made.recipes["full"]["epochs"] == 1
    assert list(content.sets) == ["stratified"]
    shipped = len(known_trainings().examples["short"])
    assert content.fits["short"].networks in (shipped, shipped + 4), "what ships speaks for the fit too"
    kept = newest(engine_of(STORAGE), "made up", RECIPES["short"].to_dict())
    assert kept is not None
    assert repr(kept) == repr(content)

    first = len(asked)
    assert main(line) == 0
    assert len(asked) == first
    again = capsys.readouterr()
    assert again.out == printed.out
    assert f"{first} of {first} trainings are in the ledger" in again.err

    assert main([*line, "--seeds", "2"]) == 0
    assert {seed for _, method, seed in asked[first:]} == {1}
    assert {method["name"] for _, method, _ in asked[first:]} == {"full"}


def test_a_training_that_fails_is_told_with_its_cause_and_costs_one_network(
    line: list[str], capsys: Captured, answered_by: Callable[..., None]
) -> None:
    settings = calibration_settings(*line)
    unlucky = draw(settings).architectures["stratified"][0].key()

    def answer(architecture: Architecture, method: dict[str, Any], seed: int) -> Any:
        if architecture.key() == unlucky and method["name"] == "full":
            return Failure("TrainingError: the training loss is nan in epoch 1 of 1")
        return made_up(architecture, method, seed)

    answered_by(answer)
    assert main([*line, "--architectures", "5"]) == 0
    printed = capsys.readouterr()
    cause = f"v2-{unlucky[:8]} full seed 0: TrainingError: the training loss is nan in epoch 1 of 1"
    assert f"failed: {cause}" in printed.out
    assert printed.err.count("failed: TrainingError: the training loss is nan") == 1
    content = from_dict(read_json(Path("out/calibration.json")))
    assert content.made.failures == (cause,)
    assert [each.architecture.key() for each in content.networks if not each.accuracies] == [unlucky]
    assert content.row("flops").rankings["stratified"].architectures == 4

    answered_by(made_up)
    assert main([*line, "--architectures", "5"]) == 0
    assert "failed" not in capsys.readouterr().out, "what failed is tried again"


def test_too_few_full_trainings_are_said_so_and_are_no_calibration(
    line: list[str], capsys: Captured, answered_by: Callable[..., None]
) -> None:
    answered_by(lambda a, method, seed: Failure("no") if method["name"] == "full" else made_up(a, method, seed))
    assert main(line) == 1
    printed = capsys.readouterr()
    assert "Too few architectures were fully trained to rank by." in printed.out
    assert Path("out/calibration.html").exists()
    assert newest(engine_of(STORAGE), "made up", RECIPES["short"].to_dict()) is None


def test_where_nothing_can_be_trained_the_cause_is_told(
    line: list[str], capsys: Captured, answered_by: Callable[..., None]
) -> None:
    answered_by(lambda *_: Failure("no memory"))
    assert main(line) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no memory (--debug shows where)" in printed.err.splitlines()[-1]


def test_ctrl_c_ends_with_a_line_that_says_how_to_go_on(
    line: list[str], capsys: Captured, answered_by: Callable[..., None]
) -> None:
    asked: list[Any] = []
    answer = interrupted(made_up, 4, asked)
    answered_by(answer)
    assert main(line) == 130
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last == "python -m nas.calibrate: stopped; what was trained is kept, and the same line goes on"
    assert len(answers_kept()) == 3
    assert main(line) == 0
    assert "3 of " in capsys.readouterr().err


# In real worker processes


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_one_network(
    line: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch, answered_by: Callable[..., None]
) -> None:
    deadly = draw(calibration_settings(*line)).architectures["stratified"][0].key()
    monkeypatch.setenv("DEADLY", deadly)
    monkeypatch.setattr(
        calibrate_module, "LocalWorkers", partial(LocalWorkers, evaluator="processes.evaluators:Calibrator")
    )
    assert main([*line, "--architectures", "5"]) == 0
    assert f"failed: v2-{deadly[:8]} full seed 0: the worker process died with exit code -9" in capsys.readouterr().out
    content = from_dict(read_json(Path("out/calibration.json")))
    assert [each.architecture.key() for each in content.networks if not each.accuracies] == [deadly]


@pytest.mark.slow
def test_killed_in_the_midst_it_goes_on_with_the_rest_and_then_trains_nothing(
    command: Callable[..., list[str]], line: list[str]
) -> None:
    process = subprocess.Popen(command("nas.calibrate", *line), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(answers_kept()) < 3:
        assert process.poll() is None, "it ended before it had trained anything"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = answers_kept()

    finished = go_on(command("nas.calibrate", *line))
    assert finished.returncode == 0, finished.stderr
    after = answers_kept()
    assert after[: len(before)] == before
    assert len(set(after)) == len(after)
    assert f"{len(before)} of {len(after)} trainings are in the ledger" in finished.stderr
    assert finished.stderr.count(" s\n") == len(after) - len(before)
    assert Counter(name for name, _, _ in after)["full"] == 4
    for name in ("flops", "naswot", "prediction  short", "pooled      short"):
        assert any(row.strip().startswith(name) for row in finished.stdout.splitlines()), name

    again = go_on(command("nas.calibrate", *line))
    assert again.returncode == 0, again.stderr
    assert answers_kept() == after
    assert f"{len(after)} of {len(after)} trainings are in the ledger" in again.stderr
    assert again.stdout == finished.stdout


def go_on(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS)


@pytest.mark.slow
def test_a_signal_to_end_reaches_the_command_in_the_midst_of_a_training(
    command: Callable[..., list[str]], line: list[str]
) -> None:
    process = subprocess.Popen(
        command("nas.calibrate", *line),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore Ctrl-C
    )
    while not answers_kept():
        assert process.poll() is None, "it ended before it had trained anything"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, text = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, printed) == (130, "")
    assert "Traceback" not in text
    assert text.splitlines()[-1].endswith("stopped; what was trained is kept, and the same line goes on")


@pytest.mark.slow
def test_a_real_evaluator_scores_networks_as_they_are_and_trains_by_the_recipe(line: list[str]) -> None:
    from nas.workers.evaluator import Evaluator

    settings = calibration_settings(*line)
    architecture = draw(settings).architectures["stratified"][0]
    evaluator = Evaluator(settings.setup, Path())
    assert len(evaluator.data_fingerprint()) == 16
    assert json.loads(json.dumps(evaluator.made_by()))["versions"].keys() >= {"torch", "python"}
    short = replace(RECIPES["short"], epochs=1, max_images=32)
    trained = evaluator.answer(architecture, short.to_dict(), 0)
    assert (trained["image_size"], trained["num_classes"], trained["seed"]) == (16, 2, 0)
    method = {"name": "zero-cost", "images": 64, "image_scale": 0.5}
    scored = evaluator.answer(architecture, method, 0)
    assert set(scored["scores"]) == set(scored["score_seconds"]) == set(AT_INITIALISATION)
    assert scored["seconds"] >= sum(scored["score_seconds"].values()) > 0
    assert evaluator.answer(architecture, method, 0)["scores"] == scored["scores"]
    assert evaluator.answer(architecture, method, 1)["scores"] != scored["scores"]


# Mistakes


MISTAKES: dict[str, tuple[tuple[str, ...], str]] = {
    "too few architectures": (("--architectures", "3"), "--architectures must be at least 4, got 3"),
    "fewer records than architectures": (
        ("--records", "4", "--architectures", "5"),
        "--records must be at least --architectures = 5, got 4",
    ),
    "too few of one cost": (("--equal", "3"), "--equal must be 0 or at least 4, got 3"),
    "one cost twice": (("--equal", "4", "--at-equal-flops"), "leave out --equal 4"),
    "no seeds": (("--seeds", "0"), "--seeds must be at least 1, got 0"),
    "no epochs": (("--epochs", "0"), "--epochs must be at least 1, got 0"),
    "an unknown recipe": (("--recipe", "magic"), "--recipe must be one of short, "),
    "an unknown proxy": (("--proxies", "short,magic"), "--proxies must name recipes among short, "),
    "no proxy": (("--proxies", ""), "--proxies must name recipes among"),
    "a proxy twice": (("--proxies", "short,long,short"), "--proxies must not repeat a recipe, got 'short,long,short'"),
    "a proxy of itself": (("--recipe", "short"), "--proxies must not name what they are held against, --recipe short"),
    "a latency": (
        ("--budget", "0.4mflops,5ms"),
        "measures no latency: give FLOPs or parameters, got --budget 0.4mflops",
    ),
    "a budget out of reach": (("--budget", "1gflops"), "out of this space's reach"),
    "an unknown device": (("--device", "tpu"), "--device must be one of cpu, cuda, got 'tpu'"),
    "unknown data": (("--data", "imagenet-99"), "imagenet-99"),
    "a storage that is none": (("--storage", "nonsense"), "a storage is the URL of a database"),
    "an unknown flag": (("--nonsense",), "--nonsense"),
    "an output under a file": (("--out", "/dev/null/out"), "the output folder must be one that can be written"),
    "a storage under a file": (("--storage", "sqlite:////dev/null/x.db"), "must be one that can be written"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(case: str, line: list[str], capsys: Captured) -> None:
    flags, words = MISTAKES[case]
    try:
        status: Any = main([*line, *flags])
    except SystemExit as ended:
        status = ended.code
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1), printed.err
    assert printed.err.startswith("python -m nas.calibrate: ")
    assert words in printed.err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["--records", "1"], 2)])
def test_help_and_mistakes_need_neither_torch_nor_scikit_learn(arguments: list[str], status: int) -> None:
    code = (
        "import sys; from nas.calibrate.__main__ import main\n"
        f"try:\n    status = main({arguments})\n"
        "except SystemExit as ended:\n    status = ended.code\n"
        "print('status', status, [name for name in ('torch', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"status {status} []"


def test_workers_are_made_of_what_an_evaluator_needs_to_know(line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr(
        calibrate_module, "LocalWorkers", lambda *arguments: made.append(arguments) or FakeWorkers(made_up)
    )
    before = signal.getsignal(signal.SIGTERM)
    assert main(line) == 0
    signal.signal(signal.SIGTERM, before)
    assert made == [(calibration_settings(*line).setup,)]
    assert LocalWorkers.__init__.__defaults__ == ("nas.workers.evaluator:Evaluator",)
