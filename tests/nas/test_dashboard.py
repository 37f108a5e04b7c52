"""The dashboard on a kept study: what it shows of trials, that it writes nothing, and mistakes in one line each."""

import errno
import json
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen
from wsgiref.simple_server import WSGIServer

import optuna
import pytest
from builders.records import record
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from processes.browser import opened
from processes.waiting import until

from nas.dashboard import __main__ as dashboard
from nas.dashboard import run as dashboard_work
from search_space import PRESETS, Budget, SearchSpace
from search_space.choosers import RandomChooser
from studies.dashboard.annotated_storage import FILES, ONNX, AnnotatedStorage, Artifact
from studies.front import front_of
from studies.record import attributes_of
from studies.storage.retimed_latencies import keep_retimed
from studies.storage.studies import open_storage, open_study, records_of

Captured = pytest.CaptureFixture[str]
SETTINGS = {"budget": "140mflops", "data": "fashion-mnist-12k", "recipe": {"name": "short"}}
CURVES = {"training_losses": [2.0, 1.0], "validation_losses": [1.5], "validation_accuracies": [0.5], "seconds": 1.0}


def kept(folder: Path, trials: int) -> str:
    """A study of drawn networks with exact costs; accuracies and latencies follow FLOPs and the number, by a rule."""
    url = f"sqlite:///{folder}/study.db"
    study = open_study(open_storage(url), "one", SETTINGS, resume=False)
    space = SearchSpace.default(Budget.parse("140mflops"))
    for number in range(trials):
        made = record(space.suggest(RandomChooser(number)), 0.0, 1.0)
        ms = 0.5 + made.macs / 40e6 * (1 + (number * 37 % 100) / 100)
        accuracy = 0.5 + 0.3 * (number * 61 % 101) / 101
        attributes = attributes_of(made) | {"training": CURVES, "latency": {**made.latency.plain, "latency_ms": ms}}
        study.add_trial(optuna.create_trial(values=[accuracy, ms], user_attrs=attributes))
    failed = {"cause": "RuntimeError: no room"}
    study.add_trial(optuna.create_trial(state=TrialState.FAIL, user_attrs=failed))
    return url


@pytest.fixture
def served(tmp_path: Path, command: Callable[..., list[str]]) -> Iterator[Callable[[str], str]]:
    """Starts the dashboard on a storage; gives the address of its only study. Ctrl-C ends it cleanly."""
    processes = []

    def start(url: str) -> str:
        line = command("nas.dashboard", "--storage", url, "--port", "0")
        processes.append(subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1].stdout.readline().strip()

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
        assert (process.returncode, said.splitlines()[-1]) == (130, "ended")


def dump(file: Path) -> list[str]:
    """Everything that the database holds, as SQL."""
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def read(address: str) -> bytes:
    with urlopen(address, timeout=120) as answer:
        return bytes(answer.read())


def detail_of(address: str) -> dict:
    return json.loads(read(address.replace("/dashboard/", "/api/")))


def test_a_study_and_its_trials_are_told_and_nothing_is_written(tmp_path: Path, served: Callable[[str], str]) -> None:
    url = kept(tmp_path, 3)
    before = dump(tmp_path / "study.db")
    address = served(url)
    detail = detail_of(address)
    assert "140mflops" in detail["note"]["body"]
    notes = [trial["note"]["body"] for trial in detail["trials"]]
    assert all("MFLOPs" in note for note in notes[:3])
    assert notes[3] == "**fail**: RuntimeError: no room"
    files = [sorted(each["filename"] for each in trial["artifacts"]) for trial in detail["trials"]]
    assert files == [sorted(FILES)] * 3 + [[]]
    root, trial = address.partition("/dashboard/")[0], detail["trials"][1]
    for artifact in trial["artifacts"]:
        if artifact["filename"] != ONNX:
            drawn = read(f"{root}/artifacts/1/{trial['trial_id']}/{artifact['artifact_id']}").decode()
            assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert RDBStorage(url).get_study_system_attrs(1).keys() == {"study:metric_names"}
    assert dump(tmp_path / "study.db") == before


