"""Where the time goes: shares that sum to what was measured, and differences told as they are."""

import re

import pytest
from builders.measurements import MODEL, NETWORKS
from builders.records import record
from builders.sections import content_of

from search_space import PRESETS, Architecture
from studies.report.study.guidelines import TIMES, guidelines_section
from studies.report.study.time_by_kind import NAMES, differences, ms_by_kind


@pytest.mark.parametrize("architecture", [*PRESETS.values(), *NETWORKS[:5]], ids=str)
def test_the_kinds_sum_to_the_measured_latency_and_are_the_models_shares(architecture: Architecture) -> None:
    times = ms_by_kind(record(architecture, latency_ms=3.5), MODEL, 224, 1000)
    assert sum(times.values()) == pytest.approx(3.5)
    assert set(times) <= set(NAMES)
    by_layer = MODEL.ms_by_layer(architecture)
    assert times["stem"] / 3.5 == pytest.approx(by_layer["stem"] / sum(by_layer.values()))
    linear = sum(ms for name, ms in by_layer.items() if name == "classifier.branches.0.1")
    assert times.get("linear", 0.0) / 3.5 == pytest.approx(linear / sum(by_layer.values()))


def test_a_network_without_groups_spends_nothing_on_grouped_convolutions() -> None:
    assert "grouped" not in ms_by_kind(record(PRESETS["v2-1.0x"]), MODEL, 224, 1000)


def test_the_two_largest_differences_are_told_with_both_shares_and_small_ones_are_not() -> None:
    ours = {"dense": 0.5, "grouped": 0.3, "shuffle": 0.2}
    theirs = {"dense": 1.2, "shuffle": 0.4, "linear": 0.4}
    assert differences(ours, theirs) == [
        "1x1 convolution -0.70 ms (50 % against 60 %)",
        "linear -0.40 ms (0 % against 20 %)",
    ]
    assert differences(ours, {**ours, "dense": 0.52}) == []


def test_each_network_has_a_bar_of_its_shares_and_words_beside_its_nearest_reference() -> None:
    front = [record(PRESETS["v1-1.0x-g3"], latency_ms=2.0)]
    references = [record(PRESETS["v2-0.5x"], latency_ms=1.0, reference="v2-0.5x")]
    page = content_of(guidelines_section(front, references, MODEL)).partition(TIMES)[2]
    bars = re.findall(r'<div class="bar" role="img" aria-label="([^"]*)">(.*?)</div>', page)
    assert len(bars) == 2
    for label, segments in bars:
        widths = [float(width) for width in re.findall(r"width:([\d.]+)%", segments)]
        assert sum(widths) == pytest.approx(100, abs=1)
        assert label.count("%") == len(widths)
    assert re.findall(r" beside ([^<]*)</td>", page) == ["v2-0.5x"], "a reference has no other here"
    assert "Fitted, not measured" in page


def test_without_a_model_no_time_is_told() -> None:
    front = [record(PRESETS["v2-0.5x"])]
    assert TIMES not in content_of(guidelines_section(front, []))
    assert TIMES in content_of(guidelines_section(front, [], MODEL))
