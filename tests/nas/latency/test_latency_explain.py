"""`nas.latency explain`: a table by unit that sums to the run, what is said of blocks, and what is refused."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
from builders.measurements import latency as made_up_latency

from nas.latency import __main__ as latency
from nas.latency import explain as explaining
from nas.latency.explain import finding_text
from proxies.latency.machine import device_facts, fingerprint
from proxies.latency.measure import Timing
from proxies.latency.profile.blocks import Blocks
from proxies.latency.profile.findings import Unfilled
from proxies.latency.profile.take import profile_of
from proxies.latency.runtimes.onnx_file import write_onnx
from proxies.network import build
from search_space import PRESETS, cost_of
from search_space.files import write_json
from studies.facts import LatencyFacts
from studies.ledger.latencies import Ledger, Measured
from studies.storage.database import engine_of

SHORT = Timing(processes=2, max_processes=2, rounds=2, runs=2, warmup_runs=1, least_rounds=2, tolerance=9.0)
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "profile_of", partial(profile_of, timing=SHORT))
    monkeypatch.delenv("NAS_STORAGE", raising=False)


def test_units_sum_to_the_run_and_to_all_shares(tmp_path: Path, capsys: Captured) -> None:
    assert latency.main(["explain", "v2-0.5x", "--resolution", "64", "--classes", "10", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "explain.json").read_text())
    cost = cost_of(PRESETS["v2-0.5x"], 64, 10)
    for parts in (content["units"], content["layers"]):
        assert sum(part["ms"] for part in parts) == pytest.approx(content["plain_ms"])
        assert sum(part["macs"] for part in parts) == cost.macs
        for share in ("ms_share", "macs_share", "fitted_share"):
            assert sum(part[share] or 0.0 for part in parts) == pytest.approx(1.0)
    assert sum(node["ms"] for node in content["nodes"]) == pytest.approx(content["plain_ms"])
    assert [part["name"] for part in content["units"]][:2] == ["stem", "stage2.0"]
    assert re.search(r"^ sum +\d.* 100\.0 +\d+\.\d{3} +100\.0 +100\.0$", printed, re.MULTILINE)
    assert f"A run takes {content['plain_ms']:.3f} ms, and " in printed
    assert "fitted %: by the latencies that ship;" in printed
    assert "Blocks: ONNX Runtime computes " in printed


def test_layers_are_shown_as_they_run_with_what_the_runtime_adds(capsys: Captured) -> None:
    assert latency.main(["explain", "v1-0.5x-g3", "--resolution", "64", "--classes", "10", "--layers"]) == 0
    layers = re.findall(r"^ (\S.*?)  ", capsys.readouterr().out.split("unit")[0], re.MULTILINE)
    at = [layers.index(name) for name in ("stem.branches.0.0", "stage2.0.branches.0.0", "classifier.branches.0.1")]
    assert at == sorted(at)


def test_a_json_file_and_a_backbone_are_explained(tmp_path: Path, capsys: Captured) -> None:
    file = write_json(tmp_path / "mine.json", PRESETS["v2-0.5x"].to_dict())
    assert latency.main(["explain", str(file), "--task", "detection-backbone", "--resolution", "64"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("mine at 64 px, feature maps at strides 8, 16 and 32")
    assert "classifier " not in printed


def test_networks_in_8_bits_are_explained_without_blocks(tmp_path: Path, capsys: Captured) -> None:
    flags = ["--resolution", "64", "--classes", "10", "--precision", "int8", "--out", str(tmp_path)]
    assert latency.main(["explain", "v2-0.5x", *flags]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("v2-0.5x at 64 px, 10 classes, int8, onnxruntime ")
    assert "by the latencies that ship;" in printed
    assert "Blocks: ONNX Runtime computes convolutions in int8 without blocks of channels." in printed
    content = json.loads((tmp_path / "explain.json").read_text())
    assert (content["precision"], content["not_in_whole_blocks"]) == ("int8", [])
    assert [part["name"] for part in content["units"]][-2:] == ["changes of precision", "changes of layout"]
    assert sum(part["ms_share"] for part in content["units"]) == pytest.approx(1.0)


@pytest.mark.slow
def test_hand_designed_networks_and_onnx_files_are_explained_without_fitted_shares(
    tmp_path: Path, capsys: Captured
) -> None:
    file = tmp_path / "mine.onnx"
    write_onnx(build(PRESETS["v2-0.5x"], 10).eval(), file, (1, 3, 64, 64), "cpu")
    for network, flags, unit in (("mobilenet-v2-0.15", ["--resolution", "64"], "features.0"), (str(file), [], "stem")):
        assert latency.main(["explain", network, *flags, "--out", str(tmp_path)]) == 0
        printed = capsys.readouterr().out
        assert "fitted" not in printed
        assert re.search(rf"^ {re.escape(unit)} +\d", printed, re.MULTILINE)
        content = json.loads((tmp_path / "explain.json").read_text())
        assert sum(part["ms_share"] for part in content["units"]) == pytest.approx(1.0)
    assert content["architecture"] is None
    assert sum(part["macs"] for part in content["units"]) == cost_of(PRESETS["v2-0.5x"], 64, 10).macs


def test_without_latencies_of_this_device_the_shares_are_those_that_ship(tmp_path: Path, capsys: Captured) -> None:
    url = f"sqlite:///{tmp_path}/latencies.db"
    engine = engine_of(url)
    Ledger(engine)
    engine.dispose()
    assert latency.main(["explain", "v2-0.5x", "--resolution", "32", "--classes", "10", "--storage", url]) == 0
    assert "by the latencies that ship, for none in the storage was measured alike on this" in capsys.readouterr().out


def test_latencies_of_this_device_correct_those_that_ship(tmp_path: Path, capsys: Captured) -> None:
    url = f"sqlite:///{tmp_path}/latencies.db"
    engine = engine_of(url)
    here = {"fingerprint": fingerprint(device_facts()), "precision": "float32", "resolution": 32}
    how = {**made_up_latency(0.4, reference_ms=1.0, **here).to_dict(), "batch_size": 1, "seconds": 1.0}
    network = PRESETS["v2-0.5x"]
    Ledger(engine).add([Measured(network.key(), 10, "here", "run", LatencyFacts(how), network)])
    engine.dispose()
    assert latency.main(["explain", "v2-0.5x", "--resolution", "32", "--classes", "10", "--storage", url]) == 0
    printed = capsys.readouterr().out
    assert "by the latencies that ship, corrected by networks measured on this device: 1; the stem's" in printed


# What is said of blocks


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            Unfilled(("stage3.1", "stage3.7"), "1x1", 14, (116,), (128,), "", 1.0, 0.25, None),
            "stage3.1 to stage3.7, 14 1x1 convolutions: computed with 116 channels as 128, 25 % more multiply-adds, "
            "about 0.200 ms lost, 5.0 % of the time; 112 or 128 fill blocks",
        ),
        (
            Unfilled(("stage2.1",), "depthwise 3x3", 1, (58,), (), "58 channels are no multiple of 4", 0.4, 0.0, 4.0),
            "stage2.1, depthwise 3x3 convolution: 58 channels are no multiple of 4, so without blocks, 0.400 ms, 4.0 "
            "times as long a multiply-add as in blocks, about 0.300 ms lost, 7.5 % of the time; 56 or 60 run in "
            "blocks, 48 or 64 fill them",
        ),
        (
            Unfilled(("stem",), "maxpool", 1, (24,), (), "24 channels are no multiple of 16", 0.1, 0.0, None),
            "stem, max pool: 24 channels are no multiple of 16, so without blocks, 0.100 ms; 16 or 32 fill blocks",
        ),
        (
            Unfilled(("stage2.1",), "grouped 1x1", 1, (48, 12), (), "for a reason", 0.1, 0.0, 1.0),
            "stage2.1, grouped 1x1 convolution: for a reason, so without blocks, 0.100 ms, 1.0 times as long a "
            "multiply-add as in blocks, about 0.000 ms lost, 0.0 % of the time; groups of 16 fill blocks",
        ),
    ],
)
def test_a_finding_says_what_it_costs_and_what_would_do(found: Unfilled, text: str) -> None:
    assert finding_text(found, Blocks(16, 4), 4.0) == text


# What is refused


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["no-such"], "a network is a preset"),
        (["mobilenet-v2", "--task", "detection-backbone"], "backbones are made of architectures of the space alone"),
        (["no-such.onnx"], "what is timed must be an ONNX file, and 'no-such.onnx' is none"),
        (["some.onnx", "--resolution", "64"], "an ONNX file is explained as it is, got 'some.onnx'"),
        (["v2-0.5x", "--runtime", "torch"], "only onnxruntime on the CPU says here what each node takes, got torch"),
        (["v2-0.5x", "--runtime", "magic"], "the runtime must be one of "),
        (["v2-0.5x", "--storage", "sqlite:///nowhere/study.db"], "nowhere/study.db"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_a_line(flags: list[str], text: str, capsys: Captured) -> None:
    assert latency.main(["explain", *flags]) == 2
    printed = capsys.readouterr()
    assert text in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
