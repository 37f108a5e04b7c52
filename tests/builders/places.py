"""Where things are: the project, and the facts and data that some checkouts have beside them; and how JSON is read."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
BESIDE = ROOT.parent / "shared"
FACTS = BESIDE / "facts"
needs_facts = pytest.mark.skipif(
    not FACTS.is_dir(), reason="the folder of reference facts, ../shared/facts, is missing"
)
WAIT_SECONDS = 900
"""What nothing here takes: it only keeps a run that stands still from standing for ever."""


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
