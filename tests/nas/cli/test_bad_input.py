import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from builders.images import write_images

from nas import cost
from nas.export import __main__ as export
from nas.run import __main__ as run
from search_space import PRESETS

BUDGET = ("--budget", "140mflops")


def _space(folder: Path, old: str, new: str) -> Path:
    from importlib.resources import files

    text = files("search_space").joinpath("default_space.toml").read_text(encoding="utf-8")
    assert old in text
    path = folder / "space.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


def _foreign_database(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.close()
    return f"sqlite:///{path}"


def _text_file(path: Path) -> Path:
    path.write_text("no folder, no database", encoding="utf-8")
    return path


def _classes(folder: Path, *names: str, empty: str = "") -> str:
    folder.mkdir()
    write_images(folder, names, count=2)
    if empty:
        (folder / empty).mkdir()
    return f"folder:{folder}"


RUNS: dict[str, tuple[Callable[[Path], tuple], tuple[str, ...]]] = {
    "budget without a unit": (lambda tmp: ("--budget", "140"), ("140", "140mflops")),
    "budget that is no number": (lambda tmp: ("--budget", "fastmflops"), ("fastmflops",)),
    "budget of nothing": (lambda tmp: ("--budget", "0mflops"), ("above 0",)),
    "budget named twice": (lambda tmp: ("--budget", "5ms,6ms"), ("5ms,6ms", "once")),
    "no budget": (lambda tmp: (), ("--budget",)),
    "unknown flag": (lambda tmp: (*BUDGET, "--nonsense"), ("--nonsense",)),
    "unknown data": (lambda tmp: (*BUDGET, "--data", "imagenet-99"), ("imagenet-99", "cifar10")),
    "folder that is missing": (lambda tmp: (*BUDGET, "--data", "folder:nowhere"), ("nowhere",)),
    "folder without a path": (lambda tmp: (*BUDGET, "--data", "folder:"), ("folder:",)),
    "empty folder": (lambda tmp: (*BUDGET, "--data", _classes(tmp / "a")), ("class",)),
    "class without images": (lambda tmp: (*BUDGET, "--data", _classes(tmp / "b", "cat", "dog", empty="owl")), ("owl",)),
    "a single class": (lambda tmp: (*BUDGET, "--data", _classes(tmp / "c", "cat")), ("cat", "2 classes")),
    "unknown sampler": (lambda tmp: (*BUDGET, "--sampler", "magic"), ("magic", "tpe")),
    "unknown runtime": (lambda tmp: (*BUDGET, "--runtime", "magic"), ("magic", "onnxruntime")),
    "unknown device": (lambda tmp: (*BUDGET, "--device", "tpu"), ("tpu", "cuda")),
    "unknown recipe": (lambda tmp: (*BUDGET, "--recipe", "magic"), ("magic", "short")),
    "time without a unit": (lambda tmp: (*BUDGET, "--time", "10"), ("10", "10m")),
    "no trials": (lambda tmp: (*BUDGET, "--trials", "0"), ("--trials", "0")),
    "trials that are no number": (lambda tmp: (*BUDGET, "--trials", "many"), ("many",)),
    "tiny images": (lambda tmp: (*BUDGET, "--image-size", "2"), ("--image-size", "2")),
    "study with a slash": (lambda tmp: (*BUDGET, "--study", "a/b"), ("a/b",)),
    "space file missing": (lambda tmp: (*BUDGET, "--space", "no.toml"), ("no.toml",)),
    "space file that is no TOML": (lambda tmp: (*BUDGET, "--space", _text_file(tmp / "s.toml")), ("TOML",)),
    "space with an unknown key": (lambda tmp: (*BUDGET, "--space", _space(tmp, "stem =", "stemm =")), ("stemm",)),
    "space with an impossible kernel": (lambda tmp: (*BUDGET, "--space", _space(tmp, "[3, 5, 7]", "[3, 4]")), ("4",)),
    "space with an impossible split": (lambda tmp: (*BUDGET, "--space", _space(tmp, '"1/4"', '"1/9"')), ("1/9",)),
    "stem that does not divide": (lambda tmp: (*BUDGET, "--space", _space(tmp, "stem = 24", "stem = 20")), ("20",)),
    "storage of no known kind": (lambda tmp: (*BUDGET, "--storage", "no-such-database://here"), ("no-such-database",)),
    "storage that is no database": (
        lambda tmp: (*BUDGET, "--storage", f"sqlite:///{_text_file(tmp / 'x.db')}"),
        ("x.db",),
    ),
    "storage of something else": (lambda tmp: (*BUDGET, "--storage", _foreign_database(tmp / "y.db")), ("customers",)),
    "output under a file": (lambda tmp: (*BUDGET, "--out", _text_file(tmp / "file") / "out"), ("file",)),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_run_with_bad_input_says_one_line_and_writes_nothing(case: str, tmp_path: Path, monkeypatch, capsys) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    make, words = RUNS[case]
    _check_one_line(run.main, make(tmp_path), words, capsys)
    assert list(work.iterdir()) == []


def _check_one_line(main: Callable, arguments: tuple, words: tuple[str, ...], capsys) -> None:
    try:
        status = main(list(map(str, arguments)))
    except SystemExit as stop:
        status = stop.code
    printed = capsys.readouterr()
    assert status == 2
    assert printed.out == ""
    assert len(printed.err.strip().splitlines()) == 1, printed.err
    for word in words:
        assert word in printed.err


def test_cuda_where_there_is_none_is_refused(tmp_path: Path, monkeypatch, capsys) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.chdir(tmp_path)
    _check_one_line(run.main, (*BUDGET, "--device", "cuda"), ("cuda", "GPU"), capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("problem", ["image", "torchvision set"])
def test_what_only_a_worker_can_find_is_one_line_too(problem: str, images: Path, run, tmp_path) -> None:
    flags = {"--data": f"folder:{images}", "--out": tmp_path / "out"}
    words = {"image": "3.png", "torchvision set": "--download"}
    if problem == "image":
        (images / "dark" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    else:
        flags |= {"--data": "cifar10", "--data-root": tmp_path / "empty"}
    finished = run("nas.run", *BUDGET, "--workers", 1, *(item for pair in flags.items() for item in pair))
    assert finished.returncode == 2
    table, starting, rest = finished.stderr.strip().partition("starting")
    assert "140mflops  yes" in table
    *progress, mistake = (starting + rest).splitlines()
    assert words[problem] in mistake
    assert all(line.endswith("left") for line in progress), finished.stderr
    assert not (tmp_path / "out").exists()


EXPORTS: dict[str, tuple[Callable[[Path], tuple], tuple[str, ...]]] = {
    "no study anywhere": (lambda tmp: (), ("--study", "none")),
    "storage that is missing": (lambda tmp: ("--storage", "sqlite:///no.db"), ("no.db",)),
    "storage that is no database": (lambda tmp: ("--storage", f"sqlite:///{_text_file(tmp / 'x.db')}"), ("x.db",)),
    "storage of something else": (lambda tmp: ("--storage", _foreign_database(tmp / "y.db")), ("customers",)),
    "latency that is no time": (lambda tmp: ("--max-latency", "5mflops"), ("5mflops", "5ms")),
    "output under a file": (lambda tmp: ("--out", _text_file(tmp / "f") / "o"), ("f",)),
}


@pytest.mark.parametrize("case", EXPORTS)
def test_an_export_with_bad_input_says_one_line_and_writes_nothing(
    case: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    make, words = EXPORTS[case]
    _check_one_line(export.main, make(tmp_path), words, capsys)
    assert list(work.iterdir()) == []


def _config(tmp: Path, **changes: object) -> Path:
    path = tmp / "architecture.json"
    path.write_text(json.dumps({**PRESETS["v2-1.0x"].to_dict(), **changes}), encoding="utf-8")
    return path


COSTS: dict[str, tuple[Callable[[Path], tuple], tuple[str, ...]]] = {
    "neither preset nor file": (lambda tmp: ("v9-1.0x",), ("v9-1.0x",)),
    "file that is no JSON": (lambda tmp: (_text_file(tmp / "a.json"),), ("not JSON",)),
    "unknown key": (lambda tmp: (_config(tmp, depth=3),), ("depth",)),
    "another schema": (lambda tmp: (_config(tmp, schema=2),), ("schema", "2")),
    "impossible unit": (lambda tmp: (_config(tmp, unit="v3"),), ("v3", "v1, v2")),
    "v2 stages in a v1 network": (lambda tmp: (_config(tmp, unit="v1"),), ("split",)),
    "impossible stem stride": (lambda tmp: ("v2-1.0x", "--stem-stride", 3), ("stem_stride", "3")),
    "no pixels": (lambda tmp: ("v2-1.0x", "--resolution", 0), ("resolution", "0")),
}


@pytest.mark.parametrize("case", COSTS)
def test_a_cost_of_what_cannot_be_built_is_one_line(case: str, tmp_path: Path, capsys) -> None:
    make, words = COSTS[case]
    _check_one_line(cost.main, make(tmp_path), words, capsys)
