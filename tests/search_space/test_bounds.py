"""Numbers from outside have two ends, and are plain ASCII digits of a length that no computation minds."""

import math

import pytest

from search_space.bounds import SEEDS, Bounds, plain
from search_space.errors import InputError

SHARES = Bounds(0.001, 2, is_whole=False)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("+7", 7), (" 5 ", 5), ("-0", 0), ("2147483647", 2**31 - 1)])
def test_a_whole_number_is_read(text: str, number: int) -> None:
    assert SEEDS.read("the seed", text) == number
    assert isinstance(SEEDS.read("the seed", text), int)


@pytest.mark.parametrize("text", ["1.5", "1e3", "nan", "1_0", "\u0663", "1 0", "", "-", "9" * 10_000])
def test_what_is_no_whole_number_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^the seed must be a whole number from 0 to 2147483647, got ") as error:
        SEEDS.read("the seed", text)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(("text", "number"), [("1", 1.0), (".5", 0.5), ("1.", 1.0), ("1e-3", 0.001), ("2E+0", 2.0)])
def test_a_number_is_read(text: str, number: float) -> None:
    assert SHARES.read("the share", text) == number


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "-0.0", "0", "2.1", "1e-400", "1,5", "0x1p0"])
def test_what_is_no_number_within_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^the share must be "):
        SHARES.read("the share", text)


@pytest.mark.parametrize("value", [None, "1", True, [], math.nan, math.inf, 10**400, -(10**400), 0])
def test_a_value_from_a_file_that_is_no_number_within_its_bounds_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^the share must be ") as error:
        SHARES.check("the share", value)
    assert len(str(error.value)) < 200


def test_a_number_that_python_does_not_write_is_refused_as_any_other() -> None:
    with pytest.raises(InputError, match=r"^the share must be at most 2, got a number of 16610 bits$"):
        SHARES.check("the share", 10**5000)


@pytest.mark.parametrize(
    ("number", "digits", "text"),
    [
        (136_400, 3, "136400"),
        (1e6, None, "1000000"),
        (1234.5678, 3, "1235"),
        (0.14498, 3, "0.145"),
        (1e-7, None, "0.0000001"),
        (9999.6, 4, "10000"),
        (0, 3, "0"),
        (2.50, 3, "2.5"),
        (math.inf, 3, "inf"),
    ],
)
def test_a_number_is_written_without_an_exponent(number: float, digits: int | None, text: str) -> None:
    assert plain(number, digits) == text
