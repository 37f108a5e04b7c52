"""From a bundle to the ledger: measured without this project, and refused if anything was changed on the way."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas.latency import __main__ as latency
from proxies.latency.bundle_script import sealed
from proxies.latency.onnx_session import cpu_run, session_of
from proxies.latency.output_check import Expected, example
from search_space import PRESETS, Architecture
from studies.ledger.latencies import Ledger
from studies.storage.database import engine_of

SMALL = ("--resolution", "32", "--classes", "4")
KEY = PRESETS["v2-0.5x"].key()


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, and beside it the results of running its script with nothing of ours to import."""
    folder = tmp_path_factory.mktemp("bundled")
    assert latency.main(["bundle", "v2-0.5x", *SMALL, "--out", str(folder / "bundle.zip")]) == 0
    with zipfile.ZipFile(folder / "bundle.zip") as archive:
        archive.extractall(folder / "bundle")
    manifest = json.loads((folder / "bundle" / "manifest.json").read_text())
    manifest["timing"] |= {"rounds": 5, "least_rounds": 2, "processes": 2, "max_processes": 2}
    (folder / "bundle" / "manifest.json").write_text(json.dumps(manifest))
    block = "sitecustomize.py"
    (folder / "block").mkdir()
    (folder / "block" / block).write_text("import sys; sys.modules['torch'] = sys.modules['search_space'] = None")
    done = subprocess.run(
        [sys.executable, str(folder / "bundle" / "measure.py"), "--out", "results.json"],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "block")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["1 of 2 v2-1.0x", "2 of 2 v2-0.5x"]
    return folder


def imported(folder: Path, *flags: Any, results: str = "results.json", bundle: str = "bundle") -> int:
    storage = f"sqlite:///{folder}/study.db"
    line = ["import", folder / results, "--bundle", folder / bundle, "--storage", storage, *flags]
    return latency.main([str(each) for each in line])


def changed(folder: Path, name: str, change: Callable[[dict[str, Any]], Any], seal: bool) -> str:
    results = json.loads((folder / "results.json").read_text())
    change(results)
    (folder / name).write_text(json.dumps(sealed(results) if seal else results))
    return name


@pytest.mark.slow
def test_results_come_into_the_ledger_once(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported(measured, "--device", "a board") == 0
    assert "2 of 2 latencies of" in capsys.readouterr().out
    assert imported(measured, "--device", "a board", bundle="bundle.zip") == 0
    assert "0 of 2 latencies of" in capsys.readouterr().out
    engine = engine_of(f"sqlite:///{measured}/study.db")
    found = {each.network: each for each in Ledger(engine).measurements(device="a board")}
    engine.dispose()
    assert set(found) == {KEY, PRESETS["v2-1.0x"].key()}
    ours = found[KEY]
    assert (ours.architecture, ours.classes, ours.source) == (PRESETS["v2-0.5x"], 4, "bundle")
    assert 0 < ours.latency.latency_ms < found[PRESETS["v2-1.0x"].key()].latency.latency_ms
    assert (ours.latency.resolution, ours.latency.runtime) == (32, "onnxruntime")
    assert latency.main(["list", "--storage", f"sqlite:///{measured}/study.db"]) == 0
    assert "a board" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "seal", "said"),
    [
        (lambda r: r["readings"][KEY].update(p10_ms=0.001), False, "was changed: measure anew"),
        (lambda r: r["readings"][KEY].update(sha256="0"), True, "must match what was bundled"),
        (lambda r: r.update(bundle="0"), True, "are of another: check --bundle"),
        (lambda r: r.update(schema=9), True, "must be of schema 1, got 9"),
        (lambda r: r["readings"].update(unknown=r["readings"][KEY]), True, "must match what was bundled"),
        (lambda r: r["readings"].pop(PRESETS["v2-1.0x"].key()), True, "must hold the reference"),
        (lambda r: r["readings"][KEY].update(ratio=-1.0), True, "'latency_ms' in a latency must be a number from"),
    ],
)
def test_results_that_were_changed_or_do_not_match_are_refused_in_one_line(
    measured: Path, capsys: pytest.CaptureFixture[str], change: Any, seal: bool, said: str
) -> None:
    assert imported(measured, results=changed(measured, "changed.json", change, seal)) == 2
    text = capsys.readouterr().err
    assert said in text
    assert text.count("\n") == 1


@pytest.mark.slow
def test_a_bundle_that_was_changed_is_refused(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = json.loads((measured / "bundle" / "manifest.json").read_text())
    manifest["networks"][0]["name"] = "another"
    (measured / "other").mkdir(exist_ok=True)
    (measured / "other" / "manifest.json").write_text(json.dumps(manifest))
    assert imported(measured, bundle="other") == 2
    assert "was changed: bundle anew" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "", "[1]", "{"])
def test_files_that_are_none_of_ours_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    assert imported(tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "study.db").exists()


@pytest.mark.slow
def test_a_damaged_network_is_a_failure_and_the_rest_goes_on(measured: Path) -> None:
    (measured / "bundle" / "networks" / f"{KEY}.onnx").write_bytes(b"damaged")
    done = subprocess.run(
        [sys.executable, str(measured / "bundle" / "measure.py"), "--out", "second.json"],
        cwd=measured,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "v2-0.5x: the measuring process died: RuntimeError: the file networks" in done.stderr
    results = json.loads((measured / "second.json").read_text())
    assert (list(results["readings"]), list(results["failures"])) == ([PRESETS["v2-1.0x"].key()], [KEY])


def test_backbones_are_bundled_with_their_three_maps(tmp_path: Path) -> None:
    line = ["bundle", "v2-0.5x", "--task", "detection-backbone", "--resolution", "64", "--out", str(tmp_path / "b")]
    assert latency.main(line) == 0
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert (manifest["classes"], manifest["resolution"]) == (0, 64)
    row = next(row for row in manifest["networks"] if row["name"] == "v2-0.5x")
    assert Architecture.from_dict(row["architecture"]) == replace(PRESETS["v2-0.5x"], head=0)
    expected = Expected(**row["expected"])
    outputs = cpu_run(session_of(tmp_path / "b" / row["file"]), example(row["shape"], expected.seed))()
    assert [output.shape[1:] for output in outputs] == [(48, 8, 8), (96, 4, 4), (192, 2, 2)]
    expected.check(outputs)


@pytest.mark.slow
def test_a_bundle_in_int8_comes_into_the_ledger_as_that(tmp_path: Path) -> None:
    line = ["bundle", "v2-0.5x", "--precision", "int8", *SMALL, "--out", str(tmp_path / "bundle")]
    assert latency.main(line) == 0
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    manifest["timing"] |= {"rounds": 5, "least_rounds": 2, "processes": 2, "max_processes": 2}
    (tmp_path / "bundle" / "manifest.json").write_text(json.dumps(manifest))
    script = [sys.executable, str(tmp_path / "bundle" / "measure.py"), "--out", "results.json"]
    subprocess.run(script, cwd=tmp_path, check=True, capture_output=True)
    assert imported(tmp_path) == 0
    engine = engine_of(f"sqlite:///{tmp_path}/study.db")
    assert [each.latency.precision for each in Ledger(engine).measurements()] == ["int8", "int8"]
    engine.dispose()


def test_a_bundle_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert latency.main(["bundle", "v2-0.5x", "--out", str(tmp_path)]) == 2
    assert "exists: name another --out" in capsys.readouterr().err


def test_a_bundle_needs_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert latency.main(["bundle", "--out", str(tmp_path / "b")]) == 2
    assert "name presets or JSON files" in capsys.readouterr().err
