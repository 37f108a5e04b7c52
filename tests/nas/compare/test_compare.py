"""`nas.compare`: what is asked and what not again, what a failure costs, and a real comparison, killed once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from builders.fronts import FRONT, kept_study
from builders.places import ROOT, WAIT_SECONDS, read_json
from builders.workers import FakeWorkers

import nas.compare.run as compare_module
from nas.cli.architectures import named_network
from nas.compare.__main__ import main, make_parser
from nas.compare.settings import CompareSettings, settings_of
from nas.workers.protocol import Failure
from proxies.data.source import DataSource
from proxies.training.recipes import RECIPES
from search_space import PRESETS, Architecture, cost_of
from search_space.errors import InputError
from search_space.hand_designed import HandDesigned
from search_space.task import Task
from studies.facts import LatencyFacts
from studies.ledger.entries import Entries, Filters
from studies.ledger.trainings import Evaluations, Question
from studies.storage.database import engine_of

Captured = pytest.CaptureFixture[str]
Call = tuple[str, tuple[Any, ...]]
STORAGE = "sqlite:///ledger/compared.db"


class AskedWorker:
    """Answers in this process, and notes what it is asked."""

    def __init__(self, calls: list[Call], answers: Mapping[str, Callable[..., Any]]) -> None:
        self._calls, self._answers = calls, answers

    def send(self, method: str, *arguments: Any) -> None:
        self._calls.append((method, arguments))
        self._result = self._answers[method](*arguments)

    def receive(self) -> Any:
        return self._result

    def call(self, method: str, *arguments: Any) -> Any:
        self.send(method, *arguments)
        return self.receive()


class AskedWorkers(FakeWorkers):
    """Two of them, one of which at a time is ready."""

    def __init__(self, calls: list[Call], answers: Mapping[str, Callable[..., Any]]) -> None:
        self.all: list[Any] = [AskedWorker(calls, answers) for _ in range(2)]


def latency(network: Architecture | HandDesigned, anchor_ms: float | None) -> LatencyFacts:
    """A latency such as a worker's: twice the anchor's for every network but the anchor."""
    ratio = 1.0 if network == PRESETS["v2-1.0x"] else 2.0
    reference_ms = anchor_ms or 4.0
    how = {"runtime": "onnxruntime", "runtime_version": "1", "precision": "float32", "fingerprint": "here"}
    numbers = {
        "batch_size": 1,
        "resolution": 224,
        "spread": 0.01,
        "noisy": False,
        "taken_at": time.time(),
        "seconds": 1.0,
    }
    times = {"latency_ms": ratio * reference_ms, "reference_ms": reference_ms, "ratio": ratio}
    return LatencyFacts({**times, **how, **numbers})


def training(
    network: Architecture | HandDesigned, method: dict[str, Any], seed: int, in_int8: bool = False
) -> dict[str, Any]:
    """A training such as a worker's; in 8 bits 2 points are lost."""
    accuracy = 0.5 + 0.01 * (len(network.key()) % 7) + 0.001 * seed
    curves = {"training_losses": [1.0], "validation_losses": [1.0], "validation_accuracies": [accuracy]}
    facts = {"images": 1000, "lost": 20, "gained": 0, "calibration_images": 256, "runtime_version": "1.32"}
    int8 = {"int8": {**facts, "accuracy": accuracy - 0.02}} if in_int8 else {}
    return {**curves, **int8, "num_classes": 2, "seconds": 2.0}


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """What workers were asked, none of which is real; in an empty folder."""
    asked: list[Call] = []
    answers: dict[str, Callable[..., Any]] = {
        "where": lambda: {"data": "made up", "image_size": 16, "fingerprint": "here", "runtime_version": "1"},
        "data_notes": tuple,
        "made_by": lambda: {"host": "here"},
        "count": lambda network: (40_000_000 if isinstance(network, Architecture) else 50_000_000, 10**6),
        "measure": latency,
        "answer": training,
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare_module, "LocalWorkers", lambda *_: AskedWorkers(asked, answers))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    return asked


def compare_settings(*flags: str) -> CompareSettings:
    return settings_of(make_parser().parse_args(flags))


def asked_of(calls: list[Call], method: str) -> Counter[str]:
    return Counter(arguments[0].key() for name, arguments in calls if name == method)


# What is asked


