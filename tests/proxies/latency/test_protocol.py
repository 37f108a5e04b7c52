"""The measuring protocol, on made-up times."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle

import pytest

from proxies.latency.protocol import (
    TIMINGS,
    Series,
    Summary,
    Timing,
    core_timed,
    measure_until_steady,
    midmean,
    percentile,
    spread_of,
    state_error,
    summary_of,
    take_rounds,
    wall_timed,
)


def network_taking(times: Iterable[float], runs: int, warmup_runs: int = 1) -> Callable[[], tuple[float, float]]:
    """A network whose timed runs take these times; the runs that must not count take 99 ms."""

    def every() -> Iterator[float]:
        yield from [99.0] * warmup_runs
        for number, ms in enumerate(times):
            if number % runs == 0:
                yield 99.0
            yield ms

    stream = every()
    return lambda: (ms := next(stream), 2 * ms)


def series(ratio: float, steal: float | None = None, priority: str = "ordinary") -> Series:
    candidate, reference = (Summary(ms, 2 * ms, 3 * ms, 4 * ms, 5 * ms) for ms in (2 * ratio, 2.0))
    return Series(candidate, reference, 7, 100.0, 1.5, steal, priority)


def reading_of_ratios(ratios: list[float], **settings: float) -> tuple[object, int]:
    started: list[int] = []

    def take(number: int) -> Series:
        started.append(number)
        return series(ratios[number])

    return measure_until_steady(take, Timing(**settings)), len(started)  # type: ignore[arg-type]


def test_a_percentile_is_interpolated_between_the_nearest_values() -> None:
    assert percentile([30.0, 10.0, 20.0], 10) == pytest.approx(12.0)
    assert percentile([30.0, 10.0, 20.0], 50) == 20.0
    assert percentile([7.0], 90) == 7.0


def test_a_midmean_leaves_out_a_quarter_at_either_end() -> None:
    assert midmean([100.0, 1.0, 2.0, 3.0]) == 2.5
    assert midmean([5.0, 1.0, 90.0]) == 32.0
    assert midmean([9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 90.0]) == 4.5


def test_the_spread_is_twice_the_standard_error() -> None:
    # The standard deviation of 1, 2, 3, 4 is 1.291; over the root of 4, twice, over the mean of 2.5.
    assert spread_of([1.0, 2.0, 3.0, 4.0]) == pytest.approx(1.2909944 / 2.5)
    assert spread_of([2.0, 2.0]) == 0.0


def test_a_summary_tells_core_and_wall_apart() -> None:
    summary = summary_of([(1.0, 10.0), (2.0, 20.0), (3.0, 90.0)])
    assert (summary.median_ms, summary.mean_ms) == (2.0, 2.0)
    assert (summary.p10_ms, summary.p90_ms, summary.wall_p10_ms) == pytest.approx((1.2, 2.8, 12.0))


def test_processes_that_agree_are_enough() -> None:
    reading, processes = reading_of_ratios([2.0, 2.0, 2.001, 2.0], processes=4)
    assert (processes, reading.processes, reading.noisy, reading.rounds) == (4, 4, False, 28)
    assert reading.ratio == pytest.approx(2.0, abs=1e-3)
    assert (reading.p10_ms, reading.reference_p10_ms, reading.median_ms) == pytest.approx((4.0, 2.0, 8.0), rel=1e-3)


def test_a_process_that_disagrees_is_outvoted_by_more_of_them() -> None:
    reading, processes = reading_of_ratios([2.0, 2.3, 2.0, 2.0, *[2.0] * 20], processes=4, max_processes=30)
    # Twice the standard error falls with the number of processes: at 14 it is 0.3 / 14 x 2 / 2.02, just above 0.02.
    assert processes == 15
    assert (reading.ratio, reading.noisy) == (2.0, False)


def test_processes_that_never_agree_are_noisy_and_said_to_be() -> None:
    reading, processes = reading_of_ratios([2.0, 3.0] * 10, processes=4, max_processes=9)
    assert (processes, reading.noisy) == (9, True)
    assert reading.spread > 0.02


def test_processes_that_agree_by_chance_are_told_no_more_certain_than_repeats_are() -> None:
    reading, processes = reading_of_ratios([1.0, 1.0], processes=2, error=0.03)
    assert (processes, reading.spread, reading.noisy) == (2, pytest.approx(2 * math.hypot(0.03, 0.01)), False)
    reading, _ = reading_of_ratios([0.9, 1.1], processes=2, max_processes=2, error=0.03)
    assert (reading.spread, reading.noisy) == (pytest.approx(2 * math.hypot(0.1, 0.01)), True)


def test_the_machines_state_moves_networks_the_more_the_less_they_are_like_the_reference() -> None:
    assert state_error(1.0) == 0.01
    assert state_error(1 / 2) == pytest.approx(0.04)
    assert state_error(1 / 9) == state_error(9.0) == 0.04
    assert [state_error(2**-0.5), state_error(2**0.5)] == pytest.approx([0.025, 0.025])


def test_another_state_of_the_machine_is_within_what_is_told_of_the_first() -> None:
    """One network's ratios on one machine within two and a half hours, from quiet to loaded, whose processes agreed."""
    text = [reading_of_ratios([ratio] * 4)[0].spread / 2 for ratio in (0.295, 0.305, 0.319, 0.337)]
    assert abs(math.log(0.295 / 0.337)) < 2.5 * math.hypot(text[0], text[3])
    assert abs(math.log(0.305 / 0.319)) < math.hypot(text[1], text[2])


