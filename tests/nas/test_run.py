import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from builders.places import WAIT_SECONDS, read_json

from nas.export.__main__ import main as export
from nas.run.__main__ import main as search
from nas.search.references import references_for
from proxies.backbone import deployed
from proxies.counting import count
from search_space import Architecture, Budget, cost_of
from search_space.plan import NO_CLASSIFIER
from search_space.task import Task
from studies.front import front_of
from studies.ledger.latencies import Ledger
from studies.storage.database import engine_of
from studies.storage.studies import records_of

# The smallest real run: a few dozen images, networks of at most 2 MFLOPs at 32 px, one worker, which loads torch.
TINY = ("--budget", "2mflops", "--resolution", "32", "--classes", "10", "--image-size", "16", "--study", "tiny")
TINY += ("--workers", "1")
QUICK = (*TINY, "--no-finalists")
Captured = pytest.CaptureFixture[str]
Line = Callable[..., list[str]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_a_run_leaves_a_front_that_a_reader_can_rebuild_and_a_second_one_goes_on(
    run_briefly: Run, images: Path, capsys: Captured
) -> None:
    finished = run_briefly("nas.run", *TINY, "--data", f"folder:{images}", "--trials", 2)
    assert finished.returncode == 0, finished.stderr
    out = Path("runs/tiny")
    content = read_json(out / "front.json")
    _check_front(content, out)
    _check_table(finished.stdout, content)
    _check_study("sqlite:///runs/tiny/study.db", content)
    assert "plotly" in (out / "report.html").read_text(encoding="utf-8").lower()

    assert "kept as the study tiny-finalists" in finished.stdout

    assert search([*TINY, "--data", f"folder:{images}", "--trials", "2"]) == 2
    assert "--resume" in capsys.readouterr().err

    assert search([*TINY, "--data", f"folder:{images}", "--seed", "1", "--resume"]) == 2
    assert "seed was 0, now 1" in capsys.readouterr().err

    more = run_briefly("nas.run", *TINY, "--data", f"folder:{images}", "--trials", 3, "--resume", "--no-finalists")
    assert more.returncode == 0, more.stderr
    assert "reference v" not in more.stderr, "references must not be evaluated a second time"
    states = [trial.state.name for trial in _trials("tiny")]
    assert states == ["COMPLETE"] * 3

    assert export(["--study", "tiny", "--pick", "best", "--out", "picked"]) == 0
    best = max(read_json(out / "front.json")["front"], key=lambda row: row["accuracy"])
    assert [read_json(path) for path in Path("picked").glob("*.json")] == [best["architecture"]]


def _check_front(content: dict, out: Path) -> None:
    front = content["front"]
    assert [row["latency_ms"] for row in front] == sorted(row["latency_ms"] for row in front)
    assert [row["accuracy"] for row in front] == sorted({row["accuracy"] for row in front})
    for row in front:
        architecture = Architecture.from_dict(read_json(out / "front" / f"{row['name']}.json"))
        cost = cost_of(architecture, resolution=32, num_classes=10)
        assert (cost.macs, cost.params) == (row["macs"], row["params"])
        assert cost.macs <= 2_000_000
        assert row["latency_ms"] > 0
        assert len(row["training"]["training_losses"]) == content["settings"]["recipe"]["epochs"]
        assert row["proxy_accuracy"] == row["training"]["validation_accuracies"][-1]
    assert {row["reference"][:2] for row in content["references"]} == {"v1", "v2"}
    assert content["provenance"]["data"]["training_images"] + content["provenance"]["data"]["validation_images"] == 80


def _check_table(printed: str, content: dict) -> None:
    for row in content["front"] + content["references"]:
        line = next(line for line in printed.splitlines() if line.split()[:1] == [row["name"]])
        assert f"{100 * row['proxy_accuracy']:.1f}" in line
    assert "front.json" in printed
    assert "report.html" in printed


def _check_study(url: str, content: dict) -> None:
    study = optuna.load_study(study_name="tiny", storage=url)
    assert study.metric_names == ["accuracy", "latency_ms"]
    # Not `best_trials`: what stood on the front was timed again, and its own values are of the quick timing.
    best = {record.architecture.key() for record in front_of(records_of(study))}
    assert best == {row["key"] for row in content["front"]}
    for trial in study.get_trials(states=[optuna.trial.TrialState.COMPLETE]):
        assert {"architecture", "key", "macs", "params", "latency_spread", "seconds", "where"} <= set(trial.user_attrs)
        architecture = Architecture.from_dict(trial.user_attrs["architecture"])
        assert architecture.unit == trial.params["unit"]
        assert [stage.depth for stage in architecture.stages] == [trial.params[f"depth_{n}"] for n in (2, 3, 4)]


@pytest.mark.slow
def test_a_killed_run_is_resumed_without_loss_or_repetition(briefly: Line, run_briefly: Run, images: Path) -> None:
    line = (*QUICK, "--data", f"folder:{images}", "--trials", 2)
    before = _kill_after_first_trial(briefly("nas.run", *line), signal.SIGKILL)
    kept = [trial for trial in before if trial.state.name == "COMPLETE"]
    assert kept
    finished = run_briefly("nas.run", *line, "--resume")
    assert finished.returncode == 0, finished.stderr
    after = _trials("tiny")
    assert [trial.values for trial in after[: len(kept)]] == [trial.values for trial in kept]
    completed = [trial for trial in after if trial.state.name == "COMPLETE"]
    assert len(completed) == 2
    assert len({trial.user_attrs["key"] for trial in completed}) == 2
    lost = [trial for trial in after if trial.state.name == "FAIL"]
    assert all(trial.user_attrs["cause"] == "interrupted" for trial in lost)
    assert len(lost) <= 1, "one worker has one trial in flight"
    for trial in lost:
        # A kill may come while parameters are still being drawn: those that were are kept.
        again = [other.number for other in completed if trial.params.items() <= other.params.items()]
        assert again, "what was in flight is evaluated after all"
    assert "RUNNING" not in {trial.state.name for trial in after}


@pytest.mark.slow
def test_a_second_study_trains_nothing_that_the_ledger_holds(run_briefly: Run, images: Path) -> None:
    line = (*QUICK, "--data", f"folder:{images}", "--trials", 1)
    assert run_briefly("nas.run", *line).returncode == 0
    storage = ("--storage", "sqlite:///runs/tiny/study.db", "--study", "again", "--budget", "1.9mflops,2mparams")
    second = run_briefly("nas.run", *line, *storage)
    assert second.returncode == 0, second.stderr
    references = sum(line.startswith("reference") for line in second.stderr.splitlines())
    assert references > 1
    known = re.search(r"(\d+) trainings and \d+ latencies were known from the ledger", second.stdout)
    assert known is not None, second.stdout
    assert int(known[1]) >= references


@pytest.mark.slow
def test_ctrl_c_ends_with_the_front_so_far(briefly: Line, images: Path) -> None:
    line = briefly("nas.run", *TINY, "--data", f"folder:{images}", "--trials", 50)
    process = subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore Ctrl-C
    )
    _wait_for_a_trial(process)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 130
    assert read_json(Path("runs/tiny/front.json"))["front"]
    assert "beside nearest reference" in printed
    assert "finalists" not in printed, "who stops a run wants it to end"
    assert "RUNNING" not in {trial.state.name for trial in _trials("tiny")}