def test_every_network_is_timed_once_and_trained_once_a_seed(calls: list[Call], capsys: Captured) -> None:
    line = ["v2-0.5x", "mobilenet-v2", "v2-1.0x", "--seeds", "3", "--storage", STORAGE]
    assert main(line) == 0
    keys = {PRESETS["v2-0.5x"].key(), "mobilenet-v2", PRESETS["v2-1.0x"].key()}
    assert asked_of(calls, "measure") == dict.fromkeys(keys, 1)
    assert asked_of(calls, "answer") == dict.fromkeys(keys, 3)
    first = capsys.readouterr().out
    calls.clear()
    assert main(line) == 0
    assert not asked_of(calls, "measure") + asked_of(calls, "answer")
    assert capsys.readouterr().out == first
    assert main([*line[:-4], "vgg-like@13mflops", "--seeds", "4", *line[-2:]]) == 0
    assert asked_of(calls, "measure") == {"vgg-like@13mflops": 1}
    assert asked_of(calls, "answer") == {**dict.fromkeys(keys, 1), "vgg-like@13mflops": 4}


def test_an_architecture_that_a_search_has_trained_and_timed_is_not_done_again(calls: list[Call]) -> None:
    known = PRESETS["v1-0.5x-g3"]
    Path("ledger").mkdir()
    question = Question(known, RECIPES["short"].to_dict(), "made up", 0, "cpu")
    Evaluations(engine_of(STORAGE)).add(question, training(known, {}, 0), {"host": "there"}, time.time())
    assert main(["v1-0.5x-g3", "v2-0.5x", "--storage", STORAGE]) == 0
    assert asked_of(calls, "answer") == {PRESETS["v2-0.5x"].key(): 1}


def test_the_ledger_lists_hand_designed_networks_by_name(calls: list[Call]) -> None:
    assert main(["mobilenet-v2", "v2-0.5x", "--storage", STORAGE]) == 0
    entries = list(Entries(engine_of(STORAGE)).all(Filters(network="mobilenet-v2")))
    assert sorted(entry.kind for entry in entries) == ["latency", "training"]
    assert {entry.network for entry in entries} == {"mobilenet-v2"}


def test_in_int8_each_network_is_quantised_and_both_accuracies_are_shown(calls: list[Call], capsys: Captured) -> None:
    line = ["mobilenet-v2", "--storage", STORAGE, "--out", "out"]
    assert main(line) == 0
    assert "int8" not in capsys.readouterr().out
    calls.clear()
    assert main([*line, "--precision", "int8"]) == 0
    assert [arguments[3:] for name, arguments in calls if name == "answer"] == [(True,)], (
        "trained anew, to be quantised"
    )
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "name family MFLOPs M params latency ms int8 % fp32 % lost note" in lines
    # The key has 12 letters: 50 + 12 % 7 %. Of 1,000 images 20 are lost: 2.0 points, and the root of 0.0196 / 1000.
    row = next(line for line in lines if line.startswith("mobilenet-v2 "))
    assert row.endswith("53.0 55.0 2.0 ±0.4 front, loses much in int8")
    (network,) = read_json(Path("out/compare.json"))["networks"]
    assert (network["accuracy"], network["fp32_accuracy"]) == (pytest.approx(0.53), pytest.approx(0.55))
    assert (network["lost_in_int8"], network["int8"]["0"]["lost"]) == (pytest.approx(0.02), 20)
    assert "fp32 %" in Path("out/compare.html").read_text(encoding="utf-8")
    calls.clear()
    assert main([*line, "--precision", "int8"]) == 0
    assert not asked_of(calls, "answer")


def test_what_costs_more_than_the_budget_is_left_out(calls: list[Call], capsys: Captured) -> None:
    assert main(["v2-0.5x", "mobilenet-v2", "--budget", "45mflops", "--storage", STORAGE]) == 0
    assert asked_of(calls, "answer") == {PRESETS["v2-0.5x"].key(): 1}
    assert main(["mobilenet-v2", "--budget", "45mflops", "--storage", STORAGE]) == 2
    assert "something must be left to compare within --budget 45mflops: the least has 50.0" in capsys.readouterr().err


