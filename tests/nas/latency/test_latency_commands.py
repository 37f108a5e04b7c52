"""The subcommands of `nas.latency` that need no device of their own: check, list and predict."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders.measurements import latency as made_up_latency

from nas.latency import __main__ as latency
from nas.latency import check as latency_check
from nas.latency import measure as latency_measure
from proxies.latency.measure import Latency
from proxies.latency.synthetic_load import loaded_cores
from search_space import PRESETS, Architecture, Budget, SearchSpace, cost_of
from search_space.choosers import RandomChooser
from studies.facts import LatencyFacts
from studies.ledger.latencies import Ledger, Measured
from studies.storage.database import engine_of

SPACE = SearchSpace.default(Budget.parse("140mflops"))
Captured = pytest.CaptureFixture[str]


def how(latency_ms: float, **changes: Any) -> dict[str, Any]:
    return {
        **{"latency_ms": latency_ms, "reference_ms": 4.0, "reference_p10_ms": 4.2, "spread": 0.01, "noisy": False},
        **{"runtime": "onnxruntime", "runtime_version": "1.30", "precision": "float32", "fingerprint": "abc"},
        **{"batch_size": 1, "resolution": 224, "taken_at": 1e9, **changes},
    }


def kept(folder: Path, measurements: list[Measured]) -> str:
    url = f"sqlite:///{folder}/study.db"
    engine = engine_of(url)
    Ledger(engine).add(measurements)
    engine.dispose()
    return url


def measured(number: int, **changes: Any) -> Measured:
    architecture: Architecture = SPACE.suggest(RandomChooser(number))
    ms = 0.5 + cost_of(architecture).macs / 40e6
    return Measured(architecture.key(), 1000, "a board", "run", LatencyFacts(how(ms, **changes)), architecture)


# The dispatcher


def test_help_lists_what_there_is(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        latency.main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert [name for name in latency.SUBCOMMANDS if f"    {name}" not in printed] == []


def test_help_of_a_subcommand_needs_no_torch() -> None:
    code = (
        "import sys; from nas.latency.__main__ import main\n"
        f"for subcommand in {list(latency.SUBCOMMANDS)}:\n"
        "    try: main([subcommand, '--help'])\n"
        "    except SystemExit as ended: assert ended.code == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: python -m nas.latency") == len(latency.SUBCOMMANDS)


def test_a_subcommand_is_needed(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        latency.main([])
    assert ended.value.code == 2
    assert "SUBCOMMAND" in capsys.readouterr().err


# check


@pytest.mark.slow
def test_check_shows_the_spread_of_each_estimate_and_its_circumstances(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proxies.latency import measure as measuring
    from proxies.latency.protocol import Timing

    short = Timing(processes=2, max_processes=2, rounds=2, runs=2, warmup_runs=1, least_rounds=2, tolerance=9.0)
    real = measuring.compare
    monkeypatch.setattr(measuring, "compare", lambda *networks, timing, seed: real(*networks, timing=short, seed=seed))
    monkeypatch.setattr(latency_check, "NETWORKS", {name: latency_check.NETWORKS[name] for name in latency_check.PAIR})
    flags = ["--repeats", "2", "--resolution", "32", "--conditions", "quiet", "--depths", "quick"]
    assert latency.main(["check", *flags, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "quiet, quick: standard deviation and worst between measurements, %" in printed.out
    assert "quiet, quick, 2 of 2: v2 120-240-480, depth 8: " in printed.err
    assert "quick: of 2 pairs of repeats, over all conditions, " in printed.out
    for text in ("come in the right order in", "own p10 wandered by", "stolen by the hypervisor", "flagged noisy"):
        assert printed.out.count(text) == 1
    content = json.loads((tmp_path / "check.json").read_text())
    assert [(row["condition"], len(row["latencies"])) for row in content] == [("quiet", 2)] * 2


@pytest.mark.slow
def test_a_check_that_is_stopped_shows_what_it_has(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    from proxies.latency import measure as measuring

    answers = [0.3, 0.31, 0.32]

    def compare(*networks: Any, timing: Any, seed: int) -> Any:
        if not answers:
            raise KeyboardInterrupt
        return made_up_latency(answers.pop(), reference_ms=1.0, spread=0.04, steal_share=None)

    monkeypatch.setattr(measuring, "compare", compare)
    monkeypatch.setattr(latency_check, "NETWORKS", {"v2-0.5x": PRESETS["v2-0.5x"]})
    flags = ["--resolution", "32", "--conditions", "quiet", "--depths", "quick,full"]
    assert latency.main(["check", *flags, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert "stopped" in printed.err
    assert printed.out.count("of 1 pairs of repeats") == 1, "of one depth there are two, and of the other one"
    assert "quiet, quick: " in printed.out
    assert "quiet, full: " in printed.out
    assert sorted(len(row["latencies"]) for row in json.loads((tmp_path / "check.json").read_text())) == [1, 2]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux to look at processes")
def test_a_synthetic_load_keeps_every_core_busy_and_ends() -> None:
    with loaded_cores() as cores:
        busy = [child for child in active_children() if "proxies.latency.synthetic_load" in child]
        assert cores == len(busy) == len(os.sched_getaffinity(0))
    assert [child for child in active_children() if "proxies.latency.synthetic_load" in child] == []


def active_children() -> list[str]:
    """The command lines of the processes that this one started and that run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            line = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it ended meanwhile
            continue
        if parent == os.getpid() and line:
            found.append(line)
    return found


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--repeats", "1"), "--repeats must be at least 2, got 1"),
        (("--conditions", "quiet,noisy"), "--conditions are quiet, loaded, joined by commas; got 'noisy'"),
        (("--depths", "full,deep"), "--depths are quick, full, joined by commas; got 'deep'"),
        (("--time", "soon"), "--time"),
        (("--runtime", "tvm"), "'tvm' came"),
        (("--resolution", "8"), "--resolution must be at least 32, got 8"),
    ],
)
def test_a_check_that_cannot_be_made_is_refused(capsys: Captured, flags: tuple[str, ...], said: str) -> None:
    assert latency.main(["check", *flags]) == 2
    text = capsys.readouterr().err
    assert said in text
    assert text.count("\n") == 1


