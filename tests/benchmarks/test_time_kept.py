"""A small real run keeps to its plan, by the clock that it records itself; no time limit decides anything here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.run.run import TIME_PLAN
from nas.search.time.plan import PHASES
from studies.storage.studies import load_study, open_storage

SLACK_SECONDS = 60.0
"""How late a phase may end here: a busy machine takes seconds for what else takes none."""


@pytest.mark.slow
def test_the_phases_of_a_run_end_by_its_plan(run_briefly: Callable[..., Any], images: Path) -> None:
    network = ("--budget", "4mflops", "--resolution", "64", "--classes", "10", "--workers", "1")
    line = (*network, "--data", f"folder:{images}", "--study", "kept", "--out", "out")
    done = run_briefly("nas.run", *line, "--time", "40s")
    assert done.returncode == 0, done.stderr
    storage = open_storage("sqlite:///out/study.db", must_exist=True)
    kept = load_study(storage, "kept").user_attrs[TIME_PLAN]
    storage.engine.dispose()
    planned, renewed, ended = kept["planned"], kept["renewed"], kept["ended"]
    print(kept)
    assert list(planned) == list(renewed) == list(PHASES)
    assert sum(planned.values()) == pytest.approx(40)
    assert sum(renewed.values()) == pytest.approx(40)
    assert list(ended) == ["start", "search", "retiming", "finalists"]
    assert list(ended.values()) == sorted(ended.values())
    assert ended["finalists"] <= 40 + SLACK_SECONDS
    text = next(line for line in done.stderr.splitlines() if line.startswith("plan of 0:40: start "))
    assert "re-timing" in text
    assert done.stdout.splitlines()[-1].startswith("time: ")
