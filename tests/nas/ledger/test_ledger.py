"""`nas.ledger`: what it prints and writes of a storage, and what it refuses in one line."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from builders.filled_ledger import DAY, FULL, HALF, NOVEMBER, TIMED, filled

from nas.ledger import __main__ as ledger
from studies.facts import LatencyFacts
from studies.ledger.latencies import Ledger, Measured
from studies.ledger.trainings import Evaluations
from studies.storage.database import engine_of

Captured = pytest.CaptureFixture[str]
MOMENT = re.compile(r" *2026-11-(\d\d) ")
TOTALS = "2 trainings, 1 scoring at initialisation, 2 latencies: 47.8 s in sum of those that say; 1 does not"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return filled(tmp_path)


def printed(capsys: Captured, *arguments: str) -> list[str]:
    assert ledger.main(arguments) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys: Captured, *arguments: str) -> str:
    try:
        status: object = ledger.main(arguments)
    except SystemExit as ended:  # by the parser
        status = ended.code
    assert status == 2
    out, text = capsys.readouterr()
    assert (out, text.count("\n")) == ("", 1)
    return text


# list


def test_a_list_has_a_line_for_each_entry_newest_last_and_what_all_took(url: str, capsys: Captured) -> None:
    lines = printed(capsys, "list", "--storage", url)
    rows = [" ".join(line.split()) for line in lines if MOMENT.match(line)]
    assert rows == [
        "2026-11-01 00:00 training v2-0.5x short, 16 px 01234567 0 cpu (aaaabbbb) 62.50 % 12.5",
        "2026-11-01 06:00 latency v2-0.5x onnxruntime fp32, 224 px a board (11112222) 2.500 ms ±0.5 % 4.5",
        "2026-11-01 12:00 scores v2-0.5x zero-cost 01234567 0 cpu (aaaabbbb) 1 score 0.8",
        "2026-11-02 00:00 training v2-1.0x long, 16 px fedcba98 1 cuda 62.50 % 30.0",
        "2026-11-03 00:00 latency resnet-18 openvino-bf16 bf16, 224 px, batch 8 abcdefabcdef 20.250 ms ±4.0 % noisy",
    ]
    assert lines[-1] == TOTALS


def test_a_backbones_latency_is_listed_as_one(url: str, capsys: Captured) -> None:
    engine = engine_of(url)
    later = {**TIMED, "taken_at": NOVEMBER + 5 * DAY}
    Ledger(engine).add([Measured(replace(FULL, head=0).key(), 0, "a board", "run", LatencyFacts(later))])
    engine.dispose()
    (row,) = [line for line in printed(capsys, "list", "--storage", url, "--network", "v2-1.0x") if " board" in line]
    assert " v2-1.0x  onnxruntime fp32, detection-backbone, 224 px " in row


def test_a_list_says_how_many_more_there_are(url: str, capsys: Captured) -> None:
    lines = printed(capsys, "list", "--storage", url, "--limit", "2")
    assert [line.split()[0] for line in lines if MOMENT.match(line)] == ["2026-11-02", "2026-11-03"]
    assert lines[-2:] == ["3 older entries not shown: --limit 5 shows all", TOTALS]


def test_flags_compose(url: str, capsys: Captured) -> None:
    key = HALF.key()[:8]
    lines = printed(
        capsys, "list", "--storage", url, "--network", key, "--device", "aaaabbbbcccc", "--kind", "training"
    )
    assert lines[-1] == "1 training, 0 scorings at initialisation, 0 latencies: 12.5 s in sum"
    flags = ("--recipe", "long", "--data", "fedc", "--seed", "1")
    assert printed(capsys, "list", "--storage", url, *flags)[-1].startswith("1 training, 0 scorings")
    flags = ("--runtime", "onnxruntime", "--study", "a study")
    assert printed(capsys, "list", "--storage", url, *flags)[-1].endswith(
        "0 scorings at initialisation, 1 latency: 4.5 s in sum"
    )


@pytest.mark.parametrize(
    ("flags", "days"),
    [
        (("--since", "2026-11-02"), ["02", "03"]),
        (("--until", "2026-11-02"), ["01", "01", "01", "02"]),
        (("--since", "2026-11-01", "--until", "2026-11-01"), ["01", "01", "01"]),
        (("--until", "2026-11-01T06:00"), ["01"]),
        (("--since", "2026-11-03T01:00+01:00"), ["03"]),
    ],
)
def test_a_day_is_a_day_in_utc_from_its_beginning_to_its_end(
    url: str, capsys: Captured, flags: tuple[str, ...], days: list[str]
) -> None:
    lines = printed(capsys, "list", "--storage", url, *flags)
    assert [found[1] for line in lines if (found := MOMENT.match(line))] == days


def test_a_filter_that_matches_nothing_says_so(url: str, capsys: Captured) -> None:
    assert printed(capsys, "list", "--storage", url, "--network", "v1-1.0x-g1") == [
        f"{url} holds nothing that matches all filters: leave one out"
    ]


def test_an_empty_ledger_says_what_fills_it(tmp_path: Path, capsys: Captured) -> None:
    empty = f"sqlite:///{tmp_path}/empty.db"
    engine = engine_of(empty)
    Ledger(engine), Evaluations(engine)
    engine.dispose()
    (line,) = printed(capsys, "list", "--storage", empty)
    assert line == f"{empty} holds no training and no latency yet: nas.run and nas.calibrate enter them"


def test_without_a_storage_that_of_the_study_is_read(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "yours"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    filled(tmp_path / "runs" / "mine")
    monkeypatch.chdir(tmp_path)
    assert printed(capsys, "list")[-1] == TOTALS
    assert printed(capsys, "list", "--study", "mine")[-1] == TOTALS, "all of its storage, not only its own latencies"
    filled(tmp_path / "runs" / "yours")
    assert "say which study" in refused(capsys, "list")


# export


def test_an_export_holds_what_the_filters_keep(url: str, tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "tables" / "ledger.parquet"
    assert printed(capsys, "export", str(file), "--storage", url, "--kind", "training") == [f"wrote {file}: 2 rows"]
    assert pyarrow.parquet.read_table(file).column("recipe").to_pylist() == ["short", "long"]


def test_an_export_of_nothing_is_a_table_without_rows(url: str, tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "ledger.csv"
    lines = printed(capsys, "export", str(file), "--storage", url, "--seed", "7")
    assert lines == [f"{url} holds nothing that matches all filters: leave one out", f"wrote {file}: 0 rows"]
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1


# What is refused


REFUSED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "another ending": (("export", "ledger.xlsx"), (".csv or .parquet", "'ledger.xlsx'")),
    "no file": (("export",), ("FILE",)),
    "no subcommand": ((), ("SUBCOMMAND",)),
    "a limit of nothing": (("list", "--limit", "0"), ("--limit must be at least 1, got 0",)),
    "an unknown kind": (("list", "--kind", "latencies"), ("'latencies'", "training")),
    "no time": (("list", "--since", "yesterday"), ("--since must be a day or a time", "'yesterday'")),
    "an impossible day": (("list", "--until", "2026-11-31"), ("--until", "'2026-11-31'")),
    "times in disorder": (("list", "--since", "2026-11-02", "--until", "2026-11-01"), ("exchange them",)),
    "filters of different kinds": (("list", "--recipe", "short", "--runtime", "torch"), ("leave one out",)),
    "a seed that is no number": (("list", "--seed", "one"), ("--seed", "'one'")),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_told_in_one_line(
    url: str, capsys: Captured, arguments: tuple[str, ...], said: tuple[str, ...]
) -> None:
    text = refused(capsys, *arguments, *(("--storage", url) if arguments else ()))
    assert [part for part in said if part not in text] == []


def test_a_storage_that_is_not_there_is_not_made(tmp_path: Path, capsys: Captured) -> None:
    missing = f"sqlite:///{tmp_path}/none.db"
    for arguments in (("list",), ("export", str(tmp_path / "tables" / "ledger.csv"))):
        assert "there is no file" in refused(capsys, *arguments, "--storage", missing)
    assert list(tmp_path.iterdir()) == []


def test_listing_and_exporting_need_no_torch(url: str, tmp_path: Path) -> None:
    code = (
        "import sys; from nas.ledger.__main__ import main\n"
        f"assert main(['list', '--storage', {url!r}]) == 0\n"
        f"assert main(['export', {str(tmp_path / 'a.csv')!r}, '--storage', {url!r}]) == 0\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'onnxruntime', 'pyarrow')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("a.csv: 5 rows\n")
