"""The table of finalists, and the front by their new accuracies and latencies."""

from dataclasses import replace

from builders.finalists import FAST, MIDDLE, NEAR, REFERENCE, SLOW

from studies.facts import LatencyFacts
from studies.finalists import Finalist, final_front, render_finalists
from studies.record import Record


def finalist(of: Record, accuracies: dict[int, float], latency_ms: float | None = None) -> Finalist:
    return Finalist(
        of, accuracies, LatencyFacts({"latency_ms": latency_ms or of.latency_ms, "spread": 0.008, "noisy": False})
    )


def test_the_table_shows_means_and_deviations_and_the_front_by_them_and_by_the_new_latencies() -> None:
    finalists = [
        finalist(SLOW, {8: 0.90, 9: 0.92}, 8.1),  # 91 %, and 0.02 / sqrt(2) = 1.4 points
        finalist(FAST, {8: 0.70, 9: 0.70}),
        finalist(MIDDLE, {8: 0.71, 9: 0.73}),  # 72 %, behind the faster reference
        finalist(REFERENCE, {8: 0.74, 9: 0.76}),
    ]
    assert [each.reference or each.latency_ms for each in final_front(finalists)] == [2.0, "v2-1.0x", 8.1]
    lines = render_finalists(finalists, "long").splitlines()
    assert " ".join(lines[0].split()) == "name MFLOPs latency ms was ms long % predicted % proxy % seeds front"
    rows = [line.split() for line in lines[2:6]]
    assert rows[0] == [FAST.name, "40.0", "2.00", "±0.4", "%", "2.00", "70.0", "±", "0.0", "60.0", "50.0", "2", "front"]
    assert rows[1][:1] + rows[1][6:] == ["v2-1.0x", "75.0", "±", "1.4", "65.0", "55.0", "2", "front,", "reference"]
    assert rows[2][:1] + rows[2][6:] == [MIDDLE.name, "72.0", "±", "1.4", "70.0", "60.0", "2"]
    assert rows[3][:1] + rows[3][2:] == [
        SLOW.name,
        "8.10",
        "±0.4",
        "%",
        "8.00",
        "91.0",
        "±",
        "1.4",
        "80.0",
        "70.0",
        "2",
        "front",
    ]
    assert "mean accuracy on the validation images" in lines[-2]
    assert "those within 2 % of each other are ties, of which the most accurate stands" in lines[-1]


def test_what_is_predicted_is_called_so() -> None:
    lines = render_finalists([replace(finalist(FAST, {8: 0.70, 9: 0.70}), is_predicted=True)], "short").splitlines()
    assert "short anew %" in lines[0]
    assert lines[-2].startswith("short anew %: mean accuracy predicted from the new trainings")


def test_of_networks_that_are_as_fast_the_most_accurate_stands_on_the_front() -> None:
    tied = [finalist(FAST, {8: 0.60}, 2.0), finalist(NEAR, {8: 0.61}, 2.03)]
    assert [each.latency_ms for each in final_front(tied)] == [2.03]
    apart = [finalist(FAST, {8: 0.60}, 2.0), finalist(NEAR, {8: 0.61}, 2.05)]
    assert [each.latency_ms for each in final_front(apart)] == [2.0, 2.05]
    # The middle one ties with both; it is off the front, so that it takes the fastest nothing.
    chain = [finalist(FAST, {8: 0.60}, 2.0), finalist(NEAR, {8: 0.61}, 2.03), finalist(MIDDLE, {8: 0.62}, 2.06)]
    assert [each.latency_ms for each in final_front(chain)] == [2.0, 2.06]
    worse = [finalist(FAST, {8: 0.60}, 2.0), finalist(NEAR, {8: 0.60}, 2.5)]
    assert [each.latency_ms for each in final_front(worse)] == [2.0]


def test_one_seed_has_no_deviation() -> None:
    alone = finalist(FAST, {8: 0.7})
    assert alone.deviation is None
    line = render_finalists([alone], "long").splitlines()[2]
    assert line.split()[6:] == ["70.0", "60.0", "50.0", "1", "front"]
