"""The files of a run, and its progress: complete, replaced whole, nothing stale."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from nas.accuracy import ACCURACY
from nas.outputs import (
    PROVENANCE,
    Analysis,
    Findings,
    accuracy_error_of,
    analysis_of,
    findings_of,
    told_of,
    write_all,
    write_architectures,
    write_front,
)
from nas.progress import SearchProgress
from nas.shufflenets import standing
from search_space import PRESETS, Architecture
from studies.record import Record, attributes_of
from studies.store import CAUSE, open_storage, open_study, references_of

SETTINGS = {"budget": "140mflops", "seed": 0}
PROVENANCE_FACTS = {"command": "python -m nas.run --budget 140mflops", "host": "here"}


def record(preset: str, accuracy: float, latency_ms: float, **changes: Any) -> Record:
    latency = {"spread": 0.012, "noisy": False, "seconds": 2.5, "runtime": "onnxruntime", "p10_ms": latency_ms}
    training = {"seconds": 80.0, "validation_accuracies": [0.3, accuracy], "device": "cpu"}
    counts = (144_907_992, 2_278_604, 4_000_000, 9_000_000)
    return Record(PRESETS[preset], *counts, accuracy, latency_ms, latency, training, "here", **changes)


# At 4 ms v2-star-0.5x is less accurate than what takes 2 ms: not on the front.
FAST, SLOW, BEATEN = (
    record("v2-0.5x", 0.6, 2.0, number=0),
    record("v1-1.0x-g3", 0.8, 8.0, number=2),
    record("v2-star-0.5x", 0.5, 4.0, number=1),
)
REFERENCES = [record("v2-1.0x", 0.7, 3.0, reference="v2-1.0x"), record("v1-2.0x-g8", 0.9, 9.0, reference="v1-2.0x-g8")]
FINDINGS = Findings(
    name="mine",
    front=[FAST, SLOW],
    records=[FAST, BEATEN, SLOW],
    references=REFERENCES,
    failures=[(3, "TrainingError: the loss is nan")],
    settings=SETTINGS,
    provenance=PROVENANCE_FACTS,
)


def front_of_file(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture
def study_and_references(tmp_path: Path) -> Iterator[Any]:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    study = open_study(storage, "mine", SETTINGS, resume=False)
    yield study, references_of(study, storage)
    storage.engine.dispose()


def tell(study: Any, kept: Record) -> None:
    trial = study.ask()
    for name, value in attributes_of(kept).items():
        trial.set_user_attr(name, value)
    study.tell(trial, [kept.accuracy, kept.latency_ms])


# front.json


def test_the_front_file_rebuilds_every_architecture(tmp_path: Path) -> None:
    content = front_of_file(write_front(FINDINGS, tmp_path / "front.json"))
    rebuilt = [Architecture.from_dict(row["architecture"]) for row in content["front"]]
    assert rebuilt == [PRESETS["v2-0.5x"], PRESETS["v1-1.0x-g3"]]
    rebuilt = [Architecture.from_dict(row["architecture"]) for row in content["references"]]
    assert rebuilt == [PRESETS["v2-1.0x"], PRESETS["v1-2.0x-g8"]]


def test_records_come_back_from_the_front_file(tmp_path: Path) -> None:
    content = front_of_file(write_front(FINDINGS, tmp_path / "front.json"))
    assert [Record.from_dict(row) for row in content["front"]] == [FAST, SLOW]
    assert [Record.from_dict(row) for row in content["references"]] == REFERENCES


def test_the_front_file_says_how_its_numbers_were_had(tmp_path: Path) -> None:
    content = front_of_file(write_front(FINDINGS, tmp_path / "front.json"))
    assert {name: content[name] for name in ("schema", "study", "settings", "provenance", "trials", "failures")} == {
        "schema": 1,
        "study": "mine",
        "settings": SETTINGS,
        "provenance": PROVENANCE_FACTS,
        "trials": 3,
        "failures": [{"number": 3, "cause": "TrainingError: the loss is nan"}],
    }
    assert "1 FLOP = 1 multiply-add" in content["flop"]
    assert content["front"][0]["key"] == PRESETS["v2-0.5x"].key()


def test_a_table_is_told_at_what_its_numbers_hold_as_far_as_is_known() -> None:
    assert told_of(FINDINGS) == []
    settings = {**SETTINGS, "resolution": 320, "classes": 0}
    known = replace(FINDINGS, settings=settings, provenance={"accuracy": "predicted"})
    first, second = told_of(known)
    assert first == (
        "FLOPs, parameters and latency: at 320 px, feature maps at strides 8, 16 and 32, without head and classifier"
    )
    assert second == "accuracy: predicted"


def test_each_network_of_the_front_names_the_reference_nearest_in_latency(tmp_path: Path) -> None:
    content = front_of_file(write_front(FINDINGS, tmp_path / "front.json"))
    # 2 ms is nearer to 3 ms than to 9 ms, 8 ms to 9 ms.
    assert [row["nearest_reference"] for row in content["front"]] == ["v2-1.0x", "v1-2.0x-g8"]
    content = front_of_file(write_front(replace(FINDINGS, references=[]), tmp_path / "front.json"))
    assert [row["nearest_reference"] for row in content["front"]] == [None, None]


# The folder


def test_all_that_a_run_leaves(tmp_path: Path) -> None:
    names = [FAST.name, SLOW.name]
    paths = write_all(FINDINGS, Analysis(), tmp_path)
    assert paths == [tmp_path / "front.json", tmp_path / "report.html", tmp_path / "front"]
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"front.json", "report.html", *(f"front/{name}.json" for name in names)}
    assert front_of_file(tmp_path / "front.json")["study"] == "mine"
    assert "mine" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_run_without_a_network_leaves_an_empty_front(tmp_path: Path) -> None:
    write_all(Findings("mine", [], [], [], [], {}, {}), Analysis(), tmp_path)
    content = front_of_file(tmp_path / "front.json")
    assert (content["front"], content["references"], content["trials"]) == ([], [], 0)
    assert list((tmp_path / "front").iterdir()) == []


def test_an_architectures_file_is_what_the_cost_command_reads(tmp_path: Path) -> None:
    (path,) = write_architectures([SLOW], tmp_path)
    assert path == tmp_path / f"v1-{PRESETS['v1-1.0x-g3'].key()[:8]}.json"
    assert Architecture.from_dict(json.loads(path.read_text())) == PRESETS["v1-1.0x-g3"]


def test_networks_that_left_the_front_leave_the_folder(tmp_path: Path) -> None:
    write_all(replace(FINDINGS, front=[FAST, BEATEN, SLOW]), Analysis(), tmp_path)
    assert len(list((tmp_path / "front").iterdir())) == 3
    write_all(FINDINGS, Analysis(), tmp_path)
    assert {path.stem for path in (tmp_path / "front").iterdir()} == {FAST.name, SLOW.name}


def test_files_of_the_users_stay(tmp_path: Path) -> None:
    for name in ("notes.json", "v2-mine.json", "v1-1.0x-g3.json"):
        (tmp_path / name).write_text("{}")
    write_architectures([FAST], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "notes.json",
        "v2-mine.json",
        "v1-1.0x-g3.json",
        f"{FAST.name}.json",
    }


def test_a_file_that_cannot_be_finished_leaves_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_front(FINDINGS, tmp_path / "front.json")
    whole = path.read_text()
    write_text: Callable[..., int] = Path.write_text

    def full_disk(self: Path, text: str, **options: Any) -> int:
        write_text(self, text[:10], **options)
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_front(replace(FINDINGS, name="other"), path)
    assert path.read_text() == whole


# What is read from a study


def test_findings_are_what_the_study_and_its_references_hold(study_and_references: Any) -> None:
    study, references = study_and_references
    for kept in (FAST, BEATEN, SLOW):
        tell(study, kept)
    failed = study.ask()
    failed.set_user_attr(CAUSE, "TrainingError: the loss is nan")
    study.tell(failed, state=TrialState.FAIL)
    study.set_user_attr(PROVENANCE, PROVENANCE_FACTS)
    for kept in REFERENCES:
        tell(references, kept)
    assert findings_of(study, references) == replace(
        FINDINGS, references=[replace(kept, number=number) for number, kept in enumerate(REFERENCES)]
    )


def test_a_study_of_nothing_has_empty_findings(study_and_references: Any) -> None:
    assert findings_of(*study_and_references) == Findings("mine", [], [], [], [], SETTINGS, {})


def test_how_far_accuracies_are_off_is_what_the_studys_fit_was_off(study_and_references: Any) -> None:
    study, _ = study_and_references
    assert accuracy_error_of(study) is None
    study.set_user_attr(ACCURACY, {"fit": None, "told": "the recipe's own"})
    assert accuracy_error_of(study) is None
    study.set_user_attr(ACCURACY, {"fit": {"error": 0.014}, "told": "by a fit"})
    assert analysis_of(study, None).accuracy_error == accuracy_error_of(study) == 0.014


# Progress


def test_progress_goes_to_stderr_as_it_is(study_and_references: Any, capsys: pytest.CaptureFixture[str]) -> None:
    line = "trial 0 v2-abc [red]: 140.0 MFLOPs, /a/path"
    with SearchProgress(study_and_references[0], trials=5, seconds=60.0, standing=standing) as progress:
        progress.report(line)
        progress.report("")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[0].startswith(f"{line} | 0 of 5 trials")


def test_progress_says_how_far_the_study_is(study_and_references: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study, _ = study_and_references
    for kept in (FAST, BEATEN, SLOW):
        tell(study, kept)
    with SearchProgress(study, trials=5, seconds=3600.0, standing=standing) as progress:
        progress.report("news")
    assert re.search(r"3 of 5 trials, front 2, best 80\.0 % in 8\.00 ms, \d+:\d\d left", capsys.readouterr().err)


def test_progress_of_a_study_of_nothing_names_no_best(
    study_and_references: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with SearchProgress(study_and_references[0], trials=None, seconds=3600.0, standing=standing) as progress:
        progress.report("news")
    assert re.search(r"0 trials, front 0, no front yet, \d+:\d\d left", capsys.readouterr().err)
