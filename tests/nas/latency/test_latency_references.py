"""`references` end to end on two small networks; failures, Ctrl-C and bad flags with made-up times."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from builders.measurements import latency as made_up_latency
from builders.places import ROOT

from nas.cli.command import Parser, run_command
from nas.latency import references as latency_references
from nas.latency.flags import FLAGS
from nas.latency.references import Conditions, names_of, run, time_networks
from proxies.latency.measure import Latency, Timing
from proxies.references.names import REFERENCE_NAMES
from search_space import PRESETS, InputError
from studies.latency.flops_verdict import FailedNetwork, TimedNetwork
from studies.ledger.latencies import Ledger
from studies.storage.database import engine_of

PROG = "python -m nas.latency references"
SHORT = Timing(processes=2, max_processes=2, rounds=5, tolerance=9.0)
Captured = pytest.CaptureFixture[str]
Times = Callable[..., list[dict[str, Any]]]


def references(*arguments: str) -> int:
    parser = Parser(prog=PROG)
    FLAGS["references"](parser)
    return run_command(parser, run, arguments)


def latency(ratio: float, reference_ms: float) -> Latency:
    return made_up_latency(ratio * reference_ms, reference_ms, p10_ms=3.0 * ratio)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    """Gives the networks, in turn, these multiples of the anchor's time, or a failure for 0; notes each comparison."""

    def made_up(*ratios: float) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []
        waiting = list(ratios)

        def prepare(network: Any, stem: Path, **options: Any) -> Path:
            return stem

        def compare(candidate: Path, reference: Path, **options: Any) -> Latency:
            if candidate is reference:
                return latency(1.0, 2.0)
            calls.append({"reference": reference, **options})
            ratio = waiting.pop(0)
            if not ratio:
                raise RuntimeError("the measuring process died:\nkilled")
            return latency(ratio, options["reference_ms"])

        monkeypatch.setattr(latency_references, "prepare", prepare)
        monkeypatch.setattr(latency_references, "compare", compare)
        return calls

    return made_up


# For real


@pytest.mark.slow
def test_two_small_networks_from_end_to_end(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_references, "Conditions", partial(Conditions, timing=SHORT))
    out = tmp_path / "new" / "folder"
    flags = ("--only", "squeezenet-1.1,mobilenet-v1-0.25", "--resolution", "64", "--classes", "10")
    assert references(*flags, "--out", str(out)) == 0
    printed = capsys.readouterr()
    data = json.loads((out / "references.json").read_text(encoding="utf-8"))
    small, large = data["networks"]
    # 41.0 million multiply-adds at 224 pixels; those of its classifier, 0.256 million, do not shrink with the image.
    assert (small["name"], large["name"]) == ("mobilenet-v1-0.25", "squeezenet-1.1")
    assert small["macs"] == pytest.approx((41.03e6 - 0.256e6) * (64 / 224) ** 2, rel=0.01)
    assert 0 < small["latency_ms"] < large["latency_ms"]
    for network in data["networks"]:
        how = network["latency"]
        assert how["reference_ms"] == small["latency"]["reference_ms"]
        assert network["latency_ms"] == pytest.approx(how["ratio"] * how["reference_ms"])
        # Means over two processes of a ratio and of what it is of, which on a busy machine need not be near each other.
        assert how["ratio"] == pytest.approx(how["p10_ms"] / how["reference_p10_ms"], rel=0.5)
        assert (how["runtime"], how["resolution"], how["batch_size"]) == ("onnxruntime", 64, 1)
    assert data["verdicts"]["all"]["tau_macs"] == 1.0
    assert data["failures"] == []
    assert "How far FLOPs mislead, all (2 networks):" in printed.out
    assert printed.out.endswith(f"wrote {out / 'references.json'}\nwrote {out / 'references.html'}\n")
    # On a busy machine there may be signs of life beside them.
    lines = [line.split(":")[0] for line in printed.err.splitlines() if not line.startswith("timing ")]
    assert lines == ["1 of 2", "2 of 2"]
    assert "figure-speed" in (out / "references.html").read_text(encoding="utf-8")


