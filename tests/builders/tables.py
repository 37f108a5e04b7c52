"""Benchmark tables, small enough to be searched in a moment."""

import json
from itertools import product
from pathlib import Path
from typing import Any

from studies.sampling.benchmark_table import FinishedTable

CODES = ["".join(code) for code in product("012", "ab", "0123")]


def row(code: str) -> dict[str, Any]:
    """Made up: more of everything costs more and is more accurate."""
    size = 1 + int(code[0]) + int(code[2]) + (code[1] == "b")
    return {"test_acc": [80.0 + size, 80.5 + size, 81.0 + size], "flops": 1_000_000 * size, "params": 1000 * size}


ROWS = {
    a + b: {"test_acc": [50 + 10 * int(a)], "flops": 1 + int(a) + 3 * int(b), "params": 1}
    for a, b in product("0123", repeat=2)
}
TABLE = FinishedTable.from_dict(ROWS)


def write_table(file: Path, choices: int = 6) -> Path:
    """A table of 4 networks to the power of the choices: the more accurate, the more it costs."""
    codes = map("".join, product("0123", repeat=choices))
    rows = {code: {"test_acc": [50 + sum(map(int, code))], "flops": 1 + int(code), "params": 1} for code in codes}
    file.write_text(json.dumps(rows))
    return file