# measure


@pytest.mark.slow
def test_what_is_measured_is_printed_and_kept_and_what_fails_costs_one_network(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare(candidate: Any, reference: Any, **options: Any) -> Latency:
        if options.get("seed") == 1:
            raise RuntimeError("the measuring process died:\nkilled")
        return made_up_latency(batch_size=8)

    monkeypatch.setattr(latency_measure, "compare", compare)
    url = f"sqlite:///{tmp_path}/study.db"
    flags = ("--random", "2", "--budget", "5mflops", "--resolution", "64", "--runtime", "torch", "--batch-size", "8")
    assert latency.main(["measure", "v2-0.5x", *flags, "--storage", url]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "v2-0.5x: 4.2 MFLOPs, 1.37 M params, 2.500 ms ±0.5 %, 3200 images/s at 64 px, 1000 classes"
    assert lines[1].endswith("failed: RuntimeError: the measuring process died: killed")
    engine = engine_of(url)
    kept_ones = Ledger(engine).measurements(device="abc")
    engine.dispose()
    assert kept_ones[0].network == PRESETS["v2-0.5x"].key()
    assert len(kept_ones) == len(lines) - 1 == 2
    assert all(one.latency.seconds > 0 for one in kept_ones)


@pytest.mark.slow
def test_backbones_are_measured_beside_the_anchors_backbone_and_kept_as_what_they_are(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    def compare(candidate: Any, reference: Any, **options: Any) -> Latency:
        shapes.append([len(prepared.expected.values) for prepared in (candidate, reference)])
        return made_up_latency()

    monkeypatch.setattr(latency_measure, "compare", compare)
    url = f"sqlite:///{tmp_path}/study.db"
    flags = ("--task", "detection-backbone", "--resolution", "64", "--runtime", "torch", "--storage", url)
    assert latency.main(["measure", "v2-0.5x", *flags]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    # 2.434 M multiply-adds: by fvcore, of the three maps at 64 px.
    assert line.startswith("v2-0.5x: 2.4 MFLOPs, 0.14 M params, 2.500 ms ±0.5 % at 64 px, feature maps at strides ")
    assert shapes == [[3, 3], [3, 3]]
    engine = engine_of(url)
    (kept_one,) = Ledger(engine).measurements()
    engine.dispose()
    assert (kept_one.network, kept_one.classes) == (replace(PRESETS["v2-0.5x"], head=0).key(), 0)


def test_a_backbone_has_no_classes_to_measure_at(capsys: Captured) -> None:
    assert latency.main(["measure", "v2-0.5x", "--task", "detection-backbone", "--classes", "10"]) == 2
    assert "leave --classes out" in capsys.readouterr().err


def test_nothing_to_measure_is_a_mistake(capsys: Captured) -> None:
    assert latency.main(["measure"]) == 2
    assert "name presets or JSON files, or give --random 60" in capsys.readouterr().err


# list


def test_a_list_has_a_line_for_what_is_measured_alike(tmp_path: Path, capsys: Captured) -> None:
    url = kept(
        tmp_path,
        [
            measured(1),
            measured(2, noisy=True, reference_p10_ms=4.41, taken_at=1e9 + 7200),
            measured(2, runtime="openvino"),
            replace(measured(2), classes=0),
        ],
    )
    assert latency.main(["list", "--storage", url]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "a board" in line]
    assert [row[2] for row in rows] == ["onnxruntime", "onnxruntime", "openvino"]
    assert [row[5] for row in rows] == ["classification", "detection-backbone", "classification"]
    assert " ".join(rows[0]).endswith("1 of 2 5.0 % in 2.0 h")


def test_a_storage_that_is_not_there_is_not_made(tmp_path: Path, capsys: Captured) -> None:
    for subcommand in ("list", "predict"):
        assert latency.main([subcommand, "--storage", f"sqlite:///{tmp_path}/none.db"]) == 2
        assert "there is no file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# predict


def test_a_prediction_comes_with_how_far_it_is_off(tmp_path: Path, capsys: Captured) -> None:
    url = kept(tmp_path, [measured(number) for number in range(40)])
    assert latency.main(["predict", "v2-1.0x", "--storage", url]) == 0
    printed = capsys.readouterr().out
    rows = {tuple(line.split()[:2]): line.split() for line in printed.splitlines()}
    # These latencies follow FLOPs to the letter, so FLOPs alone predict them.
    assert rows["FLOPs", "alone"][7:11] == ["100.0", "%", "100.0", "%"]
    assert rows["FLOPs", "alone"][-1] == "1.000"
    assert "20, 20 draws" in printed
    (text,) = [line for line in printed.splitlines() if line.startswith("v2-1.0x: ")]
    assert float(text.split()[1]) == pytest.approx(0.5 + 144.9 / 40, rel=0.1)


def test_latencies_that_were_not_measured_alike_are_not_mixed(tmp_path: Path, capsys: Captured) -> None:
    url = kept(tmp_path, [measured(number, runtime=("torch", "onnxruntime")[number % 2]) for number in range(30)])
    assert latency.main(["predict", "--storage", url]) == 2
    assert "choose with --device" in capsys.readouterr().err
    assert latency.main(["predict", "--storage", url, "--runtime", "torch"]) == 0


def test_too_few_latencies_are_refused(tmp_path: Path, capsys: Captured) -> None:
    url = kept(tmp_path, [measured(number) for number in range(3)])
    assert latency.main(["predict", "--storage", url]) == 2
    assert "12 networks measured alike, got 3" in capsys.readouterr().err
