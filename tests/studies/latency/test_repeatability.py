"""The statistics of repeated measurements, by hand."""

import pytest

from studies.facts import LatencyFacts
from studies.latency.repeatability import (
    ESTIMATES,
    Coverage,
    Repeated,
    coverage_of,
    reference_drift,
    share_in_order,
    spread_between,
)


def latency(ratio: float, reference_ms: float = 4.0, taken_at: float = 0.0) -> LatencyFacts:
    return LatencyFacts(
        {
            **{"ratio": ratio, "latency_ms": 5 * ratio, "p10_ms": 10 * ratio, "median_ms": 22.0, "mean_ms": 33.0},
            **{"reference_p10_ms": reference_ms, "reference_median_ms": 11.0, "reference_mean_ms": 11.0},
            "taken_at": taken_at,
        }
    )


def test_the_spread_is_relative_to_the_median() -> None:
    spread = spread_between([98.0, 100.0, 105.0])
    # The squares of the distances to the mean of 101 are 9, 1 and 16: the deviation is the root of 26 / 2.
    assert spread.deviation == pytest.approx(13**0.5 / 100)
    assert spread.worst == pytest.approx(0.05)


def test_the_share_in_order_is_over_all_pairs() -> None:
    assert share_in_order([1.0, 2.0], [3.0, 4.0]) == 1.0
    assert share_in_order([1.0, 3.0], [2.0, 4.0]) == 0.75
    assert share_in_order([2.0], [2.0]) == 0.0  # equal is no order


def test_the_estimates_are_those_of_the_measurement() -> None:
    repeated = Repeated("one", "quiet", "full", (latency(1.0), latency(3.0)))
    assert repeated.values("p10 / reference") == [1.0, 3.0]
    assert repeated.values("median / reference") == [2.0, 2.0]
    assert repeated.values("mean") == [33.0, 33.0]
    assert repeated.median_ms == 10.0
    assert all(len(repeated.values(name)) == 2 for name in ESTIMATES)


def test_coverage_counts_the_pairs_of_each_network_over_all_conditions_within_their_errors() -> None:
    def repeated(network: str, condition: str, *ratios: float) -> Repeated:
        return Repeated(network, condition, "full", tuple(latency(ratio).changed(spread=0.04) for ratio in ratios))

    # Each error is 2 %, of two 2.8 %: of the pairs of "one" those of 1.00 and 1.02, and of 1.02 and 1.04, are within
    # that, and that of 1.00 and 1.04 within twice that; 2.0 and 2.2 are not.
    given = [repeated("one", "quiet", 1.0, 1.02), repeated("one", "loaded", 1.04), repeated("two", "quiet", 2.0, 2.2)]
    assert coverage_of(given) == Coverage(4, 2, 3)
    assert coverage_of([repeated("one", "quiet", 1.0)]) == Coverage(0, 0, 0)


def test_the_drift_is_the_references_own() -> None:
    drift, hours = reference_drift([latency(1.0, 4.0, 7200.0), latency(9.0, 4.4, 0.0), latency(1.0, 4.2, 3600.0)])
    assert (drift, hours) == pytest.approx((0.1, 2.0))
    assert reference_drift([]) == (0.0, 0.0)
