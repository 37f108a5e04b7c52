"""Studies, databases, calibrations, trainings and JSON files that version 0.1.0 made open, and go on.

How they were made stands beside them, in `tests/data/made_by_0_1_0/README.md`.
"""

import gzip
import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from builders.calibrations import calibration
from builders.images import write_images
from builders.places import TESTS, read_json
from builders.tables import CODES, row
from builders.train_command import LINE, SMALL

from nas.cost import main as cost
from nas.export.__main__ import main as export
from nas.finalists.__main__ import main as finalists
from nas.ledger.__main__ import main as ledger
from nas.report.__main__ import main as report
from nas.run.__main__ import main as search
from nas.train.__main__ import main as train
from proxies.pretrained import read_trained_for
from proxies.training.recipes import RECIPES
from proxies.weights import network_from
from search_space import Architecture
from studies.calibration.store import from_dict, newest
from studies.dashboard.annotated_storage import AnnotatedStorage
from studies.record import Record
from studies.storage.database import engine_of
from studies.storage.studies import load_study, open_storage, records_of, references_of

OLD = TESTS / "data" / "made_by_0_1_0"
TINY = (
    *("--budget", "2mflops", "--resolution", "32", "--classes", "10", "--image-size", "16", "--study", "tiny"),
    *("--data", "folder:images", "--workers", "1"),
)
Captured = pytest.CaptureFixture[str]


def unpacked(name: str) -> bytes:
    return gzip.decompress((OLD / name).read_bytes())


