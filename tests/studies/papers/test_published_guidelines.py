"""The published tables of guidelines and speed, as far as they check themselves, and what is said of measurements."""

from dataclasses import replace
from typing import Any

import pytest

from studies.facts import LatencyFacts
from studies.papers.guideline_findings import Finding, MeasuredRow, cells_of, columns_of, verdict_of
from studies.papers.published_guidelines import PLATFORMS, RESOLUTIONS, SCALES, TABLES


def finding(number: int, latencies_ms: list[float], macs: list[int] | None = None, **latency: Any) -> Finding:
    """A table measured with these latencies; every row does 100 MFLOPs unless told."""
    table = TABLES[number]
    how = {"spread": 0.01, "noisy": False, **latency}
    rows = tuple(
        MeasuredRow(row.setting, (128,), (1, 128, 56, 56), count, 1_000_000, LatencyFacts({**how, "latency_ms": ms}))
        for row, ms, count in zip(table.rows, latencies_ms, macs or [100_000_000] * len(table.rows), strict=True)
    )
    return Finding(table, table.platforms[0], 0, rows)


# The published numbers


def test_the_tables_have_the_papers_rows_and_columns() -> None:
    assert {number: len(table.rows) for number, table in TABLES.items()} == {1: 4, 2: 4, 3: 5, 4: 4, 8: 5}
    for table in TABLES.values():
        platforms, variants = (("phone",), RESOLUTIONS) if table.in_ms else (("gpu", "arm"), SCALES)
        assert table.platforms == platforms
        assert set(platforms) <= set(PLATFORMS)
        assert len(table.variants) == len(variants)
        assert all(len(values) == len(variants) for row in table.rows for values in row.values.values())


def test_a_larger_variant_is_slower_in_every_row() -> None:
    for table in TABLES.values():
        for row in table.rows:
            for values in row.values.values():
                assert list(values) == sorted(values, reverse=not table.in_ms)


@pytest.mark.parametrize("platform", ["gpu", "arm"])
def test_tables_2_and_3_start_with_the_same_network(platform: str) -> None:
    # Ten dense 1x1 convolutions of the same channels, measured twice: the papers' own repeatability.
    one_group, one_fragment = TABLES[2].rows[0], TABLES[3].rows[0]
    assert one_group.channels[platform] == one_fragment.channels[platform]
    for once, again in zip(one_group.values[platform], one_fragment.values[platform], strict=True):
        assert once == pytest.approx(again, rel=0.015)


def test_the_ratios_that_the_papers_state_in_words_come_out() -> None:
    # Ma 2018, G2: 8 groups more than twice as slow on the GPU, up to 30 % on ARM. G3: 4 fragments 3 times as slow.
    assert 1 / TABLES[2].relative_speeds("gpu", 0)[-1] > 2
    assert 1 - TABLES[2].relative_speeds("arm", 0)[-1] == pytest.approx(0.30, abs=0.01)
    assert 1 / TABLES[3].relative_speeds("gpu", 0)[2] == pytest.approx(3.25, abs=0.01)
    # G4: about a fifth faster without ReLU and shortcut, on both.
    assert [TABLES[4].relative_speeds(platform, 0)[-1] for platform in ("gpu", "arm")] == pytest.approx(
        [1.17, 1.17], abs=0.005
    )
    # Zhang 2017, sec. 4.5: 0.5x about 13 times as fast as AlexNet at the larger sizes.
    assert [1 / TABLES[8].relative_speeds("phone", size)[3] for size in range(3)] == pytest.approx(
        [12.1, 13.2, 14.0], abs=0.05
    )


def test_a_published_value_is_shown_with_its_unit() -> None:
    assert TABLES[1].value_text("gpu", 0, 3) == "748/s"
    assert TABLES[1].value_text("arm", 2, 0) == "5.3/s"
    assert TABLES[8].value_text("phone", 0, 0) == "15.2 ms"


# What measurements say of them


def test_a_guideline_holds_where_every_row_is_slower() -> None:
    assert verdict_of(finding(1, [1.0, 1.1, 1.3, 1.6])) == (
        "G1 holds here: 1:12 runs 1.60x slower than 1:1 at equal FLOPs (GTX 1080Ti 1.98x, Snapdragon 810 1.32x slower)."
    )


def test_a_guideline_does_not_hold_where_no_row_is_slower() -> None:
    said = verdict_of(finding(3, [1.0, 1.01, 0.9, 0.8, 0.5]))
    assert said.startswith("G3 does not hold here: 4-fragment-parallel runs 2.00x faster than 1-fragment")
    assert "(GTX 1080Ti 3.54x, Snapdragon 810 1.15x slower)" in said


def test_a_guideline_holds_in_part_and_the_exceptions_are_named() -> None:
    said = verdict_of(finding(2, [1.0, 1.015, 0.98, 2.0]))
    assert said.startswith("G2 holds in part here: 8 groups runs 2.00x slower than 1 group")
    assert said.endswith("; not slower: 2 groups, 4 groups.")


def test_what_is_removed_must_make_it_faster() -> None:
    said = verdict_of(finding(4, [1.2, 1.2, 1.0, 1.0]))
    assert said == (
        "G4 holds in part here: no ReLU, no shortcut runs 1.20x faster than ReLU, shortcut at equal FLOPs "
        "(GTX 1080Ti 1.17x, Snapdragon 810 1.17x faster); not faster: ReLU, no shortcut."
    )


