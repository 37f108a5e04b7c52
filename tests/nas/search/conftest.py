"""Fixtures of searches: a study with all that a search needs, and a clock."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.clock import Clock, clock_in
from builders.searches import Bench
from optuna.study import Study

from nas.search import loop as search_module
from studies.storage.studies import open_storage


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    yield Bench(storage, tmp_path)
    storage.engine.dispose()


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Which trials are asked for; the thirtieth is an error, so that no search goes on for ever."""
    numbers: list[int] = []
    ask = Study.ask

    def counted(study: Study) -> Any:
        assert len(numbers) < 30, "the search asks for trials without end"
        trial = ask(study)
        numbers.append(trial.number)
        return trial

    monkeypatch.setattr(Study, "ask", counted)
    return numbers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands in for `time` where a search looks at it."""
    return clock_in(search_module, monkeypatch)


# What is known


@pytest.fixture
def few_repeats(monkeypatch: pytest.MonkeyPatch) -> int:
    """After so many repeats in a row a search takes its space to be used up."""
    monkeypatch.setattr(search_module, "MOST_REPLAYS", 3)
    return 3
