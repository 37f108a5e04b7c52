"""Fixtures of finalists: a search's study, and workers that are not real."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders.finalists import ALL, FINGERPRINT, REFERENCE, SETTINGS, URL, made_study, timed_again
from builders.records import enter
from builders.workers import FakeWorkers
from optuna.storages import RDBStorage
from optuna.study import Study

import nas.finalists.run as run_module
from studies.storage.studies import open_storage, references_of


@pytest.fixture
def answered_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Puts a function in the place of all that workers do."""
    before = signal.getsignal(signal.SIGTERM)

    def put(
        answer: Callable[..., Any], fingerprint: str = FINGERPRINT, timed: Callable[..., Any] = timed_again
    ) -> None:
        monkeypatch.setattr(
            run_module, "workers_for", lambda *_: FakeWorkers(answer, measure=timed, fingerprint=fingerprint)
        )

    yield put
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RDBStorage]:
    monkeypatch.chdir(tmp_path)
    Path("runs/mine").mkdir(parents=True)
    storage = open_storage(URL)
    yield storage
    storage.engine.dispose()


@pytest.fixture
def study(storage: RDBStorage) -> Study:
    """A search's study, with its reference."""
    study = made_study(storage, SETTINGS)
    enter(study, *ALL)
    enter(references_of(study, storage), REFERENCE)
    return study
