"""Bounds on memory in a budget: how they are written, read and printed."""

import random

import pytest

from search_space import PRESETS, Budget, InputError, cost_of

KIB, MIB = 1024, 1024**2

SPELLINGS = {
    "256kib-ram": Budget(ram_bytes=256 * KIB),
    "256 KiB RAM": Budget(ram_bytes=256 * KIB),
    "256kb-ram": Budget(ram_bytes=256_000),
    "262144b-ram": Budget(ram_bytes=256 * KIB),
    "0.25mib-ram": Budget(ram_bytes=256 * KIB),
    "1gib-flash": Budget(flash_bytes=1024 * MIB),
    "1 MB flash": Budget(flash_bytes=1_000_000),
    "1.5kib-flash@int8": Budget(flash_bytes=1536, precision="int8"),
    "1mib-flash @ INT8": Budget(flash_bytes=MIB, precision="int8"),
    "20mflops,256kib-ram,1mib-flash@int8": Budget(20_000_000, None, None, 256 * KIB, MIB, "int8"),
    "256kib-ram@int8,1mib-flash@int8": Budget(ram_bytes=256 * KIB, flash_bytes=MIB, precision="int8"),
    "256kib-ram@int8,1mib-flash": Budget(ram_bytes=256 * KIB, flash_bytes=MIB, precision="int8"),
    "256kib-ram,20mflops@fp32,5ms": Budget(20_000_000, None, 5.0, 256 * KIB, None, "fp32"),
}

REFUSED = {
    "256kib-ram@int4": "precision must be fp32 or int8, got 'int4'",
    "20mflops@int8": "precision is that of its memory, and it bounds none",
    "256kib-ram@int8,1mib-flash@fp32": "one precision; .* names int8 and fp32",
    "256kib-ram,200kb-ram": "ram twice",
    "1mib-flash,1mib-flash": "flash twice",
    "0kib-ram": "above 0, .* bytes of ram, got '0kib-ram'",
    "0.0005kib-ram": "above 0",
    "1e12gib-flash": "bytes of flash",
    "256kib": "256kib-ram",
    "256k-ram": "256kib-ram",
    "256kib-rom": "256kib-ram",
    "256kibit-ram": "256kib-ram",
    "256kib-ram@": "256kib-ram",
    "@int8": "256kib-ram",
    "-256kib-ram": "256kib-ram",
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_bounds_of_memory_are_read_as_people_write_them_and_printed_to_be_read_back(text: str) -> None:
    budget = Budget.parse(text)
    assert budget == SPELLINGS[text]
    assert Budget.parse(str(budget)) == budget


@pytest.mark.parametrize("text", REFUSED)
def test_what_bounds_no_memory_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match=REFUSED[text]) as error:
        Budget.parse(text)
    assert "budget" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (
            Budget(20_000_000, ram_bytes=256 * KIB, flash_bytes=MIB, precision="int8"),
            "20mflops,256kib-ram,1mib-flash@int8",
        ),
        (Budget(latency_ms=5.0, ram_bytes=256_000), "5ms,256kb-ram"),
        (Budget(flash_bytes=1000), "1kb-flash"),
        (Budget(flash_bytes=1001), "1.001kb-flash"),
        (Budget(flash_bytes=3 * MIB // 2), "1536kib-flash"),
        (Budget(flash_bytes=128_000), "128kb-flash"),
        (Budget(flash_bytes=999), "999b-flash"),
    ],
)
def test_bounds_of_memory_are_printed_short(budget: Budget, text: str) -> None:
    assert str(budget) == text


def test_any_bound_of_memory_is_read_back_exactly() -> None:
    draw = random.Random(0)
    for _ in range(2000):
        ram, flash = (draw.randrange(1, 10 ** draw.randrange(1, 16)) for _ in range(2))
        budget = Budget(ram_bytes=ram, flash_bytes=flash, precision=draw.choice([None, "fp32", "int8"]))
        assert Budget.parse(str(budget)) == budget


def test_a_search_says_the_precision_that_a_budget_does_not() -> None:
    assert Budget.parse("1mib-flash").at("int8") == Budget.parse("1mib-flash@int8")
    assert Budget.parse("1mib-flash@fp32").at("int8") == Budget.parse("1mib-flash@fp32")
    assert Budget.parse("20mflops").at("int8") == Budget.parse("20mflops")


def test_memory_takes_its_share_of_a_budget() -> None:
    # V2 1.0x at int8: 451,584 bytes of RAM, the stem's; 2,261,424 weights and 9,090 channels, 2,334,144 bytes.
    cost = cost_of(PRESETS["v2-1.0x"])
    budget = Budget.parse("145mflops,500kb-ram,2.334144mb-flash@int8")
    assert budget.share_of(cost) == 1
    assert budget.ram_share_of(cost) == 0.903168
    assert budget.excess_of(cost) == 0
    assert Budget.parse("145mflops,225792b-ram@int8").excess_of(cost) == 1
    assert Budget.parse("145mflops,1167072b-flash@int8").excess_of(cost) == 1
    assert Budget.parse("145mflops").ram_share_of(cost) == 0


def test_ram_alone_sizes_no_network() -> None:
    assert not Budget.parse("256kib-ram,5ms").sizes_networks
    assert all(Budget.parse(text).sizes_networks for text in ("1flops", "1params", "1b-flash"))