def restored(dump: str, file: Path) -> None:
    """Makes the database that the dump is of."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(unpacked(dump).decode())


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder as the old version left it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for study in ("tiny", "table"):
        restored(f"{study}.sql.gz", Path("runs", study, "study.db"))


def front() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_json(OLD / "front.json")["front"]
    return found


def test_a_studys_records_are_those_of_its_front_file() -> None:
    storage = open_storage("sqlite:///runs/tiny/study.db")
    study = load_study(storage, "tiny")
    by_key = {each.architecture.key(): each for each in records_of(study)}
    for entry in front():
        kept = by_key[entry["key"]]
        assert (kept.accuracy, kept.latency_ms) == (entry["accuracy"], entry["latency_ms"])
        assert Record.from_dict(entry).architecture == kept.architecture
    assert len(records_of(references_of(study, storage))) == 5
    storage.engine.dispose()


def test_the_report_shows_the_front_the_finalists_and_the_references(capsys: Captured) -> None:
    assert report(["--study", "tiny", "--out", "report.html"]) == 0
    page = Path("report.html").read_text(encoding="utf-8")
    assert ">Finalists<" in page
    assert all(entry["key"] in page for entry in front())
    assert "v1-0.25x-g8" in page


def test_the_best_of_the_front_is_exported_as_the_old_files_have_it() -> None:
    assert export(["--study", "tiny", "--pick", "best", "--out", "picked"]) == 0
    best = max(front(), key=lambda entry: entry["accuracy"])
    (file,) = Path("picked").glob("*.json")
    assert read_json(file) == best["architecture"] == read_json(OLD / f"{best['name']}.json")


def test_an_architectures_file_is_counted_and_has_the_key_it_had(capsys: Captured) -> None:
    for entry in front():
        file = OLD / f"{entry['name']}.json"
        assert Architecture.from_dict(read_json(file)).key() == entry["key"]
        assert cost([str(file), "--resolution", "32", "--classes", "10"]) == 0
        assert f"{entry['macs'] / 1e6:.3f} MFLOPs, {entry['params'] / 1e6:.4f} M params" in capsys.readouterr().out


def test_the_dashboard_has_notes_of_all_studies_and_trials() -> None:
    storage = AnnotatedStorage("sqlite:///runs/tiny/study.db")
    studies = storage.get_all_studies()
    assert [each.study_name for each in studies] == ["tiny", "tiny-references", "tiny-finalists"]
    for study in studies:
        notes = storage.get_study_system_attrs(study._study_id)
        trials = storage.get_all_trials(study._study_id)
        assert all(f"dashboard:{trial._trial_id}:note_str:0" in notes for trial in trials)
    assert "budget: 2mflops" in storage.get_study_system_attrs(studies[0]._study_id)["dashboard:note_str:0"]


def test_the_ledger_lists_what_was_trained_and_timed(capsys: Captured) -> None:
    assert ledger(["list", "--study", "tiny"]) == 0
    assert "28 trainings, 0 scorings at initialisation, 14 latencies: 122.7 s in sum" in capsys.readouterr().out


def test_a_search_over_a_table_goes_on(capsys: Captured) -> None:
    Path("table.json").write_text(json.dumps({code: row(code) for code in CODES}))
    line = ["--scorer", "table:table.json", "--workers", "1", "--sampler", "random"]
    assert search([*line, "--study", "table", "--trials", "9", "--resume"]) == 0
    resumed = read_json(Path("runs/table/front.json"))["front"]
    assert search([*line, "--study", "new", "--trials", "9"]) == 0
    assert read_json(Path("runs/new/front.json"))["front"] == resumed


@pytest.mark.slow
def test_a_real_search_goes_on(run_briefly: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    write_images(Path("images"))
    finished = run_briefly("nas.run", *TINY, "--trials", "3", "--no-finalists", "--resume")
    assert finished.returncode == 0, finished.stderr
    assert "reference v" not in finished.stderr, "references are not evaluated a second time"
    storage = open_storage("sqlite:///runs/tiny/study.db")
    assert len(records_of(load_study(storage, "tiny"))) == 3
    storage.engine.dispose()


@pytest.mark.slow
def test_settings_other_than_a_studys_are_refused(capsys: Captured) -> None:
    write_images(Path("images"))
    assert search([*TINY, "--trials", "3", "--seed", "1", "--resume"]) == 2
    assert "seed was 0, now 1" in capsys.readouterr().err


@pytest.mark.slow
def test_finalists_are_told_by_what_is_kept(capsys: Captured) -> None:
    write_images(Path("images"))
    assert finalists(["--study", "tiny", "--seeds", "3", "--workers", "1"]) == 0
    assert "21 of 21 trainings are in the ledger" in capsys.readouterr().err


def test_a_calibration_comes_back_from_its_database_and_its_file() -> None:
    restored("calibration.sql.gz", Path("calibration.db"))
    made = calibration(stratified=6, equal=6)
    engine = engine_of("sqlite:///calibration.db")
    found = newest(engine, made.made.fingerprint, RECIPES["short"].to_dict())
    engine.dispose()
    assert found is not None
    written = json.loads(unpacked("calibration.json.gz"))
    of_file = from_dict(written)
    for each in (found, of_file):
        assert each.made == made.made
        assert [network.architecture.to_dict() for network in each.networks] == [
            network["architecture"] for network in written["networks"]
        ]
        assert each.fits["short"].networks == made.fits["short"].networks


def test_a_stopped_training_goes_on_from_its_checkpoint(capsys: Captured) -> None:
    for part, count, seed in (("train", 30, 0), ("test", 12, 1)):
        write_images(Path("set", part), count=count, seed=seed)
    Path("tiny.json").write_text(json.dumps(SMALL.to_dict()))
    Path("out").mkdir()
    Path("out/checkpoint.pt").write_bytes(unpacked("checkpoint.pt.gz"))
    assert train([*LINE, "--out", "out", "--resume"]) == 0
    assert "epoch 1 of 3" not in capsys.readouterr().err
    old, new = read_json(OLD / "metrics.json"), read_json(Path("out/metrics.json"))
    for curve in ("training_losses", "validation_losses"):
        assert new["curves"][curve] == pytest.approx(old["curves"][curve], rel=1e-3)
    assert {name: new[name] for name in ("key", "cost", "recipe", "data")} == {
        name: old[name] for name in ("key", "cost", "recipe", "data")
    }


def test_weights_make_the_network_that_they_are_of() -> None:
    params = sum(each.numel() for each in network_from(OLD / "weights.safetensors").parameters())
    assert params == read_json(OLD / "metrics.json")["cost"]["training"]["params"]
    assert read_trained_for(OLD / "weights.safetensors").architecture == SMALL