def test_a_quick_measurement_takes_about_a_second_of_runs_and_names_its_depth() -> None:
    quick = TIMINGS["quick"]
    assert quick.processes * quick.seconds <= 1.0
    assert {name: timing.depth for name, timing in TIMINGS.items()} == {"quick": "quick", "full": "full"}


def test_the_worst_steal_is_kept_and_unknown_stays_unknown() -> None:
    known = iter([0.01, 0.2, None, 0.0])
    reading = measure_until_steady(lambda _: series(2.0, next(known), "real-time"), Timing())
    assert (reading.steal_share, reading.priority, reading.load_average) == (0.2, "real-time", 1.5)
    assert measure_until_steady(lambda _: series(2.0), Timing()).steal_share is None


def test_untimed_runs_do_not_count() -> None:
    timing = Timing(rounds=4, runs=3, warmup_runs=2)
    ours, theirs, rounds = take_rounds(
        network_taking(cycle([4.0]), 3, 2), network_taking(cycle([2.0]), 3, 2), timing, seed=0
    )
    assert (ours, theirs, rounds) == (Summary(4.0, 4.0, 4.0, 4.0, 8.0), Summary(2.0, 2.0, 2.0, 2.0, 4.0), 4)


def test_the_estimate_is_that_of_the_fast_runs_whatever_the_slow_ones_took() -> None:
    timing = Timing(rounds=10, runs=2, warmup_runs=1)
    ours, _, _ = take_rounds(network_taking(cycle([6.0, 900.0]), 2), network_taking(cycle([3.0]), 2), timing, seed=0)
    assert ours.p10_ms == 6.0


def test_a_slow_network_gets_fewer_rounds_but_never_too_few() -> None:
    def slow() -> tuple[float, float]:
        time.sleep(0.002)
        return 2.0, 2.0

    timing = Timing(rounds=1000, runs=1, warmup_runs=1, seconds=0.05, least_rounds=3)
    _, _, rounds = take_rounds(slow, slow, timing, seed=0)
    assert 3 <= rounds < 50
    _, _, rounds = take_rounds(slow, slow, Timing(rounds=9, runs=1, seconds=1e-9, least_rounds=5), seed=0)
    assert rounds == 5


def test_the_networks_take_turns_in_an_order_that_varies_and_follows_the_seed() -> None:
    def order(seed: int) -> str:
        ran: list[str] = []
        candidate, reference = (lambda: ran.append("c") or (1.0, 1.0)), (lambda: ran.append("r") or (1.0, 1.0))
        take_rounds(candidate, reference, Timing(rounds=12, runs=1, warmup_runs=1), seed)
        return "".join(ran[2:])

    assert order(0) == order(0) != order(1)
    assert {order(0)[place : place + 4] for place in range(0, 48, 4)} == {"ccrr", "rrcc"}


@pytest.mark.skipif(time.get_clock_info("process_time").resolution > 1e-6, reason="this system's CPU clock is coarse")
def test_time_that_the_process_does_not_run_is_the_walls_alone() -> None:
    core_ms, wall_ms = core_timed(lambda: time.sleep(0.2))()
    assert core_ms < 100 < 199 < wall_ms
    assert min(wall_timed(lambda: time.sleep(0.2))()) > 199


@pytest.mark.parametrize(
    "settings", [{"processes": 1}, {"runs": 0}, {"rounds": 0}, {"max_processes": 3}, {"tolerance": 0.0}]
)
def test_timing_that_cannot_tell_noise_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="got "):
        Timing(**settings)  # type: ignore[arg-type]


def test_times_are_not_rounded() -> None:
    assert summary_of([(1.23456789, 1.0)] * 3).p10_ms == pytest.approx(1.23456789, rel=1e-12)