# With made-up times


def test_a_network_that_fails_is_a_row_with_its_cause_and_the_rest_goes_on(
    capsys: Captured, tmp_path: Path, times: Times
) -> None:
    # AlexNet's last pool finds nothing left of 48 pixels: it fails where it is counted, V2 1.0x where it is timed.
    times(0.5, 0.0)
    status = references("--only", "v2-0.5x,v2-1.0x,alexnet", "--resolution", "48", "--out", str(tmp_path))
    assert status == 0
    data = json.loads((tmp_path / "references.json").read_text(encoding="utf-8"))
    assert [network["name"] for network in data["networks"]] == ["v2-0.5x"]
    failed, alexnet = data["failures"]
    assert failed["cause"] == "RuntimeError: the measuring process died: killed"
    assert failed["macs"] > 0
    assert "latency_ms" not in failed
    assert (alexnet["name"], alexnet["macs"], alexnet["params"]) == ("alexnet", None, None)
    assert "Output size is too small" in alexnet["cause"]
    printed = capsys.readouterr()
    assert "2 of 3: v2-1.0x: failed: RuntimeError: the measuring process died" in printed.err
    assert printed.out.count("failed: ") == 2
    assert "Fewer than two networks were timed" in printed.out


def test_where_every_network_fails_the_status_says_so(capsys: Captured, tmp_path: Path, times: Times) -> None:
    times(0.0)
    assert references("--only", "v2-0.5x", "--resolution", "32", "--out", str(tmp_path)) == 1
    assert "failed: RuntimeError" in capsys.readouterr().out


def test_the_anchors_own_latency_is_measured_first_and_scales_all(times: Times) -> None:
    calls = times(0.5, 0.25)
    conditions = Conditions("onnxruntime", "cpu", 64, 10, 0)
    found = list(time_networks(["mobilenet-v1-0.25", "v1-0.25x-g1"], conditions))
    assert [result.latency_ms for result in found if isinstance(result, TimedNetwork)] == [1.5, 0.75]
    assert {call["reference_ms"] for call in calls} == {3.0}
    assert len({call["reference"] for call in calls}) == 1
    assert [result.family for result in found] == ["MobileNet", "ShuffleNet V1"]


def test_the_verdict_is_given_on_all_and_on_the_shufflenets(capsys: Captured, tmp_path: Path, times: Times) -> None:
    times(0.2, 0.4, 0.1)
    assert references("--only", "v1-0.25x-g1,v2-0.5x,mobilenet-v1-0.25", "--out", str(tmp_path)) == 0
    printed = capsys.readouterr().out
    # MobileNet has the most FLOPs at 224 pixels (41.0 million to 13.2 and 40.5), and is the fastest here.
    assert "all (3 networks):\n  Kendall tau with latency: FLOPs -0.33" in printed
    assert "In 2 of 3 pairs (67 %)" in printed
    assert "ShuffleNets (2 networks):\n  Kendall tau with latency: FLOPs 1.00" in printed
    assert "At worst v1-0.25x-g1 has 0.32x the FLOPs of mobilenet-v1-0.25 and takes 2.00x as long." in printed


def test_a_group_of_all_networks_is_judged_once(capsys: Captured, tmp_path: Path, times: Times) -> None:
    times(0.2, 0.4)
    references("--only", "v1-0.25x-g1,v2-0.5x", "--out", str(tmp_path))
    assert capsys.readouterr().out.count("How far FLOPs mislead") == 1


def test_what_is_timed_comes_into_the_ledger_and_what_fails_does_not(tmp_path: Path, times: Times) -> None:
    times(0.2, 0.4, 0)
    url = f"sqlite:///{tmp_path}/ledger.db"
    only = "v1-0.25x-g1,mobilenet-v1-0.25,squeezenet-1.1"
    assert references("--only", only, "--out", str(tmp_path), "--storage", url) == 0
    engine = engine_of(url)
    kept = {each.network: each for each in Ledger(engine).measurements(source="references")}
    engine.dispose()
    assert set(kept) == {PRESETS["v1-0.25x-g1"].key(), "mobilenet-v1-0.25"}
    assert kept["mobilenet-v1-0.25"].architecture is None
    assert kept[PRESETS["v1-0.25x-g1"].key()].latency.latency_ms == pytest.approx(0.6)


