"""A password of --storage stands nowhere: in no file, no row of the database, and no line of output or of an error."""

import argparse
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import sqlalchemy
from builders.places import ROOT, read_json
from builders.tables import CODES, row

from nas.cli.command import Parser
from nas.cli.storage import NAS_STORAGE
from studies.dashboard.annotated_storage import AnnotatedStorage
from studies.storage.studies import load_study, open_storage

SECRET = "hunter2/h#n%ter2"
WRITTEN = "hunter2/h#n%25ter2"
"""As a URL has it."""
TOLD = ("hunter2", "n%ter2", "n%25ter2", "@ter2", "ter2@", ":ter2")
"""Each a part of it, as something may quote it."""
BUDGET = ("--budget", "140mflops")
LINES: dict[str, tuple[str, ...]] = {
    "nas.calibrate": BUDGET,
    "nas.compare": ("--study", "one"),
    "nas.dashboard": ("--study", "one"),
    "nas.export": ("--study", "one"),
    "nas.finalists": ("--study", "one"),
    "nas.latency agent": ("--device", "pi", "--idle", "1s"),
    "nas.latency bundle": ("--study", "one"),
    "nas.latency explain": ("v2-0.5x",),
    "nas.latency import": ("results.json", "--bundle", "bundle"),
    "nas.latency list": (),
    "nas.latency measure": ("v2-0.5x",),
    "nas.latency predict": ("v2-0.5x",),
    "nas.latency references": ("--only", "v2-0.5x"),
    "nas.ledger export": ("ledger.csv",),
    "nas.ledger list": (),
    "nas.report": ("--study", "one", "--table", "table.json"),
    "nas.run": ("--study", "one", "--scorer", "table:table.json", "--trials", "3"),
    "nas.score": ("v2-0.5x",),
}
"""Every command that takes --storage, with what else it needs."""
WORKING = ("nas.run", "nas.report", "nas.ledger list", "nas.ledger export", "nas.latency list", "nas.latency agent")
"""Those that need neither images nor a timing."""


def parsers() -> Iterator[tuple[str, Parser]]:
    """Every command and every subcommand, with its parser."""
    for file in sorted((ROOT / "nas").glob("*/__main__.py")):
        name = f"nas.{file.parent.name}"
        parser = import_module(f"{name}.__main__").make_parser()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                yield from ((f"{name} {word}", each) for word, each in action.choices.items())
        yield name, parser


def started(line: str, *arguments: str) -> int:
    """The exit status of a command's line."""
    name, *words = line.split()
    try:
        return int(import_module(f"{name}.__main__").main([*words, *LINES[line], *arguments]))
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(NAS_STORAGE, raising=False)
    Path("table.json").write_text(json.dumps({code: row(code) for code in CODES}))


@pytest.fixture
def secret_url(server_url: str, table: None) -> str:
    return server_url.replace("nas@", f"nas:{WRITTEN}@")


def test_every_command_that_takes_a_storage_is_known_here_and_says_that_the_environment_names_it() -> None:
    found = {name: parser for name, parser in parsers() if "--storage" in parser._option_string_actions}
    assert set(found) == set(LINES)
    for parser in found.values():
        action = parser._option_string_actions["--storage"]
        assert f"default: ${NAS_STORAGE}" in str(action.help)
        assert action.default is None  # or --help would print it
        assert not action.required


def _check_nothing_tells(printed: str, folder: Path, url: str | None = None) -> None:
    told = [name for name in TOLD if name in printed]
    assert not told, printed
    for path in folder.rglob("*"):
        if path.is_file():
            assert not [name for name in TOLD if name.encode() in path.read_bytes()], path
    if url is None:
        return
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        for name in sqlalchemy.inspect(engine).get_table_names():
            for kept in connection.exec_driver_sql(f'SELECT * FROM "{name}"'):
                assert not [each for each in TOLD if each in str(tuple(kept))], name
    engine.dispose()


@pytest.mark.parametrize("by", ["flag", "environment"])
def test_a_run_on_a_server_and_what_reads_it_leave_no_password(
    by: str, secret_url: str, server_url: str, tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--storage", secret_url) if by == "flag" else ()
    if by == "environment":
        monkeypatch.setenv(NAS_STORAGE, secret_url)
    printed = ""
    for line in WORKING:
        name, *words = line.split()
        ended = run(name, *words, *LINES[line], *given)
        assert ended.returncode == 0, (line, ended.stderr)
        printed += ended.stdout + ended.stderr
    _check_nothing_tells(printed, tmp_path, server_url)
    assert read_json(Path("runs/one/front.json"))["provenance"]["command"].startswith("python -m nas.run --study one")
    assert "--study one --storage 'postgresql+psycopg://nas:***@127.0.0.1" in printed


@pytest.mark.parametrize("line", LINES)
def test_no_command_tells_the_password_of_a_server_that_does_not_answer(
    line: str, table: None, tmp_path: Path, capfd
) -> None:
    url = f"postgresql+psycopg://nas:{WRITTEN}@127.0.0.1:1/nas"
    for file in ("results.json", "bundle"):
        Path(file).write_text("{}")
    assert started(line, "--storage", url) == 2
    assert started(line, f"--storage={url}", "--no-such-flag", url) == 2
    printed = capfd.readouterr()
    _check_nothing_tells(printed.out + printed.err, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://127.0.0.1:1/nas?password=hunter2",
        "postgresql+psycopg://nas:hun@ter2@127.0.0.1:1/nas",
        "postgresql+psycopg://nas:hun@x:ter2@127.0.0.1:1/nas",
        "postgresql+psycopg://nas:{hunter2}@127.0.0.1:1/nas?nosuch=hunter",
        "postgresql+psycopg://nas:hunter2",
        "nas:hunter2@host",
        "host=127.0.0.1 password=hunter2",
        "nosuchdb://nas:hunter2@host/nas",
        "sqlite://nas:hunter2@/x.db",
    ],
)
def test_a_url_that_is_none_is_told_without_its_password(url: str, table: None, tmp_path: Path, capfd) -> None:
    for line in ("nas.ledger list", "nas.run", "nas.report"):
        assert started(line, "--storage", url) == 2
    printed = capfd.readouterr()
    assert len(printed.err.splitlines()) == 3
    _check_nothing_tells(printed.out + printed.err, tmp_path)


def test_a_traceback_tells_no_password(run, tmp_path: Path) -> None:
    url = f"postgresql+psycopg://nas:{WRITTEN}@127.0.0.1:1/nas"
    ended = run("nas.ledger", "list", "--storage", url, "--debug")
    assert "Traceback" in ended.stderr
    assert ended.returncode == 1
    _check_nothing_tells(ended.stdout + ended.stderr, tmp_path)


def test_a_password_that_an_earlier_version_kept_is_not_told(secret_url: str, run, tmp_path: Path) -> None:
    assert run("nas.run", *LINES["nas.run"], "--storage", secret_url).returncode == 0
    storage = open_storage(secret_url)
    study = load_study(storage, "one")
    command = f"python -m nas.run --storage {secret_url}"
    study.set_user_attr("provenance", {**study.user_attrs["provenance"], "command": command})
    ended = run("nas.report", *LINES["nas.report"], "--storage", secret_url)
    assert ended.returncode == 0
    annotated = AnnotatedStorage(secret_url)
    shown = str([vars(each) for each in annotated.get_all_studies()])
    assert "python -m nas.run --storage" in shown
    _check_nothing_tells(ended.stdout + ended.stderr + shown, tmp_path)
    for each in (storage, annotated):
        each.engine.dispose()
