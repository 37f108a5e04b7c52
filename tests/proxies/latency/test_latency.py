"""Latency: what a reading amounts to, the measuring processes, and what is refused."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

from proxies.backbone import deployed
from proxies.latency import measure as latency
from proxies.latency import process
from proxies.latency.measure import Latency, Prepared, Timing, check_runtime, compare, latency_of, prepare
from proxies.latency.output_check import Expected, WrongOutput, example
from proxies.latency.process import Request
from proxies.latency.protocol import Reading
from proxies.latency.runtimes import RUNTIMES, own_files
from proxies.latency.runtimes.torch_eager import forward_of
from proxies.network import build
from search_space import PRESETS, Budget, SearchSpace
from search_space.choosers import RandomChooser
from search_space.errors import InputError
from search_space.files import digest_of
from search_space.plan import NO_CLASSIFIER

SHORT = Timing(processes=2, max_processes=2, rounds=2, runs=5, warmup_runs=2, least_rounds=2, tolerance=1.0)


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3)).eval()


def measured(folder: Path, *widths: int, runtime: str, timing: Timing = SHORT, reference_ms: float) -> Latency:
    """The latency of a network of the first width, beside one of the second."""
    ready = [prepare(network(each), folder / str(n), resolution=48, runtime=runtime) for n, each in enumerate(widths)]
    return compare(*ready, timing=timing, reference_ms=reference_ms)


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def reading(ratio: float, p10_ms: float, reference_p10_ms: float) -> Reading:
    own, theirs = (2 * p10_ms, 3 * p10_ms, 4 * p10_ms, 5 * p10_ms), (reference_p10_ms, 9.0, 9.5)
    return Reading(ratio, p10_ms, *own, *theirs, 0.01, False, 4, 160, 1e9, None, None, "ordinary")


def request(timing: Timing = SHORT) -> Request:
    prepared = Prepared("file.onnx", (1, 3, 32, 32), "onnxruntime", "cpu", Expected(0, ((1.0,),), (0.1,)))
    return Request(prepared, prepared, timing, 0, None)


# What a reading amounts to


def test_the_latency_is_the_ratio_times_the_studys_reference() -> None:
    latency = latency_of(reading(2.0, p10_ms=6.5, reference_p10_ms=3.0), request(), reference_ms=2.5)
    assert (latency.latency_ms, latency.p10_ms, latency.reference_ms) == (5.0, 6.5, 2.5)


def test_without_a_studys_reference_the_latency_is_the_raw_percentile() -> None:
    latency = latency_of(reading(2.0, p10_ms=6.5, reference_p10_ms=3.0), request(), reference_ms=None)
    assert (latency.latency_ms, latency.reference_ms) == (6.5, 3.0)


# The measuring process


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_more_work_takes_longer_and_the_measurement_says_how_it_was_taken(runtime: str, tmp_path: Path) -> None:
    found = measured(tmp_path, 128, 8, runtime=runtime, reference_ms=1.0)
    assert found.latency_ms == found.ratio == pytest.approx(found.p10_ms / found.reference_p10_ms, rel=0.5)
    assert found.latency_ms > 2
    assert 0 < found.p10_ms <= found.median_ms <= found.p90_ms
    assert (found.runtime, found.resolution, found.processes, found.rounds, found.runs) == (
        runtime,
        48,
        2,
        4,
        5,
    )
    assert (found.threads, found.batch_size, found.precision) == (1, 1, "float32")
    assert found.device
    assert len(found.fingerprint) == 12
    assert found.runtime_version
    assert Latency.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.slow
def test_a_shufflenet_is_measured_slower_than_on_a_sixteenth_of_its_pixels(tmp_path: Path) -> None:
    candidate, reference = (
        prepare(shufflenet_v2_x0_5(weights=None), tmp_path / str(resolution), resolution=resolution, runtime="torch")
        for resolution in (256, 64)
    )
    assert compare(candidate, reference, timing=SHORT, reference_ms=1.0).latency_ms > 1.5


@pytest.mark.slow
def test_processes_that_disagree_to_the_end_are_flagged(tmp_path: Path) -> None:
    timing = dataclasses.replace(SHORT, tolerance=1e-12)
    assert measured(tmp_path, 8, 8, runtime="torch", timing=timing, reference_ms=1.0).noisy


@pytest.mark.slow
def test_a_measuring_process_that_fails_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    gone = dataclasses.replace(request().candidate, file=str(tmp_path / "gone.pt"), runtime="torch")
    with pytest.raises(RuntimeError, match=r"measuring process died: FileNotFoundError.*gone\.pt"):
        compare(gone, gone, timing=SHORT)


@pytest.mark.slow
def test_a_corrupt_file_is_an_error_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "network.onnx"
    file.write_bytes(b"no network at all")
    corrupt = dataclasses.replace(request().candidate, file=str(file))
    with pytest.raises(RuntimeError, match=r"^the measuring process died: .*network\.onnx.*failed.*$"):
        compare(corrupt, corrupt, timing=SHORT)


class Crash:
    """What ends the process that unpickles it, as a fault in a runtime's own code would."""

    def __reduce__(self) -> Any:
        return signal.raise_signal, (signal.SIGSEGV,)