@pytest.mark.slow
def test_a_latency_budget_rejects_before_any_training(run_briefly: Run, images: Path) -> None:
    line = (*QUICK[2:], "--budget", "2mflops,1us", "--data", f"folder:{images}", "--trials", 1)
    finished = run_briefly("nas.run", *line)
    assert finished.returncode == 0, finished.stderr
    (trial,) = (trial for trial in _trials("tiny") if trial.state.name != "WAITING")
    assert trial.state.name == "PRUNED"
    assert trial.user_attrs["latency"]["latency_ms"] > 0.001
    assert "training" not in trial.user_attrs
    assert read_json(Path("runs/tiny/front.json"))["front"] == []


@pytest.mark.slow
def test_a_search_for_backbones_costs_and_times_their_maps_and_says_that_they_classify(
    run_briefly: Run, images: Path, capsys: Captured
) -> None:
    of_backbones = ("--task", "detection-backbone", "--budget", "630kflops", "--resolution", "32", "--study", "tiny")
    line = (
        *of_backbones,
        "--image-size",
        "16",
        "--workers",
        1,
        "--data",
        f"folder:{images}",
        "--trials",
        1,
        "--no-finalists",
    )
    finished = run_briefly("nas.run", *line)
    assert finished.returncode == 0, finished.stderr
    content = read_json(Path("runs/tiny/front.json"))
    settings, provenance = content["settings"], content["provenance"]
    assert (settings["task"], settings["resolution"], settings["classes"]) == ("detection-backbone", 32, 0)
    assert provenance["deployment"]["told"].startswith("32 px, feature maps at strides 8, 16 and 32")
    assert "no detector is trained" in provenance["accuracy"]
    # Of these a run of one trial has time for some; up to 5 % over the budget counts as its class.
    named = set(references_for(Budget.parse("630kflops"), Task(32, NO_CLASSIFIER)))
    assert {row["reference"] for row in content["references"]} & named
    assert {row["reference"] for row in content["references"]} <= named
    for row in content["front"] + content["references"]:
        architecture = Architecture.from_dict(row["architecture"])
        assert architecture.head == 0
        assert (row["macs"], row["params"]) == count(deployed(architecture, 0), (1, 3, 32, 32))
        assert row["macs"] <= 1.05 * 630_000
    assert all(row["macs"] <= 630_000 for row in content["front"])
    for text in (finished.stdout, finished.stderr, Path("runs/tiny/report.html").read_text(encoding="utf-8")):
        assert "no detector is trained" in text
    assert "at 32 px, feature maps at strides 8, 16 and 32, without head and classifier" in finished.stdout
    engine = engine_of("sqlite:///runs/tiny/study.db")
    assert {measured.classes for measured in Ledger(engine).measurements()} == {0}
    engine.dispose()

    other = ("--resume", "--task", "classification", "--budget", "2mflops", "--classes", "10")
    assert search([*map(str, line), *other]) == 2
    refused = capsys.readouterr().err
    assert "classes was 0, now 10" in refused
    assert "task was 'detection-backbone', now None" in refused

    assert export(["--study", "tiny", "--pick", "best", "--out", "picked"]) == 0
    assert "no detector is trained" in capsys.readouterr().out