def test_slowness_that_more_flops_explain_is_none() -> None:
    macs = [100_000_000, 100_000_000, 100_000_000, 103_000_000]
    said = verdict_of(finding(2, [1.0, 1.1, 1.1, 1.04], macs))
    assert "8 groups runs 1.04x slower than 1 group at FLOPs within 3.0 %" in said
    assert "; not slower: 8 groups" in said
    assert verdict_of(finding(2, [1.0, 1.1, 1.1, 1.06], macs)).startswith("G2 holds here")


def test_latencies_within_2_percent_are_a_tie() -> None:
    said = verdict_of(finding(1, [1.0, 1.0, 1.0, 1.015]))
    assert said.startswith("G1 does not hold here: 1:12 runs as fast as 1:1")


def test_noisy_rows_are_named() -> None:
    assert verdict_of(finding(1, [1.0, 1.1, 1.3, 1.6], noisy=True)).endswith("; noisy: 1:1, 1:2, 1:6, 1:12.")


def with_channels(found: Finding, *channels: tuple[int, ...]) -> Finding:
    return replace(found, rows=tuple(replace(row, channels=own) for row, own in zip(found.rows, channels, strict=True)))


def test_rows_whose_channels_do_not_fill_blocks_of_16_are_named() -> None:
    channels = (128,), (180,), (256,), (360,)  # in a group: 128, 90, 64, 45
    said = verdict_of(with_channels(finding(2, [1.0, 1.1, 1.1, 1.2]), *channels))
    assert said.startswith("G2 holds here: ")
    assert said.endswith("; unaligned: 2 groups, 8 groups.")
    # Where even the first row does not fill them, nothing follows from it.
    assert "unaligned" not in verdict_of(with_channels(finding(4, [1.0, 0.9, 0.9, 0.9]), *[(32, 8)] * 4))


def test_a_guideline_that_only_unaligned_rows_speak_for_is_said_to_be_one() -> None:
    channels = (128,), (90,), (64,), (90,), (64,)
    said = verdict_of(with_channels(finding(3, [1.0, 1.1, 1.0, 1.1, 1.0]), *channels))
    assert said.startswith("G3 holds in part here, in unaligned rows only: 4-fragment-parallel runs as fast as")
    said = verdict_of(with_channels(finding(1, [1.0, 1.1, 1.2, 1.3]), (128,), (90, 180), (52, 312), (36, 432)))
    assert said.startswith("G1 holds here, in unaligned rows only: ")


def test_the_speed_up_over_alexnet_is_held_against_the_flops() -> None:
    macs = [38_000_000, 140_000_000, 524_000_000, 714_000_000, 569_000_000]
    said = verdict_of(finding(8, [1.0, 2.5, 7.0, 10.0, 8.0], macs))
    assert said == (
        "V1's speed-up holds here: ShuffleNet 0.5x (g=3) runs 10.0x faster than AlexNet with 18.8x fewer FLOPs "
        "(Snapdragon 820 12.1x) and 7.0x faster than ShuffleNet 2x (g=3) with 13.8x fewer FLOPs (Snapdragon 820 7.2x)."
    )
    assert verdict_of(finding(8, [1.0, 2.5, 7.0, 0.5, 8.0], macs)).startswith("V1's speed-up does not hold here")


def test_a_row_shows_what_was_measured_beside_what_was_published() -> None:
    found = finding(1, [1.0, 1.1, 1.3, 1.6])
    assert columns_of(found)[-2:] == ("GTX 1080Ti", "Snapdragon 810")
    row = ("1:12", "128", "100.0", "1.00", "1.60 ±0.5 %", "0.62x", "0.51x (748/s)", "0.76x (57.6/s)")
    assert cells_of(found)[-1] == row
    assert all(len(cells) == len(columns_of(found)) for cells in cells_of(found))
    assert cells_of(finding(1, [200.0, 1.0, 1.0, 1.0], noisy=True))[0][4] == "200 ±0.5 % noisy"


def test_the_heading_says_whose_channels_they_are_where_they_differ() -> None:
    found = finding(1, [1.0, 1.0, 1.0, 1.0])
    assert found.heading == "G1, Ma 2018, table 1, x1, channels of the GTX 1080Ti"
    assert replace(found, platform="arm", variant=2).heading.endswith(", x4, channels of the Snapdragon 810")
    assert finding(4, [1.0, 1.0, 1.0, 1.0]).heading == "G4, Ma 2018, table 4, x1"
    assert finding(8, [1.0] * 5).heading == "V1, Zhang 2017, table 8, 224x224"


def test_the_published_numbers_go_into_the_file_unchanged() -> None:
    data = finding(2, [1.0, 2.0, 3.0, 4.0]).to_dict()
    assert data["published_unit"] == "per second"
    assert [row["published"]["GTX 1080Ti"] for row in data["rows"]] == [2451, 1725, 1026, 634]
    assert [row["published"]["Snapdragon 810"] for row in data["rows"]] == [40.0, 35.0, 32.9, 27.8]
    assert [row["relative_speed"] for row in data["rows"]] == pytest.approx([1.0, 1 / 2, 1 / 3, 1 / 4])
