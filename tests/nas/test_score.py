"""`nas.score`: what it prints and writes, that it trains nothing twice, and mistakes in one line."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders.places import read_json
from builders.workers import FakeWorkers

import nas.score.run as score_module
from nas.score.__main__ import main
from nas.score.run import NetworkScore, render_scores
from nas.search.accuracy import Accuracy
from search_space import PRESETS, Architecture
from studies.calibration.known_trainings import shipped_fit

Captured = pytest.CaptureFixture[str]
FIT = shipped_fit("short")
UNKNOWN, KNOWN = Accuracy(FIT, "unknown"), Accuracy(replace(FIT, level=1.0, is_level_known=True), "known")
STORAGE = "sqlite:///ledger/scores.db"


def score(name: str, prior: float, value: float, macs: int = 100) -> NetworkScore:
    return NetworkScore(name, "key", macs * 1_000_000, prior, 0.33, value, 0.012)


def cells_of(text: str) -> dict[str, list[str]]:
    """The cells of each line by what it begins with."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """Two files of architectures that are trained in a second."""
    paths = []
    for name, width in (("small", 16), ("large", 32)):
        stage = {"depth": 1, "groups": 1, "split": "1/2", "kernel": 3, "se": False}
        path = tmp_path / f"{name}.json"
        rows = [{**stage, "width": width * 2**place} for place in range(3)]
        content = {"schema": 1, "unit": "v2", "stem": 8, "head": 0, "stages": rows}
        path.write_text(json.dumps(content))
        paths.append(str(path))
    return paths


@pytest.fixture
def line(tiny: list[str], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The arguments that score both, to be run in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    before = signal.getsignal(signal.SIGTERM)
    yield [*tiny, "--data", f"folder:{images}", "--image-size", "16", "--workers", "1", "--storage", STORAGE]
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """All that workers are asked, who answer at once."""
    questions: list[Any] = []

    def answer(architecture: Architecture, method: dict[str, Any], seed: int) -> dict[str, Any]:
        questions.append((architecture, method["name"], seed))
        losses = {"training_losses": [0.6] * method["epochs"], "validation_losses": [0.5]}
        return {**losses, "validation_accuracies": [0.75], "num_classes": 2, "seconds": 1.0}

    monkeypatch.setattr(score_module, "LocalWorkers", lambda *_: FakeWorkers(answer))
    return questions


def test_scores_are_written_in_shares_of_one_and_nothing_is_trained_twice(
    line: list[str], asked: list[Any], capsys: Captured
) -> None:
    assert main([*line, "--json", "out/scores.json"]) == 0
    first = capsys.readouterr()
    assert [(name, seed) for _, name, seed in asked] == [("short", 0)] * 2
    content = read_json(Path("out/scores.json"))
    assert (content["recipe"], content["is_level_known"]) == ("short", False)
    assert [each["name"] for each in content["scores"]] == ["small", "large"]
    for each, (architecture, _, _) in zip(content["scores"], asked, strict=True):
        assert each["key"] == architecture.key()
        assert each["proxy_accuracy"] == 0.75
        assert all(0 < each[name] < 1 for name in ("prior", "score", "error"))
    assert first.out.splitlines()[-1] == "wrote out/scores.json"

    assert main(line) == 0
    assert len(asked) == 2
    second = capsys.readouterr()
    assert "2 of 2 trainings are in the ledger" in second.err
    assert second.out.splitlines() == first.out.splitlines()[:-1]


@pytest.mark.slow
def test_two_networks_are_really_trained(line: list[str], capsys: Captured) -> None:
    assert main(line) == 0
    assert {"small", "large"} <= set(capsys.readouterr().out.split())
    with closing(sqlite3.connect("ledger/scores.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM evaluations").fetchone() == (2,)


def test_without_a_known_level_points_are_counted_from_the_best_known_preset_and_no_percentage_is_shown() -> None:
    """71 - 70 and 64 - 61 points above V2 1.0x; the larger V2 2.0x is less well known."""
    scores = [score("v2-2.0x", 0.7, 0.75, 590), score("mine", 0.71, 0.64), score("v2-1.0x", 0.70, 0.61)]
    text = render_scores(scores, UNKNOWN)
    rows = cells_of(text)
    assert rows["mine"][1:] == ["+1.0", "33.0", "+3.0", "1.2"]
    assert rows["v2-1.0x"][1:] == ["+0.0", "33.0", "+0.0", "1.2"]
    assert "prior points" in text
    assert "score points" in text
    assert "Points are above v2-1.0x" in text
    assert not {"64.0", "61.0", "70.0", "71.0", "75.0"} & set(text.split())


def test_without_a_preset_points_are_counted_from_the_mean() -> None:
    text = render_scores([score("one", 0.6, 0.7), score("two", 0.5, 0.6)], UNKNOWN)
    assert [cells_of(text)[name][3] for name in ("one", "two")] == ["+5.0", "-5.0"]
    assert "above the mean of these networks" in text


def test_where_the_level_is_known_scores_are_percentages_and_the_best_stands_on_top() -> None:
    text = render_scores([score("one", 0.5, 0.6), score("two", 0.6, 0.7)], KNOWN)
    assert [(name, cells[3]) for name, cells in cells_of(text).items() if name in ("one", "two")] == [
        ("two", "70.0"),
        ("one", "60.0"),
    ]
    assert "score %" in text


def test_a_preset_and_a_file_are_scored_by_their_architectures(
    line: list[str], tmp_path: Path, asked: list[Any]
) -> None:
    assert main(["v2-0.5x", *line[1:]]) == 0
    assert asked[0][0] == PRESETS["v2-0.5x"]


def mistakes(tiny: list[str], tmp_path: Path) -> Iterator[tuple[list[str], str]]:
    broken = tmp_path / "broken.json"
    broken.write_text(Path(tiny[0]).read_text()[:-9])
    other = tmp_path / "other" / "small.json"
    other.parent.mkdir()
    other.write_text(Path(tiny[1]).read_text())
    newer = tmp_path / "newer.json"
    newer.write_text(Path(tiny[0]).read_text().replace('"schema": 1', '"schema": 9'))
    yield [str(broken)], f"{str(broken)!r} is not JSON"
    yield [tiny[0], str(other)], "two are called"
    yield ["v2-9x"], "a JSON file; got 'v2-9x'"
    yield [str(newer)], "schema must be 1, got 9"
    yield [tiny[0], "--recipe", "magic"], "magic"
    yield [tiny[0], "--data", "imagenet-99"], "imagenet-99"
    yield [tiny[0], "--storage", "nonsense"], "a storage is the URL of a database"


def test_a_mistake_is_one_line_and_writes_nothing(
    line: list[str], tiny: list[str], tmp_path: Path, capsys: Captured
) -> None:
    for arguments, words in mistakes(tiny, tmp_path):
        assert main(arguments) == 2, arguments
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1), printed.err
        assert printed.err.startswith("python -m nas.score: ")
        assert words in printed.err
        assert list(Path().iterdir()) == []
