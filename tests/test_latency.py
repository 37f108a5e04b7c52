"""Latency: the arithmetic on made-up times, the measuring process, and what is refused."""

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from itertools import chain, cycle
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

from proxies import runtimes, stopwatch
from proxies.latency import Latency, Prepared, Timing, check_runtime, compare, latency_of, measure, prepare
from proxies.stopwatch import Reading, Request, Round, percentile, ratio, spread, take_rounds
from search_space.errors import InputError

SHORT = Timing(rounds=2, runs=5, warmup_runs=2, max_rounds=2, tolerance=1.0)


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3)).eval()


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def network_taking(times: Iterable[float], warmup_runs: int = 1) -> Callable[[], float]:
    """A network whose timed runs take these times; the runs that must not count take 99 ms."""
    every = chain([99.0] * warmup_runs, chain.from_iterable((99.0, ms) for ms in times))
    return lambda: next(every)


def reading(p10_ms: float, reference_p10_ms: float) -> Reading:
    return Reading(p10_ms, 2 * p10_ms, 3 * p10_ms, reference_p10_ms, 10, 0.01, False, "A CPU", "1.0", None)


def request(timing: Timing = SHORT) -> Request:
    prepared = Prepared("file.onnx", (1, 3, 32, 32), "onnxruntime", "cpu")
    return Request(prepared, prepared, timing, 0)


# The arithmetic


def test_a_percentile_is_interpolated_between_the_nearest_values() -> None:
    assert percentile([30.0, 10.0, 20.0], 10) == pytest.approx(12.0)
    assert percentile([30.0, 10.0, 20.0], 50) == 20.0
    assert percentile([7.0], 90) == 7.0


def test_the_ratio_is_that_of_the_fast_runs_whatever_the_slow_ones_took() -> None:
    rounds = [Round((6.0,) * 5 + (900.0,) * 5, (3.0,) * 9 + (50.0,))] * 2
    assert ratio(rounds) == 2.0


def test_the_spread_is_the_difference_of_odd_and_even_rounds_relative_to_all() -> None:
    # The ratios are 2.2 and 2.0; that of all runs is 2.0, since their fast tenth lies in the second round.
    rounds = [Round((2.2,) * 10, (1.0,) * 10), Round((2.0,) * 10, (1.0,) * 10)]
    assert spread(rounds) == pytest.approx(0.1)
    assert spread([rounds[0]] * 4) == 0.0


def test_the_latency_is_the_ratio_times_the_studys_reference() -> None:
    latency = latency_of(reading(p10_ms=6.0, reference_p10_ms=3.0), request(), reference_ms=2.5)
    assert (latency.latency_ms, latency.p10_ms, latency.reference_ms) == (5.0, 6.0, 2.5)


def test_without_a_studys_reference_the_latency_is_the_raw_percentile() -> None:
    latency = latency_of(reading(p10_ms=6.0, reference_p10_ms=3.0), request(), reference_ms=None)
    assert (latency.latency_ms, latency.reference_ms) == (6.0, 3.0)


def test_a_latency_is_not_rounded() -> None:
    assert latency_of(reading(1.23456789, 1.0), request(), None).latency_ms == pytest.approx(1.23456789, rel=1e-12)


# The rounds


def test_halves_that_agree_need_no_more_rounds_and_untimed_runs_do_not_count() -> None:
    timing = Timing(rounds=4, runs=3, warmup_runs=2)
    rounds = take_rounds(network_taking(cycle([4.0]), 2), network_taking(cycle([2.0]), 2), timing, seed=0)
    assert rounds == [Round((4.0,) * 3, (2.0,) * 3)] * 4


def test_a_noisy_series_gets_more_rounds_up_to_the_limit() -> None:
    timing = Timing(rounds=4, runs=1, warmup_runs=1, max_rounds=10)
    rounds = take_rounds(network_taking(cycle([4.0, 8.0])), network_taking(cycle([2.0])), timing, seed=0)
    assert len(rounds) == 10
    assert spread(rounds) > timing.tolerance


def test_a_series_that_settles_stops_before_the_limit() -> None:
    settling = chain([4.0, 8.0, 4.0, 8.0], cycle([4.0]))
    timing = Timing(rounds=4, runs=1, warmup_runs=1, max_rounds=60)
    rounds = take_rounds(network_taking(settling), network_taking(cycle([2.0])), timing, seed=0)
    assert len(rounds) == 8
    assert spread(rounds) <= timing.tolerance


def test_the_networks_take_turns_in_an_order_that_varies_and_follows_the_seed() -> None:
    def order(seed: int) -> str:
        ran: list[str] = []
        candidate, reference = (lambda: ran.append("c") or 1.0), (lambda: ran.append("r") or 1.0)
        take_rounds(candidate, reference, Timing(rounds=2, runs=6, warmup_runs=1), seed)
        return "".join(ran[2:])

    assert order(0) == order(0) != order(1)
    assert {order(0)[place : place + 4] for place in range(0, 48, 4)} == {"ccrr", "rrcc"}


@pytest.mark.skipif(runtimes.core_clock() is time.perf_counter_ns, reason="this system's clock of CPU time is coarse")
def test_time_that_the_process_does_not_run_is_not_the_networks() -> None:
    assert runtimes.cpu_ms(runtimes.core_clock(), lambda: time.sleep(0.2)) < 100


