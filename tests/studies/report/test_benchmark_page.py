"""The page of a search over a table, and what random search would have reached."""

from pathlib import Path

import pytest
from builders.tables import ROWS, TABLE

from search_space import Budget
from studies.report.benchmark_page import random_shares, shares_of, write_table_report
from studies.sampling.benchmark_table import Price


def test_shares_are_those_of_pricing_each_beginning_anew() -> None:
    price, codes = Price.of_table(TABLE), list(TABLE.entries)[::-1]
    assert shares_of(price, codes) == pytest.approx([price.of(codes[:number]) for number in range(1, len(codes) + 1)])


def test_random_search_reaches_all_once_it_has_drawn_all() -> None:
    shares = random_shares(TABLE, 100)
    assert len(shares) == len(ROWS)
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == pytest.approx(1)


def test_random_search_keeps_to_the_budget() -> None:
    allowed = [code for code, entry in TABLE.entries.items() if entry.macs <= 5]
    shares = random_shares(TABLE, 100, budget=Budget(macs=5))
    assert len(shares) == len(allowed) < len(ROWS)
    assert shares[-1] == pytest.approx(Price.of_table(TABLE).of(allowed))


def test_the_page_shows_the_front_and_both_curves(tmp_path: Path) -> None:
    page = write_table_report(tmp_path / "a.html", "a <study>", TABLE, ["00", "30", "33"], {"sampler": "x"}).read_text()
    assert "a &lt;study&gt;" in page
    assert "random search, mean of 20" in page
    assert ">30<" in page
    assert ">33<" not in page, "it costs more than 30 and is no better"