@pytest.mark.slow
def test_a_runtime_that_crashes_its_process_is_an_error_that_names_the_signal(tmp_path: Path) -> None:
    file = tmp_path / "network.pt"
    torch.save(Crash(), file)
    crashing = dataclasses.replace(request().candidate, file=str(file), runtime="torch", sha256=digest_of(file))
    with pytest.raises(RuntimeError, match=r"the measuring process died: killed by signal 11 \(segmentation fault\)"):
        compare(crashing, crashing, timing=SHORT)


def checked(prepared: Prepared) -> None:
    """Loads the network as a measuring process does."""
    Request.from_dict(json.loads(json.dumps(dataclasses.asdict(dataclasses.replace(request(), candidate=prepared)))))
    process._checked(prepared)


def test_a_pickle_that_is_not_the_one_that_was_written_is_not_read(tmp_path: Path) -> None:
    prepared = prepare(network(4), tmp_path / "network", resolution=32, runtime="torch")
    checked(prepared)
    torch.save(Crash(), prepared.file)
    with pytest.raises(InputError, match="has another content now"):
        checked(prepared)
    with pytest.raises(InputError, match="has another content now"):
        checked(dataclasses.replace(prepared, sha256=""))


def test_a_pickle_in_a_folder_that_others_may_enter_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(network(4), tmp_path / "network", resolution=32, runtime="torch")
    folders = [each for each in Path(prepared.file).resolve().parents if each.stat().st_uid == os.getuid()]
    modes = {each: each.stat().st_mode for each in folders if not each.stat().st_mode & 0o077}
    monkeypatch.setattr(own_files, "user_id", lambda: os.getuid() + 1)
    with pytest.raises(InputError, match="must lie in a folder that nobody else may enter"):
        forward_of(Path(prepared.file), "cpu", example(prepared.shape, 0))
    assert modes  # else it would not have been read before either


@pytest.mark.slow
def test_a_measuring_process_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "LONGEST_SECONDS", 0.2)
    prepared = prepare(network(4), tmp_path / "network", resolution=32, runtime="torch")
    with pytest.raises(RuntimeError, match=r"was killed: it took over 0\.2 s"):
        compare(prepared, prepared, timing=SHORT)


@pytest.mark.slow
def test_a_network_that_computes_something_else_is_not_measured(tmp_path: Path) -> None:
    prepared = prepare(network(4), tmp_path / "network", resolution=32)
    other = prepare(network(4), tmp_path / "other", resolution=32)
    with pytest.raises(RuntimeError, match=r"died: proxies\.latency\.output_check\.WrongOutput: .*one differs by"):
        compare(dataclasses.replace(prepared, file=other.file), prepared, timing=SHORT)


def test_images_of_a_batch_and_rectangles_are_measured_too(tmp_path: Path) -> None:
    maps = deployed(PRESETS["v2-0.5x"], NO_CLASSIFIER)
    prepared = prepare(maps, tmp_path / "network", resolution=(64, 96), batch_size=3)
    assert prepared.shape == (3, 3, 64, 96)
    assert outputs_of_file(prepared)[-1].shape == (3, 192, 2, 3)


def test_on_small_images_the_outputs_that_are_checked_are_of_the_usual_size(tmp_path: Path) -> None:
    # Statistics from the single pixels of two images once made them as large as 1e8, and rounding with them.
    for seed in range(6):
        drawn = SearchSpace.default(Budget.parse("20mflops")).suggest(RandomChooser(seed))
        prepared = prepare(build(drawn, 10), tmp_path / "network", resolution=32, runtime="torch")
        assert max(map(abs, prepared.expected.values[0])) < 100


def outputs_of_file(prepared: Prepared) -> Any:
    given = example(prepared.shape, prepared.expected.seed)
    return RUNTIMES["onnxruntime"].load(Path(prepared.file), prepared.shape, "cpu", given).outputs()


