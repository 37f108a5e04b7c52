import math
import random

import pytest

from search_space import Budget, InputError

SPELLINGS = {
    "140mflops": Budget(macs=140_000_000),
    "140 MFLOPs": Budget(macs=140_000_000),
    "140MFlops": Budget(macs=140_000_000),
    " 140   mflops ": Budget(macs=140_000_000),
    "0.6gflops": Budget(macs=600_000_000),
    "0.6 GFLOPs": Budget(macs=600_000_000),
    ".5gflops": Budget(macs=500_000_000),
    "500kflops": Budget(macs=500_000),
    "1000000flops": Budget(macs=1_000_000),
    "1e6flops": Budget(macs=1_000_000),
    "2.3mparams": Budget(params=2_300_000),
    "2.3 M params": Budget(params=2_300_000),
    "2300k Params": Budget(params=2_300_000),
    "1 gparams": Budget(params=1_000_000_000),
    "5ms": Budget(latency_ms=5.0),
    "5 MS": Budget(latency_ms=5.0),
    "0.5s": Budget(latency_ms=500.0),
    "250us": Budget(latency_ms=0.25),
    "140mflops,2 M params, 5 ms": Budget(140_000_000, 2_000_000, 5.0),
    "2e-1gflops": Budget(macs=200_000_000),
    "1e-07ms": Budget(latency_ms=1e-7),
    "5ms,2mparams,140mflops": Budget(140_000_000, 2_000_000, 5.0),
    "140mflops,2mparams": Budget(140_000_000, 2_000_000),
}

MALFORMED = [
    "",
    " ",
    ",",
    "140",
    "mflops",
    "140 m flops x",
    "140mflop",
    "140 tflops",
    "140mms",
    "5kms",
    "-140mflops",
    "+140mflops",
    "0mflops",
    "0ms",
    "0.0params",
    "0.4flops",
    "nanmflops",
    "infms",
    "1e999ms",
    "1e999999ms",
    "140mflops,",
    ",5ms",
    "140mflops;5ms",
    "140mflops 5ms",
    "140mflops,150mflops",
    "5ms,0.005s",
    "1,5mflops",
    "1.2.3mflops",
    "1.mflops",
    "1_000flops",
    "0x10flops",
    "140mflops\n5ms",
    "\u0665mflops",  # an Arabic five
    "140mflops, ",
    "1e9999999mflops",
    "1e99999999999999999999mflops",
    "1e-9999999ms",
    "9" * 100_000 + "mflops",
    "0" * 100_000 + "x",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_budget_is_read_as_people_write_it(text: str) -> None:
    assert Budget.parse(text) == SPELLINGS[text]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_budget_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as error:
        Budget.parse(text)
    assert "budget" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["1e400flops", "1e400params", "5m\u017f", "5\u017f"])
def test_a_number_beyond_floats_or_a_foreign_letter_is_refused_as_input(text: str) -> None:
    # U+017F, the long s, equals "s" where case is ignored.
    with pytest.raises(InputError, match="budget"):
        Budget.parse(text)


def test_an_error_shows_what_was_given() -> None:
    with pytest.raises(InputError, match="140 elephants"):
        Budget.parse("140 elephants")
    with pytest.raises(InputError, match="twice"):
        Budget.parse("1mparams,2mparams")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2.3m", 2_300_000),  # int(2.3 * 1e6) is 2299999 in floating point
        ("1.1m", 1_100_000),
        ("4.35m", 4_350_000),
        ("0.57g", 570_000_000),
        ("144.907992m", 144_907_992),
        ("2.278604m", 2_278_604),
        ("1.0000001m", 1_000_000),
    ],
)
def test_counts_are_exact_integers(text: str, count: int) -> None:
    assert Budget.parse(f"{text}flops").macs == count
    assert Budget.parse(f"{text}params").params == count
    assert isinstance(Budget.parse(f"{text}params").params, int)


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_printed_budget_is_read_back(text: str) -> None:
    budget = Budget.parse(text)
    assert Budget.parse(str(budget)) == budget


def test_any_budget_is_read_back_exactly() -> None:
    draw = random.Random(0)
    for _ in range(2000):
        macs = draw.randrange(1, 10 ** draw.randrange(1, 13))
        params = draw.randrange(1, 10 ** draw.randrange(1, 11))
        latency_ms = draw.randrange(1, 10**6) / 1000
        for budget in (Budget(macs), Budget(params=params), Budget(macs, params, latency_ms)):
            assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize("latency_ms", [1e-7, 1 / 3, 1e15, 0.1 + 0.2, 1e-9])
def test_a_budget_of_any_time_is_printed_in_digits_that_are_read_back(latency_ms: float) -> None:
    budget = Budget(latency_ms=latency_ms)
    assert "e" not in str(budget)
    assert Budget.parse(str(budget)) == budget


def test_a_budget_takes_numbers_alone() -> None:
    for bounds in ({"macs": "5"}, {"macs": 1.5}, {"params": True}, {"latency_ms": "5"}, {"macs": 10**400}):
        with pytest.raises(InputError, match=f"a budget's {next(iter(bounds))} must be "):
            Budget(**bounds)


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (Budget(macs=140_000_000), "140mflops"),
        (Budget(macs=1_500_000_000), "1.5gflops"),
        (Budget(macs=999), "999flops"),
        (Budget(params=2_300_000), "2.3mparams"),
        (Budget(140_000_000, 2_000_000, 5.0), "140mflops,2mparams,5ms"),
    ],
)
def test_a_budget_is_printed_short(budget: Budget, text: str) -> None:
    assert str(budget) == text


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_bound_must_be_above_0_and_finite(value: float) -> None:
    for name in ("macs", "params", "latency_ms"):
        with pytest.raises(InputError, match=name):
            Budget(**{name: value})  # type: ignore[arg-type]


def test_a_budget_allows_up_to_its_bounds_and_no_more() -> None:
    budget = Budget(macs=100, params=10)
    assert budget.allows(100, 10)
    assert not budget.allows(101, 10)
    assert not budget.allows(100, 11)
    assert Budget(macs=100).allows(100, 10**12)
    assert Budget(params=10).allows(10**12, 10)
    assert Budget(latency_ms=1.0).allows(10**12, 10**12)


def test_a_share_is_that_of_the_tighter_bound() -> None:
    assert Budget(macs=100, params=10).share(50, 8) == 0.8
    assert Budget(macs=100, params=10).share(50, 4) == 0.5
    assert Budget(macs=100).share(150, 10**9) == 1.5
    assert Budget(params=10).share(10**9, 5) == 0.5