def test_a_failure_costs_its_network_alone(
    calls: list[Call], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = "v2-0.5x+residual"
    key = named_network(changed).network.key()
    fails = {key: "answer", "squeezenet-1.1": "measure"}
    plain = AskedWorker.send

    def send(self: AskedWorker, method: str, *arguments: Any) -> None:
        plain(self, method, *arguments)
        if arguments and fails.get(arguments[0].key()) == method:
            self._result = Failure("TrainingError: it went wrong")

    monkeypatch.setattr(AskedWorker, "send", send)
    assert main([changed, "squeezenet-1.1", "v2-0.5x", "--storage", STORAGE]) == 0
    data = {each["name"]: each for each in read_json(Path("runs/compare/compare.json"))["networks"]}
    assert data[changed]["accuracy"] is None
    assert data[changed]["failures"] == [f"{changed} short seed 0: TrainingError: it went wrong"]
    assert data["squeezenet-1.1"]["latency"] is None
    assert data["squeezenet-1.1"]["failures"] == ["squeezenet-1.1 timed: TrainingError: it went wrong"]
    assert not data["v2-0.5x"]["failures"]
    assert "failed: squeezenet-1.1 timed: TrainingError: it went wrong" in capsys.readouterr().out


# The settings


def test_nothing_named_means_the_first_set() -> None:
    assert len(compare_settings().networks) == 19
    assert [each.name for each in compare_settings("v2-1.0x").networks] == ["v2-1.0x"]
    both = compare_settings("mobilenet-v2", "--set", "v1-2").networks
    assert (len(both), both[0].name) == (16, "mobilenet-v2")


def test_a_network_of_two_names_is_compared_once() -> None:
    assert [each.name for each in compare_settings("v2-0.5x+se", "v2-se-0.5x").networks] == ["v2-0.5x+se"]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (("--recipe", "deep"), "--recipe must be one of short, long, full, got 'deep'"),
        (("--seeds", "0"), "--seeds must be at least 1, got 0"),
        (("--budget", "5ms"), "left out by FLOPs or parameters, before they are timed; got --budget 5ms"),
        (("--pick", "best"), "--pick takes a network of a study's front, so it needs --study"),
        (("--study", "none"), "say which study with --study or --storage"),
        (("--data", "mnist-1d"), "mnist-1d"),
    ],
)
def test_flags_that_cannot_be_used_are_told(
    flags: tuple[str, ...], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=text):
        compare_settings(*flags)
    assert not list(tmp_path.iterdir())


def test_a_studys_front_is_compared_on_its_data_by_its_recipe_unless_told(tmp_path: Path) -> None:
    of_study = {"data": "cifar10", "image_size": 24, "resolution": 160, "classes": 12, "seed": 5}
    url = kept_study(tmp_path, {**of_study, "recipe": RECIPES["long"].to_dict(), "runtime": "onnxruntime"})
    found = compare_settings("mobilenet-v2", "--study", "one", "--storage", url)
    assert [each.name for each in found.networks] == [*(record.name for record in FRONT), "mobilenet-v2"]
    assert (found.data, found.task) == (DataSource("cifar10", image_size=24), Task(160, 12))
    assert (found.recipe, found.seeds, found.storage) == (RECIPES["long"], (5,), url)
    text = compare_settings("--study", "one", "--storage", url, "--pick", "best", "--recipe", "short", "--seed", "1")
    assert (text.networks[0].name, text.recipe, text.seeds) == (FRONT[-1].name, RECIPES["short"], (1,))


def test_a_study_of_backbones_is_refused(tmp_path: Path) -> None:
    url = kept_study(tmp_path, {"data": "cifar10", "classes": 0})
    with pytest.raises(InputError, match="classifiers are compared, and the study 'one' is of backbones"):
        compare_settings("--study", "one", "--storage", url)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    files = []
    for number, name in enumerate(("v2-0.5x", "v2-1.0x")):
        (tmp_path / str(number)).mkdir()
        files.append(tmp_path / str(number) / "net.json")
        files[-1].write_text(json.dumps(PRESETS[name].to_dict()))
    with pytest.raises(InputError, match="two are called 'net': rename a file"):
        compare_settings(*map(str, files))


def test_the_parser_needs_no_torch() -> None:
    code = "import sys; from nas.compare.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit(bool({'torch', 'torchvision', 'onnxruntime'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode == 0
    )


# For real


@pytest.mark.slow
def test_a_real_comparison_goes_on_where_it_was_killed(
    images: Path, tmp_path: Path, briefly: Callable[..., list[str]]
) -> None:
    smallest = ("--resolution", "32", "--classes", "2", "--epochs", "1", "--workers", "1", "--storage", STORAGE)
    both = {"v2-1.0x": PRESETS["v2-1.0x"].key(), "vgg-like@5mflops": "vgg-like@5mflops"}
    line = briefly("nas.compare", *both, "--data", f"folder:{images}", *smallest)
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    for text in process.stderr:
        if text.startswith("timed 1 of 1 vgg-like@5mflops"):  # the other one is the anchor, timed before all
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait(WAIT_SECONDS)
    process.stderr.close()
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 latencies are in the ledger" in done.stderr
    entries = list(Entries(engine_of(f"sqlite:///{tmp_path}/ledger/compared.db")).all(Filters()))
    done_once = {(kind, key): 1 for kind in ("training", "latency") for key in both.values()}
    assert Counter((entry.kind, entry.network) for entry in entries) == done_once
    data = {each["name"]: each for each in read_json(tmp_path / "runs/compare/compare.json")["networks"]}
    assert data["v2-1.0x"]["macs"] == cost_of(PRESETS["v2-1.0x"], 32, 2).macs
    assert all(each["latency"]["latency_ms"] > 0 and 0 <= each["accuracy"] <= 1 for each in data.values())
    assert "Fastest first" in (tmp_path / "runs/compare/compare.html").read_text(encoding="utf-8")