def _kill_after_first_trial(line: list[str], signal_number: int) -> list[optuna.trial.FrozenTrial]:
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for_a_trial(process)
    process.send_signal(signal_number)
    process.wait()
    return _trials("tiny")


def _wait_for_a_trial(process: subprocess.Popen) -> None:
    while not any(trial.state.name == "COMPLETE" for trial in _trials("tiny")):
        assert process.poll() is None, "the run ended before its first trial"
        time.sleep(0.2)


def _trials(study: str) -> list[optuna.trial.FrozenTrial]:
    database = Path("runs", study, "study.db")
    if not _is_made(database, study):
        return []
    return optuna.load_study(study_name=study, storage=f"sqlite:///{database}").trials


def _is_made(database: Path, study: str) -> bool:
    # Asked without Optuna, which would make the tables itself while the run is just doing so.
    if not database.exists():
        return False
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            return bool(connection.execute("SELECT 1 FROM studies WHERE study_name = ?", [study]).fetchone())
        except sqlite3.OperationalError:
            return False


@pytest.mark.parametrize("module", ["nas.run", "nas.export", "nas.cost"])
def test_help_and_usage_errors_do_not_import_torch(module: str, command: Callable[..., list[str]]) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['x', *sys.argv[1:]]\n"
        f"try:\n    runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit as stop:\n    print('status', stop.code, 'torch' in sys.modules)\n"
    )
    python = command(module)[0]
    for arguments, status in ((["--help"], 0), (["--nonsense"], 2)):
        finished = subprocess.run(
            [python, "-c", code, *arguments], capture_output=True, text=True, check=True, env=os.environ
        )
        assert finished.stdout.splitlines()[-1] == f"status {status} False"
