"""The table of finalists, and the front by their new accuracies and latencies."""

from dataclasses import replace

import optuna
import pytest
from builders.finalists import FAST, MIDDLE, NEAR, REFERENCE, SLOW

from studies.facts import LatencyFacts, QuantisedFacts
from studies.finalists import Finalist, final_front, finalists_from, render_finalists, trials_of
from studies.record import Record


def finalist(of: Record, accuracies: dict[int, float], latency_ms: float | None = None) -> Finalist:
    return Finalist(
        of,
        accuracies,
        LatencyFacts({"latency_ms": latency_ms or of.latency_ms, "spread": 0.008, "noisy": False, "seconds": 5.0}),
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


# In 8 bits

MARK = ["loses", "much", "in", "int8"]


def in_8_bits(of: Record, fp32: dict[int, float], int8: dict[int, float], lost: int, gained: int) -> Finalist:
    """A finalist that was quantised after each training, on 256 images, and evaluated on 2,000."""
    facts = {"images": 2000, "lost": lost, "gained": gained, "calibration_images": 256, "runtime_version": "1.32"}
    each = {seed: QuantisedFacts({"accuracy": accuracy, **facts}) for seed, accuracy in int8.items()}
    return replace(finalist(of, int8), fp32=fp32, int8=each)


def test_the_front_of_a_search_for_int8_is_the_int8_one_and_fp32_stands_beside() -> None:
    # In fp32 the slow one is the best, and in 8 bits it is below the fast one: 3 points lost of 2,000 images.
    fast = in_8_bits(FAST, {8: 0.70, 9: 0.72}, {8: 0.70, 9: 0.71}, lost=14, gained=4)
    slow = in_8_bits(SLOW, {8: 0.73, 9: 0.73}, {8: 0.70, 9: 0.70}, lost=80, gained=20)
    assert [each.latency_ms for each in final_front([slow, fast])] == [2.0]
    lines = render_finalists([slow, fast], "long").splitlines()
    head = "name MFLOPs latency ms was ms long int8 % long fp32 % lost predicted % proxy % seeds front"
    assert " ".join(lines[0].split()) == head
    # The variance of 18 differences among 2,000 is 18/2000 - (10/2000)^2; of a mean of two seeds' half that.
    assert lines[2].split()[6:] == ["70.5", "±", "0.7", "71.0", "0.5", "±0.1", "60.0", "50.0", "2", "front"]
    assert lines[3].split()[6:] == ["70.0", "±", "0.0", "73.0", "3.0", "±0.4", "80.0", "70.0", "2", *MARK]
    note = lines[-1]
    assert "quantised on 256 training images (weights by channel)" in note
    assert "on the same 2,000 validation images as in fp32; the front is the int8 one" in note
    assert "What loses over 1 point, and that by more than the error, is marked." in note


@pytest.mark.parametrize(
    ("lost", "gained", "is_marked"), [(20, 0, False), (24, 0, False), (25, 0, True), (60, 35, False)]
)
def test_a_network_is_marked_that_loses_over_a_point_by_more_than_the_error_of_that(
    lost: int, gained: int, is_marked: bool
) -> None:
    # Of 2,000 images 24 are 1.2 ± 0.243 points, 25 are 1.25 ± 0.248, and 60 less 35 are 1.25 ± 0.487.
    int8 = 0.80 - (lost - gained) / 2000
    found = in_8_bits(FAST, {8: 0.80}, {8: int8}, lost, gained)
    assert found.loss is not None
    assert found.loss.is_much is is_marked
    assert ("loses much in int8" in render_finalists([found], "long")) is is_marked


def test_8_bits_come_back_from_the_study_that_keeps_finalists() -> None:
    made = in_8_bits(SLOW, {8: 0.73, 9: 0.73}, {8: 0.70, 9: 0.70}, lost=80, gained=20)
    (trial,) = trials_of([made], {})
    assert trial.values[0] == pytest.approx(0.70)
    (found,) = finalists_from([trial])
    assert (found.fp32, found.accuracies, found.loss) == (made.fp32, made.accuracies, made.loss)
    for name, wrong in (("int8", {}), ("fp32_accuracies", {"8": 0.7}), ("int8", {"8": {}, "9": {}})):
        damaged = optuna.create_trial(values=trial.values, user_attrs={**trial.user_attrs, name: wrong})
        assert finalists_from([damaged]) == []


def test_a_finalist_in_float32_says_nothing_of_8_bits() -> None:
    (trial,) = trials_of([finalist(FAST, {8: 0.70})], {})
    assert not {"fp32_accuracies", "int8"} & trial.user_attrs.keys()
    assert "int8" not in render_finalists([finalist(FAST, {8: 0.70})], "long")
