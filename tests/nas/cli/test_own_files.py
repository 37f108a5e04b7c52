"""A folder notes whose its files are; what a command did not write, it neither replaces nor removes."""

import json
from pathlib import Path

import pytest
from builders.places import read_json
from builders.tables import CODES, row

from nas.cli.folders import NOTE, OwnFiles, owner_of
from nas.report import __main__ as report
from nas.run import __main__ as run
from search_space.errors import InputError

MINE, OTHERS = owner_of("mine"), owner_of("other")


def test_files_are_of_whom_they_are_noted_to_be(tmp_path: Path) -> None:
    own = OwnFiles(tmp_path, MINE)
    own.take("a.json", "front/b.json")
    (tmp_path / "a.json").write_text("{}")
    own.check("a.json", "new.json")
    with pytest.raises(InputError, match=r"a\.json' is of the study 'mine', not of the study 'other': name"):
        OwnFiles(tmp_path, OTHERS).take("a.json")
    OwnFiles(tmp_path, OTHERS).take("c.json")
    own.check("a.json")


def test_studies_of_one_name_are_told_apart_by_their_keys(tmp_path: Path) -> None:
    OwnFiles(tmp_path, MINE, "1").take("a.json")
    (tmp_path / "a.json").write_text("{}")
    for key in ("1", ""):
        OwnFiles(tmp_path, MINE, key).check("a.json")
    with pytest.raises(InputError, match="what others wrote is left as it is"):
        OwnFiles(tmp_path, MINE, "2").check("a.json")


def test_what_nobody_noted_stays(tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    for name in ("report.html", "front/hand.json", "front/v2-01234567.json"):
        (tmp_path / name).write_text("by hand")
    own = OwnFiles(tmp_path, MINE)
    with pytest.raises(InputError, match="whoever put it there"):
        own.check("report.html")
    own.take("front/v2-76543210.json")
    (tmp_path / "front/v2-76543210.json").write_text("{}")
    assert own.free(["front/v2-01234567.json", "front/v2-76543210.json"]) == ["front/v2-76543210.json"]
    own.remove_others_than([], below="front")
    assert sorted(path.name for path in (tmp_path / "front").iterdir()) == ["hand.json", "v2-01234567.json"]


def test_a_folder_of_0_1_0_is_its_studys(tmp_path: Path) -> None:
    front = {"study": "mine", "provenance": {}, "front": [{"name": "v2-01234567"}, {"name": 3}]}
    (tmp_path / "front.json").write_text(json.dumps(front))
    for name in ("report.html", "other.html"):
        (tmp_path / name).write_text("")
    OwnFiles(tmp_path, MINE, "any").check("front.json", "report.html", "front/v2-01234567.json")
    for owner, name in ((OTHERS, "front.json"), (MINE, "other.html")):
        with pytest.raises(InputError, match="name another --out"):
            OwnFiles(tmp_path, owner).check(name)


@pytest.mark.parametrize("text", ["[]", '{"files": {"../x": {"of": "a", "key": ""}}}', '{"files": {"x": 1}}', "no"])
def test_a_note_that_is_damaged_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text(text)
    with pytest.raises(InputError):
        OwnFiles(tmp_path, MINE).check("a.json")


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a search over a table, the study "one"."""
    monkeypatch.chdir(tmp_path)
    Path("table.json").write_text(json.dumps({code: row(code) for code in CODES}))
    assert _run("one") == 0
    return Path("out")


def _run(study: str, *flags: str, out: str = "out") -> int:
    line = ("--scorer", "table:table.json", "--trials", "3", "--study", study, "--out", out)
    return run.main([*line, "--workers", "1", *flags])


def test_a_second_study_in_a_folder_is_refused_before_it_begins(searched: Path, capsys) -> None:
    before = {path: path.read_bytes() for path in searched.iterdir()}
    capsys.readouterr()
    assert _run("two") == 2
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert "front.json' is of the study 'one', not of the study 'two': name another --out" in printed.err
    assert {path: path.read_bytes() for path in searched.iterdir()} == before
    assert _run("one", "--storage", "sqlite:///elsewhere.db") == 2  # another study of that name
    assert read_json(searched / "front.json")["study"] == "one"


def test_a_resumed_study_writes_its_files_anew(searched: Path) -> None:
    assert _run("one", "--resume", "--trials", "5") == 0
    searched.rename("moved")
    assert _run("one", "--resume", "--trials", "6", out="moved") == 0


@pytest.mark.parametrize("name", ["front.json", "report.html"])
def test_a_file_that_lies_there_already_is_not_replaced(name: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("table.json").write_text(json.dumps({code: row(code) for code in CODES}))
    Path("out").mkdir()
    Path("out", name).write_text("mine")
    assert _run("one") == 2
    assert f"{name}' is of whoever put it there" in capsys.readouterr().err
    assert [path.read_text() for path in Path("out").iterdir()] == ["mine"]


def test_a_report_goes_into_a_folder_and_onto_no_file_of_another(searched: Path, capsys) -> None:
    line = ["--storage", "sqlite:///out/study.db", "--table", "table.json", "--out"]
    Path("pages").mkdir()
    for _ in range(2):
        assert report.main([*line, "pages"]) == 0
    assert capsys.readouterr().out.endswith("wrote pages/report.html\n")
    Path("page.html").write_text("mine")
    assert report.main([*line, "page.html"]) == 2
    assert "page.html' is of whoever put it there" in capsys.readouterr().err
    assert Path("page.html").read_text() == "mine"
