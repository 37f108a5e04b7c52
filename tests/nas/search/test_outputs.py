"""The files of a run, and its progress: complete, replaced whole, nothing stale."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from builders.measurements import latency
from builders.records import enter, record
from optuna.trial import TrialState
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from nas.cli.folders import NOTE, OwnFiles
from nas.search.outputs import (
    PROVENANCE,
    Analysis,
    Findings,
    findings_of,
    fp32_beside,
    summary_lines,
    write_all,
    write_architectures,
    write_front,
)
from nas.search.progress import SearchProgress
from nas.search.shufflenet_problem import _line, standing
from search_space import PRESETS, Architecture
from search_space.task import Task
from studies.accuracy_scale import ACCURACY, AccuracyScale
from studies.display import MemoryColumns, render_table
from studies.facts import LatencyFacts, QuantisedFacts
from studies.finalists import Finalist, render_finalists
from studies.ledger.latencies import Ledger, Measured
from studies.record import Record
from studies.storage.studies import CAUSE, open_storage, open_study, references_of

SETTINGS = {"budget": "140mflops", "seed": 0}
PROVENANCE_FACTS = {"command": "python -m nas.run --budget 140mflops", "host": "here"}


# At 4 ms v2-star-0.5x is less accurate than what takes 2 ms: not on the front.
FAST, SLOW, BEATEN = (
    record("v2-0.5x", 0.6, 2.0, number=0),
    record("v1-1.0x-g3", 0.8, 8.0, number=2),
    record("v2-star-0.5x", 0.5, 4.0, number=1),
)
REFERENCES = [record("v2-1.0x", 0.7, 3.0, reference="v2-1.0x"), record("v1-2.0x-g8", 0.9, 9.0, reference="v1-2.0x-g8")]
OWN = partial(OwnFiles, owner="the study 'mine'")
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
    assert summary_lines(FINDINGS) == []
    settings = {**SETTINGS, "resolution": 320, "classes": 0}
    known = replace(FINDINGS, settings=settings, provenance={"accuracy": "predicted"})
    first, second = summary_lines(known)
    assert first == (
        "FLOPs, parameters and latency: at 320 px, feature maps at strides 8, 16 and 32, without head and classifier"
    )
    assert second == "accuracy: predicted"


def test_memory_of_the_front_stands_beside_a_budget_that_bounds_it(tmp_path: Path) -> None:
    settings = {"budget": "600mflops,2mib-ram,8mib-flash@int8", "resolution": 224, "classes": 1000}
    known = replace(FINDINGS, settings=settings)
    *_, line = summary_lines(known)
    assert line.startswith("RAM is the most bytes of activations")
    assert known.memory == MemoryColumns("int8", Task(224, 1000))
    assert FINDINGS.memory is None
    for row in front_of_file(write_front(known, tmp_path / "front.json"))["front"]:
        # The image and the stem's map, 24 x 112^2: 441 KiB at int8.
        assert row["memory"]["fp32"]["ram_bytes"] == 4 * row["memory"]["int8"]["ram_bytes"] >= 4 * 451_584
    assert "memory" not in front_of_file(write_front(FINDINGS, tmp_path / "front.json"))["front"][0]


def test_each_network_of_the_front_names_the_reference_nearest_in_latency(tmp_path: Path) -> None:
    content = front_of_file(write_front(FINDINGS, tmp_path / "front.json"))
    # 2 ms is nearer to 3 ms than to 9 ms, 8 ms to 9 ms.
    assert [row["nearest_reference"] for row in content["front"]] == ["v2-1.0x", "v1-2.0x-g8"]
    content = front_of_file(write_front(replace(FINDINGS, references=[]), tmp_path / "front.json"))
    assert [row["nearest_reference"] for row in content["front"]] == [None, None]


# The folder


def test_all_that_a_run_leaves(tmp_path: Path) -> None:
    names = [FAST.name, SLOW.name]
    paths = write_all(FINDINGS, Analysis(), OWN(tmp_path))
    assert paths == [tmp_path / "front.json", tmp_path / "report.html", tmp_path / "front"]
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {NOTE, "front.json", "report.html", *(f"front/{name}.json" for name in names)}
    assert front_of_file(tmp_path / "front.json")["study"] == "mine"
    assert "mine" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_run_without_a_network_leaves_an_empty_front(tmp_path: Path) -> None:
    write_all(Findings("mine", [], [], [], [], {}, {}), Analysis(), OWN(tmp_path))
    content = front_of_file(tmp_path / "front.json")
    assert (content["front"], content["references"], content["trials"]) == ([], [], 0)
    assert list((tmp_path / "front").iterdir()) == []


def test_an_architectures_file_is_what_the_cost_command_reads(tmp_path: Path) -> None:
    (path,) = write_architectures([SLOW], tmp_path)
    assert path == tmp_path / f"v1-{PRESETS['v1-1.0x-g3'].key()[:8]}.json"
    assert Architecture.from_dict(json.loads(path.read_text())) == PRESETS["v1-1.0x-g3"]


def test_networks_that_left_the_front_leave_the_folder(tmp_path: Path) -> None:
    write_all(replace(FINDINGS, front=[FAST, BEATEN, SLOW]), Analysis(), OWN(tmp_path))
    assert len(list((tmp_path / "front").iterdir())) == 3
    write_all(FINDINGS, Analysis(), OWN(tmp_path))
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
    write_bytes: Callable[..., int] = Path.write_bytes

    def full_disk(self: Path, content: bytes) -> int:
        write_bytes(self, content[:10])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_front(replace(FINDINGS, name="other"), path)
    assert path.read_text() == whole


# What is read from a study


def test_findings_are_what_the_study_and_its_references_hold(study_and_references: Any) -> None:
    study, references = study_and_references
    for kept in (FAST, BEATEN, SLOW):
        enter(study, kept)
    failed = study.ask()
    failed.set_user_attr(CAUSE, "TrainingError: the loss is nan")
    study.tell(failed, state=TrialState.FAIL)
    study.set_user_attr(PROVENANCE, PROVENANCE_FACTS)
    for kept in REFERENCES:
        enter(references, kept)
    assert findings_of(study, references) == replace(
        FINDINGS, references=[replace(kept, number=number) for number, kept in enumerate(REFERENCES)]
    )


def test_a_study_of_nothing_has_empty_findings(study_and_references: Any) -> None:
    assert findings_of(*study_and_references) == Findings("mine", [], [], [], [], SETTINGS, {})


def test_how_far_accuracies_are_off_is_what_the_studys_fit_was_off(study_and_references: Any) -> None:
    study, references = study_and_references
    assert findings_of(study, references).scale.error is None
    study.set_user_attr(ACCURACY, {"fit": None, "told": "the recipe's own"})
    assert findings_of(study, references).scale.error is None
    study.set_user_attr(ACCURACY, {"fit": {"error": 0.014}, "told": "by a fit"})
    assert findings_of(study, references).scale == AccuracyScale(error=0.014)


def test_the_front_file_has_errors_of_accuracy_and_whether_the_level_is_known(tmp_path: Path) -> None:
    content = front_of_file(write_front(FINDINGS, tmp_path / "front.json"))
    assert (content["accuracy_is_level_known"], content["front"][0]["accuracy_error"]) == (True, None)
    own = replace(FAST, accuracy_error=0.02)
    findings = replace(FINDINGS, front=[own, SLOW], scale=AccuracyScale.of(False, 0.01, [own, SLOW], REFERENCES))
    content = front_of_file(write_front(findings, tmp_path / "front.json"))
    assert not content["accuracy_is_level_known"]
    assert [row["accuracy_error"] for row in content["front"]] == [0.02, 0.01]
    assert [row["accuracy"] for row in content["front"]] == [0.6, 0.8]


def test_without_a_known_level_no_percentage_of_it_is_shown(study_and_references: Any, tmp_path: Path) -> None:
    """In progress lines, tables and the report: 80.0, 60.0, 70.0 and 90.0 are of a nominal level."""
    study, references = study_and_references
    study.set_user_attr(ACCURACY, {"fit": {"prior": {}, "error": 0.01, "is_level_known": False}, "told": "unknown"})
    for kept in (FAST, BEATEN, SLOW):
        enter(study, replace(kept, training=kept.training.changed(validation_accuracies=[0.11])))
    assert standing(study, references) == f"front 2, best +20.0 ±1.4 points vs {FAST.name} in 8.00 ms"
    for kept in REFERENCES:
        enter(references, replace(kept, training=kept.training.changed(validation_accuracies=[0.11])))
    assert standing(study, references) == "front 2, best -10.0 ±1.4 points vs v1-2.0x-g8 in 8.00 ms"
    findings = findings_of(study, references)
    final = Finalist(findings.front[0], {8: 0.42}, FAST.latency.changed(latency_ms=2.0))
    write_all(findings, Analysis({0: 1.0, 1: 2.0, 2: 3.0}, finalists=[final]), OWN(tmp_path))
    page = unescape((tmp_path / "report.html").read_text(encoding="utf-8"))
    shown = re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL)
    table = render_table(findings.front, findings.references, findings.scale)
    finalists = render_finalists([final], "long", findings.scale)
    line = _line(findings.front[1], Task(), findings.scale)
    assert "-10.0 ±1.4 points vs v1-2.0x-g8 (proxy 11.0 %)" in line
    level = re.compile(r"(?<![-+\d.])[56789]0\.0\b")
    assert [level.findall(each) for each in (shown, table, finalists, line)] == [[]] * 4
    assert "predicted points above v2-1.0x" in page
    assert "predicted accuracy, %" not in page
    assert "42.0" in finalists, "what was measured on these data stays a percentage"
    assert "predicted points" in finalists


def test_finalists_whose_accuracies_are_predicted_are_in_points_too() -> None:
    found = Finalist(FAST, {8: 0.42, 9: 0.44}, FAST.latency.changed(latency_ms=2.0), is_predicted=True)
    reference = replace(found, record=REFERENCES[0], accuracies={8: 0.45, 9: 0.45})
    scale = AccuracyScale.of(False, 0.01, [FAST], REFERENCES)
    text = render_finalists([found, reference], "short", scale)
    assert "short anew points" in text
    assert "-2.0 ± 1.4" in text  # 43 - 45
    assert "43.0" not in text


# Progress


def standing_of(study_and_references: Any) -> Callable[[Any], str]:
    """How far a study is, beside those references."""
    return partial(standing, references=study_and_references[1])


def test_progress_goes_to_stderr_as_it_is(study_and_references: Any, capsys: pytest.CaptureFixture[str]) -> None:
    line = "trial 0 v2-abc [red]: 140.0 MFLOPs, /a/path"
    text = standing_of(study_and_references)
    with SearchProgress(study_and_references[0], trials=5, seconds_left=lambda: 60.0, standing=text) as progress:
        progress.report(line)
        progress.report("")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[0].startswith(f"{line} | 0 of 5 trials")


def test_progress_says_how_far_the_study_is(study_and_references: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study, _ = study_and_references
    for kept in (FAST, BEATEN, SLOW):
        enter(study, kept)
    with SearchProgress(
        study, trials=5, seconds_left=lambda: 3599.0, standing=standing_of(study_and_references)
    ) as progress:
        progress.report("news")
    assert re.search(r"3 of 5 trials, front 2, best 80\.0 % in 8\.00 ms, 59:59 left", capsys.readouterr().err)


def test_progress_of_a_study_of_nothing_names_no_best(
    study_and_references: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = standing_of(study_and_references)
    with SearchProgress(study_and_references[0], trials=None, seconds_left=lambda: 3599.0, standing=text) as progress:
        progress.report("news")
    assert re.search(r"0 trials, front 0, no front yet, 59:59 left", capsys.readouterr().err)


def test_finalists_in_int8_stand_in_front_json_with_both_accuracies(tmp_path: Path) -> None:
    facts = {"images": 2000, "lost": 80, "gained": 20, "calibration_images": 256, "runtime_version": "1.32"}
    found = Finalist(
        FAST, {8: 0.42}, FAST.latency, fp32={8: 0.45}, int8={8: QuantisedFacts({**facts, "accuracy": 0.42})}
    )
    (kept,) = front_of_file(write_front(FINDINGS, tmp_path / "front.json", [found]))["finalists"]
    assert (kept["accuracy"], kept["fp32_accuracy"], kept["on_front"]) == (0.42, 0.45, True)
    assert (kept["lost_in_int8"], kept["loses_much_in_int8"]) == (pytest.approx(0.03), True)
    assert kept["int8"]["8"]["calibration_images"] == 256


def test_fp32_beside_int8_is_what_the_study_itself_has_timed(study_and_references: Any) -> None:
    study, _ = study_and_references
    engine = create_engine("sqlite://", poolclass=StaticPool)

    def measured(precision: str, latency_ms: float, name: str = "mine") -> Measured:
        facts = latency(latency_ms, precision=precision, taken_at=latency_ms).to_dict()
        return Measured(FAST.architecture.key(), 1000, "abc", "run", LatencyFacts(facts), FAST.architecture, name)

    name = study.study_name
    ledger = Ledger(engine)
    ledger.add([measured("int8", 1.0, name), measured("float32", 2.0, name), measured("float32", 9.0, "another")])
    assert fp32_beside(study, engine) == {}, "a search for fp32"
    study.set_user_attr("settings", {"precision": "int8"})
    found = fp32_beside(study, engine)
    assert {key: each.latency_ms for key, each in found.items()} == {FAST.architecture.key(): 2.0}
    engine.dispose()
