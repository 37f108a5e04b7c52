"""Times as a command's lines write them."""

import pytest

from nas.cli.command import clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0:00"), (89.99999999999999, "1:30"), (89.9, "1:29"), (125.0, "2:05"), (11100.0, "3 h 05 min")],
)
def test_a_time_is_written_to_the_second_whatever_its_parts_sum_to(seconds: float, text: str) -> None:
    assert clock(seconds) == text
