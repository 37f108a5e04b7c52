"""Names in databases and files are texts: no path, no markup, no formula and no code, wherever they come to stand."""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders.filled_ledger import filled
from builders.records import record

from nas.cli.folders import FRONT, NOTE, OwnFiles
from nas.export.__main__ import main as export
from nas.ledger.files import write_entries
from nas.report.__main__ import main as report
from proxies.export.ultralytics_yaml import yaml_of
from search_space import PRESETS
from search_space.files import file_name
from studies.checked_facts import LONGEST_TEXT
from studies.dashboard.notes import study_note
from studies.ledger.entries import Entries, Filters
from studies.record import attributes_of
from studies.storage.database import engine_of
from studies.storage.studies import open_storage, open_study, references_of

STRANGE = (
    *("../../escaped", "..\\escaped", "/escaped", "nul\0name", "CON", "dot.", "-rf", "", 300 * "x", "new\nline"),
    *("<script>alert(1)</script>", "</script><b>", "[red]x[/red]", "\x1b[31mred", "=cmd|x", "caf\u00e9", "cafe\u0301"),
)


def kept(folder: Path, study: str, network: str) -> str:
    """A study of one network, both of them named so in its database."""
    storage = open_storage(f"sqlite:///{folder}/study.db")
    made = open_study(storage, study or " ", {"budget": "140mflops"}, resume=False)
    references_of(made, storage)
    import optuna

    one = record("v2-0.5x", 0.5, 1.0, reference=network)
    made.add_trial(optuna.create_trial(values=[0.5, 1.0], user_attrs=attributes_of(one)))
    return f"sqlite:///{folder}/study.db"


def everything(folder: Path) -> Iterator[Path]:
    return (path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", [name for name in STRANGE if "\0" not in name])
def test_what_is_named_so_in_a_database_stays_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    inside = tmp_path / "a" / "b" / "inside"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    network = name if name.isprintable() and len(name) <= LONGEST_TEXT else ""  # others' records cannot be
    url = kept(tmp_path, name, network)
    before = set(everything(tmp_path))
    assert report(["--storage", url]) == 0
    assert export(["--storage", url, "--out", "out"]) == 0
    made = set(everything(tmp_path)) - before - {Path("study.db-wal"), Path("study.db-shm")}
    made = {path for path in made if path.name != NOTE}
    below = Path("a", "b", "inside")
    study, network = file_name(name or " "), file_name(network or PRESETS["v2-0.5x"].short_name)
    assert made == {
        *(below / "runs", below / "runs" / study, below / "runs" / study / "report.html"),
        *(below / "out", below / "out" / f"{network}.json", below / "out" / "front.json"),
    }
    page = (inside / "runs" / study / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "</script><b>" not in page
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../../victim", "/victim", "x/../../../victim"])
def test_a_front_that_others_wrote_removes_nothing_outside(tmp_path: Path, name: str) -> None:
    folder, victim = tmp_path / "out", tmp_path / "victim.json"
    (folder / "front" / "x").mkdir(parents=True)
    victim.touch()
    named = name.replace("/victim", str(victim.with_suffix(""))) if name.startswith("/") else name
    content = {"study": "mine", "provenance": {}, "front": [{"name": named}]}
    (folder / FRONT).write_text(json.dumps(content), encoding="utf-8")
    OwnFiles(folder, "the study 'mine'").remove_others_than([], below="front")
    assert victim.exists()


def test_a_pipe_is_written_to_and_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "devices"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    OwnFiles(folder, "the study 'mine'").take("pipe")
    assert [path.name for path in folder.iterdir()] == ["pipe"]


def test_names_that_some_systems_take_for_one_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, preset in (("net", "v2-0.5x"), ("Net", "v2-1.0x")):
        Path(f"{name}.json").write_text(json.dumps(PRESETS[preset].to_dict()), encoding="utf-8")
    assert export(["net.json", "Net.json", "--format", "py", "--out", "out"]) == 2
    assert "two are called" in capsys.readouterr().err


def test_a_study_is_told_in_markdown_that_is_no_markup() -> None:
    attributes = {
        "settings": {"budget": "x\n# Heading", "data": "![x](http://e.example/x.png)", "recipe": {"name": "<b>"}},
        "provenance": {"accuracy": "[x](y)", "command": "a `b` c"},
    }
    note = study_note(attributes)
    assert "- budget: x \\# Heading\n" in note
    assert "- data: `![x](http://e.example/x.png)`\n" in note
    assert "- recipe: \\<b>\n" in note
    assert "\\[x\\](y)" in note
    assert "Made by `` a `b` c ``;" in note


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_spreadsheet_computes_no_text_of_the_ledger(tmp_path: Path, text: str) -> None:
    engine = engine_of(filled(tmp_path))
    entry = next(iter(Entries(engine).all(Filters())))
    engine.dispose()
    write_entries([replace(entry, network=text, spread=-0.5)], tmp_path / "ledger.csv")
    with (tmp_path / "ledger.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["network"], row["spread"]) == (f"'{text}", "-0.5")


def test_a_file_named_like_code_makes_none_in_a_yaml_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    monkeypatch.chdir(tmp_path)
    name = "x\nnc: 666\n#"
    Path(f"{name}.json").write_text(json.dumps(PRESETS["v2-0.5x"].to_dict()), encoding="utf-8")
    assert export([f"{name}.json", "--format", "ultralytics", "--out", "out"]) == 0
    (made,) = Path("out").glob("[!.]*")
    assert made.name == f"{file_name(name)}.yaml"
    noted = json.loads(Path("out", NOTE).read_text(encoding="utf-8"))["files"]
    assert made.name in noted
    assert yaml.safe_load(made.read_text(encoding="utf-8")) == yaml.safe_load(yaml_of(PRESETS["v2-0.5x"], "plain"))
