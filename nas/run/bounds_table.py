"""The table of a search's bounds: can each be met, and what do the smallest and the largest networks have?"""

from __future__ import annotations

from search_space.budget import Budget
from search_space.budget_range import bounds_of
from search_space.choices import Choices
from search_space.task import Task
from studies.text_table import table_text

COLUMNS = ("bound", "can be met", "smallest", "largest")
MEASURED = "measured"
"""What is said of latency, which is not known before networks are timed."""


def bounds_text(budget: Budget, choices: Choices, task: Task) -> str:
    """The table, and what it means."""
    rows = [
        (row.bound, f"no, {row.flaw}" if row.flaw else "yes", row.smallest, row.largest)
        for row in bounds_of(budget, choices, task)
    ]
    if budget.latency_ms is not None:
        rows.append((str(Budget(latency_ms=budget.latency_ms)), *3 * (MEASURED,)))
    table = table_text(COLUMNS, rows, COLUMNS[2:])
    at = task.described_for(choices)
    return f"what networks have at {at}; every combination of choices has one of the smallest:\n{table}"