@pytest.mark.parametrize("settings", [{"rounds": 1}, {"runs": 0}, {"max_rounds": 9}, {"tolerance": 0.0}])
def test_timing_that_cannot_tell_noise_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="came: "):
        Timing(**settings)


# The measuring process


@pytest.mark.slow
@pytest.mark.parametrize("runtime", runtimes.RUNTIMES)
def test_more_work_takes_longer_and_the_measurement_says_how_it_was_taken(runtime: str) -> None:
    latency = measure(network(128), network(8), resolution=48, runtime=runtime, timing=SHORT, reference_ms=1.0)
    assert latency.latency_ms == pytest.approx(latency.p10_ms / latency.reference_p10_ms)
    assert latency.latency_ms > 2
    assert 0 < latency.p10_ms <= latency.median_ms <= latency.p90_ms
    assert (latency.runtime, latency.resolution, latency.rounds, latency.runs) == (runtime, 48, 2, 5)
    assert (latency.threads, latency.batch_size, latency.precision) == (1, 1, "float32")
    assert latency.device
    assert latency.runtime_version
    assert Latency.from_dict(json.loads(json.dumps(latency.to_dict()))) == latency


@pytest.mark.slow
def test_a_shufflenet_is_measured_slower_than_on_a_sixteenth_of_its_pixels(tmp_path: Path) -> None:
    candidate, reference = (
        prepare(shufflenet_v2_x0_5(weights=None), tmp_path / str(resolution), resolution=resolution, runtime="torch")
        for resolution in (256, 64)
    )
    assert compare(candidate, reference, timing=SHORT, reference_ms=1.0).latency_ms > 1.5


@pytest.mark.slow
def test_halves_that_disagree_to_the_end_are_flagged() -> None:
    timing = dataclasses.replace(SHORT, tolerance=1e-12)
    assert measure(network(8), network(8), resolution=32, runtime="torch", timing=timing).noisy


@pytest.mark.slow
def test_a_measuring_process_that_dies_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    gone = Prepared(str(tmp_path / "gone.pt"), (1, 3, 32, 32), "torch", "cpu")
    with pytest.raises(RuntimeError, match=r"measuring process died: FileNotFoundError.*gone\.pt"):
        compare(gone, gone, timing=SHORT)


def test_the_network_is_left_as_it_was(tmp_path: Path) -> None:
    trained = network(4).train()
    prepare(trained, tmp_path / "network", resolution=32, runtime="torch")
    assert trained.training
    assert not torch.load(tmp_path / "network.pt", weights_only=False).training


def test_gradients_are_off_and_the_layout_is_channels_last(tmp_path: Path) -> None:
    prepared = prepare(network(4), tmp_path / "network", resolution=32, runtime="torch")
    output = runtimes.torch_run(Path(prepared.file), prepared.shape, "cpu", seed=0)()
    assert output.is_inference()
    assert not output.requires_grad
    assert output.is_contiguous(memory_format=torch.channels_last)


def test_the_stopwatch_and_the_latency_come_without_torch() -> None:
    program = "import sys, proxies.stopwatch, proxies.latency; print('torch' in sys.modules)"
    assert run_python(program) == "False"


@pytest.mark.slow
def test_measuring_in_onnx_runtime_does_not_load_torch(tmp_path: Path) -> None:
    prepared = prepare(network(4), tmp_path / "network", resolution=32)
    asked = dataclasses.asdict(Request(prepared, prepared, SHORT, 0))
    program = (
        f"import io, sys; sys.stdin = io.StringIO({json.dumps(asked)!r});"
        "from proxies.stopwatch import main; main(); print('torch' in sys.modules)"
    )
    assert run_python(program).splitlines()[-1] == "False"


@pytest.mark.skipif(not hasattr(stopwatch.os, "sched_setaffinity"), reason="this system pins no process")
def test_the_measuring_process_stays_on_one_core() -> None:
    program = "import os; from proxies.stopwatch import *; pin_to_one_core(); print(len(os.sched_getaffinity(0)))"
    assert run_python(program) == "1"


# What is refused


def test_an_unknown_runtime_is_refused_without_torch() -> None:
    program = (
        "import sys\nfrom proxies.latency import check_runtime\n"
        "try: check_runtime('tvm', 'cpu')\nexcept ValueError as error: print(error, 'torch' in sys.modules)"
    )
    assert run_python(program) == ("the runtime must be one of onnxruntime, torch; 'tvm' came: name one of these False")


def test_a_device_that_the_runtime_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match=r"onnxruntime runs on cpu; device 'cuda' came: use the runtime torch"):
        check_runtime("onnxruntime", "cuda")
    with pytest.raises(InputError, match=r"torch runs on cpu, cuda; device 'tpu' came: name one of cpu, cuda"):
        check_runtime("torch", "tpu")


def test_cuda_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="device 'cuda' needs a GPU"):
        measure(network(4), network(4), resolution=32, runtime="torch", device="cuda")


@pytest.mark.parametrize("reference_ms", [0.0, -1.0, float("inf"), float("nan")])
def test_a_reference_that_is_no_time_is_refused(reference_ms: float) -> None:
    prepared = request().candidate
    with pytest.raises(InputError, match="reference_ms must be a time above 0"):
        compare(prepared, prepared, reference_ms=reference_ms)


def test_networks_prepared_for_different_runtimes_are_refused() -> None:
    prepared = request().candidate
    with pytest.raises(InputError, match="onnxruntime on cpu and torch on cpu came"):
        compare(prepared, dataclasses.replace(prepared, runtime="torch"))
