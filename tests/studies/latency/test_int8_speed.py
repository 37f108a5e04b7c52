"""How much faster networks are in int8 than in fp32, in a line: what is not known is said to be so."""

from dataclasses import replace

import pytest
from builders.records import record

from studies.display import note_on_precision, render_table
from studies.facts import LatencyFacts
from studies.latency.int8_speed import is_faster, speed_line
from studies.record import Record

NAMES = ("v2-0.5x", "v2-1.0x", "v1-0.5x-g3")


def timed(precision: str = "int8") -> list[Record]:
    """Networks of 1, 2 and 3 ms."""
    return [
        record(name, 0.5, 1.0 + number, latency={"precision": precision}, reference=name)
        for number, name in enumerate(NAMES)
    ]


def in_fp32(*latencies: float) -> dict[str, LatencyFacts]:
    """The first of them, timed in fp32 too."""
    facts = ({"latency_ms": each, "spread": 0.01, "noisy": False} for each in latencies)
    return {each.architecture.key(): LatencyFacts(fact) for each, fact in zip(timed(), facts, strict=False)}


@pytest.mark.parametrize(
    ("latencies", "line"),
    [
        ((1.5, 4.0), "int8 is faster than fp32 here: the 2 networks timed in both are 1.50 to 2.00 times as fast in"),
        ((0.8, 2.02), "int8 is no faster than fp32 here: the 2 networks timed in both are 0.80 to 1.01 times as fast"),
        ((1.01, 3.0, 3.3), "int8 is no faster than fp32 here for 1 of 3 networks (v2-0.5x): the 3 networks timed in b"),
        (
            (0.42,),
            "int8 is no faster than fp32 here: the one network timed in both is 0.42 times as fast in int8 as in f",
        ),
        ((), "whether int8 is faster than fp32 here is not known: none of these networks was timed in fp32 too"),
    ],
)
def test_it_is_said_where_int8_is_no_faster(latencies: tuple[float, ...], line: str) -> None:
    assert speed_line(timed(), in_fp32(*latencies)).startswith(line)


def test_a_difference_within_the_error_of_both_is_none() -> None:
    # Each has a standard error of 4 %, the ratio of both one of 5.7 %.
    (network, *_) = timed()
    network = replace(network, latency=network.latency.changed(spread=0.08))
    for latency_ms, is_more in ((1.05, False), (1.06, True)):
        facts = LatencyFacts({"latency_ms": latency_ms, "spread": 0.08, "noisy": False})
        assert is_faster(network, {network.architecture.key(): facts}) is is_more


def test_a_search_for_fp32_says_nothing_of_int8() -> None:
    assert speed_line(timed("float32"), {}) == speed_line([], {}) == note_on_precision(timed("float32")) == ""
    assert "int8" not in render_table(timed("float32"), [])


def test_the_front_of_a_search_says_that_latencies_are_int8_and_accuracies_are_not() -> None:
    assert "Latencies are those in int8; accuracies are predicted for fp32" in " ".join(
        render_table(timed(), []).split()
    )