def test_a_backbones_file_gives_its_three_maps_and_all_are_checked(tmp_path: Path) -> None:
    prepared = prepare(deployed(PRESETS["v2-0.5x"], NO_CLASSIFIER), tmp_path / "maps", resolution=64)
    outputs = outputs_of_file(prepared)
    assert [output.shape for output in outputs] == [(1, 48, 8, 8), (1, 96, 4, 4), (1, 192, 2, 2)]
    assert [len(values) for values in prepared.expected.values] == [1000, 1000, 768]
    prepared.expected.check(outputs)
    for place in range(3):
        wrong = [output + (0.01 if number == place else 0) for number, output in enumerate(outputs)]
        with pytest.raises(WrongOutput, match=r"one differs by 0\.01"):
            prepared.expected.check(wrong)


@pytest.mark.slow
def test_a_backbone_is_measured_and_one_whose_last_map_is_wrong_is_not(tmp_path: Path) -> None:
    right = prepare(deployed(PRESETS["v2-0.5x"], NO_CLASSIFIER), tmp_path / "right", resolution=64)
    assert compare(right, right, timing=SHORT).latency_ms > 0
    values = right.expected.values
    wrong = dataclasses.replace(right.expected, values=(*values[:2], tuple(value + 0.01 for value in values[2])))
    with pytest.raises(RuntimeError, match=r"WrongOutput: .*one differs by 0\.01"):
        compare(dataclasses.replace(right, expected=wrong), right, timing=SHORT)


def test_the_network_is_left_as_it_was(tmp_path: Path) -> None:
    trained = network(4).train()
    prepare(trained, tmp_path / "network", resolution=32, runtime="torch")
    assert trained.training
    assert not torch.load(tmp_path / "network.pt", weights_only=False).training


def test_gradients_are_off_and_the_layout_is_channels_last(tmp_path: Path) -> None:
    prepared = prepare(network(4), tmp_path / "network", resolution=32, runtime="torch")
    output = forward_of(Path(prepared.file), "cpu", example(prepared.shape, 0))()
    assert output.is_inference()
    assert not output.requires_grad
    assert output.is_contiguous(memory_format=torch.channels_last)


def test_the_stopwatch_and_the_latency_come_without_torch() -> None:
    program = "import sys, proxies.latency.process, proxies.latency.measure; print('torch' in sys.modules)"
    assert run_python(program) == "False"


@pytest.mark.slow
def test_measuring_in_onnx_runtime_does_not_load_torch(tmp_path: Path) -> None:
    prepared = prepare(network(4), tmp_path / "network", resolution=32)
    asked = dataclasses.asdict(Request(prepared, prepared, SHORT, 0, None))
    program = (
        f"import io, sys; sys.stdin = io.StringIO({json.dumps(asked)!r});"
        "from proxies.latency.process import main; main(); print('torch' in sys.modules)"
    )
    assert run_python(program).splitlines()[-1] == "False"


# What is refused


def test_an_unknown_runtime_is_refused_without_torch() -> None:
    program = (
        "import sys\nfrom proxies.latency.measure import check_runtime\n"
        "try: check_runtime('tvm', 'cpu')\nexcept ValueError as error: print(error, 'torch' in sys.modules)"
    )
    assert run_python(program) == (
        f"the runtime must be one of {', '.join(RUNTIMES)}; 'tvm' came: name one of these False"
    )


def test_a_device_that_the_runtime_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match=r"tensorrt runs on cuda; device 'cpu' came: use the runtime onnxruntime"):
        check_runtime("tensorrt", "cpu")
    with pytest.raises(InputError, match=r"torch runs on cpu, cuda; device 'tpu' came: name one of cpu, cuda"):
        check_runtime("torch", "tpu")


def test_cuda_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device 'cuda' needs a GPU"):
        prepare(network(4), tmp_path / "network", resolution=32, runtime="torch", device="cuda")


@pytest.mark.parametrize("reference_ms", [0.0, -1.0, float("inf"), float("nan")])
def test_a_reference_that_is_no_time_is_refused(reference_ms: float) -> None:
    prepared = request().candidate
    with pytest.raises(InputError, match="reference_ms must be a time above 0"):
        compare(prepared, prepared, reference_ms=reference_ms)


def test_networks_prepared_for_different_runtimes_are_refused() -> None:
    prepared = request().candidate
    with pytest.raises(InputError, match="onnxruntime on cpu and torch on cpu came"):
        compare(prepared, dataclasses.replace(prepared, runtime="torch"))


@pytest.mark.slow
def test_a_measurement_as_a_whole_ends_in_time_too(tmp_path: Path) -> None:
    prepared = prepare(network(4), tmp_path / "network", resolution=32)
    with pytest.raises(RuntimeError, match="was killed: its measurement took too long in all"):
        compare(prepared, prepared, timing=SHORT, longest_seconds=0.2)
