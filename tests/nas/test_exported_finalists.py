"""`nas.export` of a study in int8: what is known of its finalists is named, in lines, in `front.json` and on cards."""

from pathlib import Path

import pytest
from builders.fronts import FRONT, RECORDS
from builders.places import read_json
from builders.records import enter

from nas.export import __main__ as export
from studies.facts import QuantisedFacts
from studies.finalists import Finalist, trials_of
from studies.storage.studies import keep_results, open_storage, open_study

Captured = pytest.CaptureFixture[str]
FACTS = {"images": 2000, "lost": 80, "gained": 20, "calibration_images": 256, "runtime_version": "1.32"}
URL = "sqlite:///study.db"


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finalist:
    """The fastest of a front, which is its only finalist: 83 % in fp32, 80 % in int8, by two seeds."""
    monkeypatch.chdir(tmp_path)
    record = FRONT[0]
    int8 = {seed: QuantisedFacts({**FACTS, "accuracy": 0.8}) for seed in (1, 2)}
    found = Finalist(record, {1: 0.8, 2: 0.8}, record.latency, fp32={1: 0.82, 2: 0.84}, int8=int8)
    storage = open_storage(URL)
    enter(open_study(storage, "one", {"precision": "int8"}, resume=False), *RECORDS)
    keep_results(storage, "one-finalists", {"recipe": {"name": "long"}}, trials_of([found], {"name": "long"}))
    storage.remove_session()
    storage.engine.dispose()
    return found


def test_both_accuracies_of_a_finalist_are_named(found: Finalist, capsys: Captured) -> None:
    assert export.main(["--study", "one", "--storage", URL, "--out", "out"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "as a finalist" in line]
    assert lines == [
        f"{found.record.name}, as a finalist: 80.0 % in int8, 83.0 % in fp32 of the validation images, 2 trainings by "
        "recipe long"
    ]
    (kept,) = read_json(Path("out/front.json"))["finalists"]
    assert (kept["accuracy"], kept["fp32_accuracy"]) == (pytest.approx(0.8), pytest.approx(0.83))


def test_the_card_of_random_weights_names_what_the_architecture_reached(found: Finalist) -> None:
    line = ["--study", "one", "--storage", URL, "--out", "out", "--pick", "fastest", "--untrained", "--format", "onnx"]
    assert export.main([*line, "--no-latency", "--resolution", "64", "--classes", "10"]) == 0
    (card,) = Path("out").glob("*.card.md")
    assert (
        "None: it is not trained. As a finalist of the study `one` this architecture reached 80.0 % in int8, 83.0 % in "
        "fp32: the mean of 2 trainings by recipe long, whose weights were not kept.\n\n## Files"
    ) in card.read_text(encoding="utf-8")
    finalist = read_json(card.with_suffix(".json"))["finalist"]
    assert (finalist["fp32_accuracy"], finalist["trainings"]) == (pytest.approx(0.83), 2)