@pytest.mark.slow
def test_the_onnx_file_is_made_when_it_is_asked_for(tmp_path: Path, served: Callable[[str], str]) -> None:
    import onnx

    address = served(kept(tmp_path, 1))
    (trial, _) = detail_of(address)["trials"]
    (made,) = (each for each in trial["artifacts"] if each["filename"] == ONNX)
    root = address.partition("/dashboard/")[0]
    (tmp_path / "a.onnx").write_bytes(read(f"{root}/artifacts/1/{trial['trial_id']}/{made['artifact_id']}"))
    properties = {one.key: one.value for one in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert properties["trained"] == "false"
    architecture = SearchSpace.default(Budget.parse("140mflops")).suggest(RandomChooser(0))
    assert json.loads(properties["architecture"]) == architecture.to_dict()


@pytest.mark.slow
def test_a_browser_shows_a_thousand_trials_with_the_front_marked(tmp_path: Path, served: Callable[[str], str]) -> None:
    url = kept(tmp_path, 1000)
    front = {each.number for each in front_of(records_of(optuna.load_study(study_name="one", storage=url)))}
    address = served(url)
    assert {trial["number"] for trial in detail_of(address)["best_trials"]} == front
    with opened(tmp_path / "profile") as driver:
        driver.get(address)
        shown(driver, "Pareto Front")
        number = min(front)
        driver.get(f"{address}/trials?numbers={number}")
        shown(driver, "Best Trial")
        shown(driver, "MFLOPs")
        pictures = "return [...document.querySelectorAll('img')].filter(i => i.naturalWidth > 0).length"
        wait_until(lambda: driver.execute_script(pictures) >= 3)


def test_a_request_that_the_end_breaks_off_is_not_told_as_a_fault(capsys: Captured) -> None:
    with dashboard_work._server("127.0.0.1", 0) as server:
        fail(server)
        with pytest.raises(KeyboardInterrupt), interrupted_once_it_serves(server):
            server.serve_until_interrupted()
        fail(server)
    assert capsys.readouterr().err == "a request failed: OSError: [Errno 9] Bad file descriptor\n"


def test_an_end_while_it_is_beginning_leaves_nothing_that_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    before = set(threading.enumerate())
    with dashboard_work._server("127.0.0.1", 0) as server, pytest.raises(KeyboardInterrupt):
        server.serve_until_interrupted()
    until(lambda: not set(threading.enumerate()) - before)


def fail(server: WSGIServer) -> None:
    """Has a request of the server fail."""
    try:
        raise OSError(errno.EBADF, "Bad file descriptor")
    except OSError:
        server.handle_error(None, None)


@contextmanager
def interrupted_once_it_serves(server: WSGIServer) -> Iterator[None]:
    """As by Ctrl-C, once."""
    main_thread, pending = threading.get_ident(), [signal.SIGALRM]

    def interrupt() -> None:
        if pending:
            signal.pthread_kill(main_thread, pending.pop())

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "service_actions", interrupt)
        yield
    signal.signal(signal.SIGALRM, before)


def shown(driver: object, text: str) -> None:
    wait_until(lambda: text in driver.execute_script("return document.body.innerText"))  # type: ignore[attr-defined]


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_an_artifacts_name_leads_back_to_it() -> None:
    for file in FILES:
        artifact = Artifact(1234567, file)
        assert re.fullmatch("[0-9a-f-]+", artifact.id)
        assert Artifact.of_id(artifact.id) == artifact


def test_new_trials_are_told_too(tmp_path: Path) -> None:
    url = kept(tmp_path, 1)
    storage = AnnotatedStorage(url)
    before = storage.get_study_system_attrs(1).keys()
    made = attributes_of(record(PRESETS["v2-0.5x"], 0.5, 1.0))
    optuna.load_study(study_name="one", storage=url).add_trial(optuna.create_trial(values=[0.5, 1.0], user_attrs=made))
    assert len(storage.get_study_system_attrs(1).keys() - before) == 5, "a note of two parts and three files"


def test_a_latency_that_was_taken_anew_stands_in_place_of_the_first(tmp_path: Path) -> None:
    url = kept(tmp_path, 2)
    study = optuna.load_study(study_name="one", storage=url)
    storage = AnnotatedStorage(url)
    assert storage.get_study_system_attrs(1)  # what was noted before is noted anew
    first, second = records_of(study)
    keep_retimed(study, first.architecture.key(), first.latency.changed(latency_ms=1234.0))
    assert [each.values[1] for each in storage.get_all_trials(1)[:2]] == [1234.0, second.latency_ms]
    assert any("1234 ms" in str(note) for note in storage.get_study_system_attrs(1).values())
    assert [each.values[1] for each in study.get_trials()[:2]] == [first.latency_ms, second.latency_ms]


def test_mistakes_are_one_line(tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = kept(tmp_path, 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        mistakes = {
            ("--storage", url, "--port", port): "cannot be had",
            ("--storage", url, "--study", "two"): "no study 'two'",
            ("--storage", "sqlite:///none.db"): "no file 'none.db'",
            (): "say which study",
        }
        for line, text in mistakes.items():
            assert dashboard.main([*line]) == 2
            assert text in capsys.readouterr().err
    monkeypatch.setattr(dashboard_work, "find_spec", lambda name: None)
    assert dashboard.main(["--storage", url]) == 2
    assert ".[dashboard]" in capsys.readouterr().err