def test_a_storage_of_something_else_is_a_mistake(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database")
    assert references("--out", str(tmp_path / "out"), "--storage", f"sqlite:///{tmp_path}/x.db") == 2
    assert "x.db" in capsys.readouterr().err


def test_ctrl_c_keeps_what_was_timed(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(names: Any, conditions: Any) -> Any:
        yield FailedNetwork("v2-0.5x", "ShuffleNet V2", "no")
        raise KeyboardInterrupt

    monkeypatch.setattr(latency_references, "time_networks", interrupted)
    assert references("--out", str(tmp_path)) == 130
    printed = capsys.readouterr()
    assert printed.err.endswith(f"{PROG}: interrupted\n")
    assert "failed: no" in printed.out
    assert (tmp_path / "references.html").is_file()


# Flags


def test_only_takes_names_and_beginnings_of_names() -> None:
    assert names_of(None) == REFERENCE_NAMES
    assert names_of("squeezenet") == ("squeezenet-1.0", "squeezenet-1.1")
    assert names_of("resnet-18, v2-0.5x,resnet") == ("v2-0.5x", "resnet-18", "resnet-50")
    assert names_of("v2-0") == ("v2-0.5x",)


@pytest.mark.parametrize("only", ["", "lenet", "v2-1.0x,", "v2-1.0x,,resnet", "V2-1.0x"])
def test_a_name_that_begins_nothing_is_refused(only: str) -> None:
    with pytest.raises(InputError, match=r"--only takes names or beginnings of names, .* begins none of v1-1\.0x-g1"):
        names_of(only)


@pytest.mark.parametrize(
    ("flag", "value", "complaint"),
    [
        ("--only", "lenet", "'lenet' begins none of"),
        ("--runtime", "tvm", "'tvm' came: name one of these"),
        ("--device", "tpu", "--device must be one of cpu, cuda, got 'tpu'"),
        ("--resolution", "31", "--resolution must be at least 32, got 31"),
        ("--classes", "1", "--classes must be at least 2, got 1"),
        ("--seed", "-1", "--seed must be at least 0, got -1"),
    ],
)
def test_a_bad_flag_is_one_line_and_nothing_is_written(
    capsys: Captured, tmp_path: Path, flag: str, value: str, complaint: str
) -> None:
    assert references("--out", str(tmp_path / "out"), flag, value) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{PROG}: ")
    assert printed.err.count("\n") == 1
    assert complaint in printed.err
    assert not (tmp_path / "out").exists()


def test_a_gpu_that_is_not_there_is_a_mistake(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert references("--out", str(tmp_path / "out"), "--runtime", "torch", "--device", "cuda") == 2
    assert "device 'cuda' needs a GPU" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_a_mistake(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert references("--out", str(tmp_path / "file")) == 2
    assert "output folder" in capsys.readouterr().err


def test_help_and_mistakes_need_no_torch() -> None:
    code = (
        "import sys; from nas.cli.command import Parser, run_command; from nas.latency.flags import FLAGS\n"
        "from nas.latency.references import run\n"
        "parser = Parser(prog='test'); FLAGS['references'](parser); parser.format_help()\n"
        "run_command(parser, run, ['--only', 'lenet']); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 0


def test_the_flags_have_the_defaults_that_are_documented() -> None:
    parser = Parser(prog=PROG)
    FLAGS["references"](parser)
    flags: argparse.Namespace = parser.parse_args([])
    assert (flags.runtime, flags.device, flags.resolution, flags.classes) == ("onnxruntime", "cpu", 224, 1000)
    assert (flags.only, flags.storage, flags.out) == (None, None, Path("runs/references"))
